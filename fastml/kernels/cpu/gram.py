"""Blocks of a kernel matrix on the CPU; the contract is ``fastml.kernels.reference.gram``.

Dense rows go through a packed matrix product (``src_ext/simd/gemm.h``) with the kernel as its epilogue. Sparse rows
stay sparse: against tables of A's rows where features are few, by columns of B where they are many
(``src_ext/gram/table.h``, ``postings.h``). Dense rows of which most values are zero are compressed first.
"""

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cpu import _gram, _gram_custom
from fastml.kernels.cpu._gram import take_rows

__all__ = ["expansions", "gram", "prepare", "take_rows"]

# Share of non-zeros in dense rows up to which they are compressed, and the values that B must have for it to pay.
COMPRESS_UP_TO = 0.15
MIN_VALUES_TO_COMPRESS = 200_000
ROWS_TO_SAMPLE = 256
# Of values of a user's kernel at a time, where they are summed up.
CUSTOM_BLOCK_BYTES = 1 << 20
MIN_CUSTOM_ROWS = 64


class _Compressed(_gram.Prepared):
    """Of dense rows, which are held besides in their compressed form."""

    @property
    def nbytes(self):
        return super().nbytes + sum(part.nbytes for part in self.rows[:3])


def prepare(B, kernel):
    if kernel.name == "custom":
        return _gram_custom.Rows(B)
    if _is_mostly_zero(B):
        return _Compressed(_compressed(B), kernel)
    return _gram.Prepared(B, kernel)


def gram(A, prepared, kernel, out, n_threads=None):
    if kernel.name == "custom":
        _gram_custom.gram(A, prepared, kernel, out, n_threads)
        return
    if isinstance(prepared, _Compressed):
        A = _compressed(A)
    _gram.gram(A, prepared, kernel, out, n_threads)


def expansions(A, prepared, kernel, coef, starts, out, n_threads=None):
    if kernel.name == "custom":
        _custom_expansions(A, prepared, kernel, coef, starts, out, n_threads)
        return
    if isinstance(prepared, _Compressed):
        A = _compressed(A)
    _gram.expansions(A, prepared, kernel, coef, starts, out, n_threads)


def _custom_expansions(A, prepared, kernel, coef, starts, out, n_threads):
    """By blocks of values that stay in the cache."""
    n_rows, n_columns = A.shape[0], prepared.shape[0]
    size = max(MIN_CUSTOM_ROWS, CUSTOM_BLOCK_BYTES // max(1, n_columns * prepared.dtype.itemsize))
    block = np.empty((min(size, n_rows), n_columns), prepared.dtype)
    for first in range(0, n_rows, size):
        last = min(first + size, n_rows)
        rows = A.between(first, last) if isinstance(A, CSR) else A[first:last]
        values = block[: last - first]
        _gram_custom.gram(rows, prepared, kernel, values, n_threads)
        _gram.block_sums(values, coef, starts, out[first:last])


def _is_mostly_zero(B):
    if isinstance(B, CSR) or B.size < MIN_VALUES_TO_COMPRESS:
        return False
    sample = B[:: -(-len(B) // ROWS_TO_SAMPLE)]
    return np.count_nonzero(sample) <= COMPRESS_UP_TO * sample.size


def _compressed(rows):
    if isinstance(rows, CSR):
        raise TypeError("A must be dense, as B is.")
    return _gram.compressed(rows)
