"""Blocks of a kernel matrix on the CPU; the contract is ``fastml.kernels.reference.gram``.

Dense rows go through a packed matrix product (``src_ext/simd/gemm.h``) with the kernel as its epilogue. Sparse rows
stay sparse: against tables of A's rows where features are few, by columns of B where they are many
(``src_ext/gram/table.h``, ``postings.h``). Dense rows of which most values are zero are compressed first.
"""

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cpu import _gram, _gram_custom
from fastml.kernels.cpu._gram import pair_values, pair_votes, take_rows

__all__ = ["expansions", "gram", "pair_values", "pair_votes", "prepare", "take_rows"]

# Share of non-zeros in dense rows up to which they are compressed, and the values that B must have for it to pay.
COMPRESS_UP_TO = 0.15
MIN_VALUES_TO_COMPRESS = 200_000
ROWS_TO_SAMPLE = 256
# Of dense rows that are compressed at a time.
COMPRESSED_BLOCK_BYTES = 1 << 25
# Of values of a user's kernel at a time, where they are summed up: they stay in the cache.
CUSTOM_BLOCK_BYTES = 1 << 20
# Of whichever: fewer are not worth a call.
MIN_BLOCK_ROWS = 64


class _Compressed(_gram.Prepared):
    """Of dense rows, by those compressed: A's are compressed too."""


def prepare(B, kernel):
    if kernel.name == "custom":
        return _gram_custom.Rows(B)
    if _is_mostly_zero(B):
        return _Compressed(_gram.compressed(B), kernel)
    return _gram.Prepared(B, kernel)


def gram(A, prepared, kernel, out, n_threads=None):
    if kernel.name == "custom":
        _gram_custom.gram(A, prepared, kernel, out, n_threads)
    elif isinstance(prepared, _Compressed):
        for rows, values in _blocks_to_compress(A, out):
            _gram.gram(_gram.compressed(rows), prepared, kernel, values, n_threads)
    else:
        _gram.gram(A, prepared, kernel, out, n_threads)


def expansions(A, prepared, kernel, coef, starts, out, n_threads=None):
    if kernel.name == "custom":
        _custom_expansions(A, prepared, kernel, coef, starts, out, n_threads)
    elif isinstance(prepared, _Compressed):
        for rows, sums in _blocks_to_compress(A, out):
            _gram.expansions(_gram.compressed(rows), prepared, kernel, coef, starts, sums, n_threads)
    else:
        _gram.expansions(A, prepared, kernel, coef, starts, out, n_threads)


def _custom_expansions(A, prepared, kernel, coef, starts, out, n_threads):
    n_columns = prepared.shape[0]
    block = np.empty((0, n_columns), prepared.dtype)
    for rows, sums in _row_blocks(A, out, n_columns * prepared.dtype.itemsize, CUSTOM_BLOCK_BYTES):
        if len(block) < len(sums):
            block = np.empty((len(sums), n_columns), prepared.dtype)
        values = block[: len(sums)]
        _gram_custom.gram(rows, prepared, kernel, values, n_threads)
        _gram.block_sums(values, coef, starts, sums)


def _blocks_to_compress(A, out):
    if isinstance(A, CSR):
        raise TypeError("A must be dense, as B is.")
    return _row_blocks(A, out, A.shape[1] * A.itemsize, COMPRESSED_BLOCK_BYTES)


def _row_blocks(A, out, row_bytes, block_bytes):
    """Some rows of A at a time, and their places in out; row_bytes: what one of them takes of block_bytes."""
    n_rows = A.shape[0]
    if len(out) != n_rows:
        raise ValueError(f"out must have {n_rows} rows, as A has; got {len(out)}.")
    size = max(MIN_BLOCK_ROWS, block_bytes // max(1, row_bytes))
    for first in range(0, n_rows, size):
        last = min(first + size, n_rows)
        yield A.between(first, last) if isinstance(A, CSR) else A[first:last], out[first:last]


def _is_mostly_zero(B):
    if isinstance(B, CSR) or B.size < MIN_VALUES_TO_COMPRESS:
        return False
    # Compressed rows are counted in int32, and how many non-zeros there are is only known of a sample.
    if max(len(B), MIN_BLOCK_ROWS) * B.shape[1] > np.iinfo(np.int32).max:
        return False
    sample = B[:: -(-len(B) // ROWS_TO_SAMPLE)]
    return np.count_nonzero(sample) <= COMPRESS_UP_TO * sample.size
