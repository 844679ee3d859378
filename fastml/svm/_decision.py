"""Decision functions: kernel values against the support vectors, times the dual coefficients.

The kernels sum values up as they make them (``gram.expansions``), so that none reaches memory.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastml._csr import CSR
from fastml._validation import for_kernels
from fastml.kernels import for_device

# Of sums, or of columns of a kernel matrix that there is already. Blocks must have enough rows for a matrix product to
# reuse what it packs.
BLOCK_BYTES = 8 * 2**20
MIN_BLOCK_ROWS = 64
# From so many rows on, the laying out of the support vectors is small beside their use, and nothing is kept.
MANY_ROWS = 256


class KeptLayout:
    """The support vectors as laid out for the last prediction of few rows: for such, laying out is half the work.

    Pickles and copies empty.
    """

    def __init__(self):
        # All in one attribute: threads that predict at once read what belongs together.
        self._kept: tuple[Any, tuple[Any, ...], Any] | None = None

    def __reduce__(self):
        return KeptLayout, ()

    def prepare(self, vectors, kernel, dtype, n_rows, dense, device):
        """``gram.prepare`` of the support vectors, converted to dtype.

        Parameters
        ----------
        vectors : ndarray or sparse matrix, of shape (n_support_vectors, n_features), float64
            The same object stands for the same values: what is kept is made read-only.
        kernel : fastml._kernel.KernelFunction
        dtype : dtype
        n_rows : int
            How many rows will be predicted.
        dense : bool
            Sparse vectors are made dense.
        device : {"cpu", "cuda"}
            Where they are laid out.
        """
        key, kept = (kernel, dtype, device), self._kept
        if kept is not None and kept[0] is vectors and kept[1] == key:
            return kept[2]
        backend = for_device(device)
        rows = for_kernels(vectors.toarray() if dense else vectors, "cpu").astype(dtype, copy=False)
        prepared = backend.gram.prepare(backend.arrays.send(rows), kernel)
        if n_rows < MANY_ROWS:
            is_dense = isinstance(vectors, np.ndarray)
            for array in (vectors,) if is_dense else (vectors.data, vectors.indices, vectors.indptr):
                array.flags.writeable = False
            self._kept = vectors, key, prepared
        return prepared


def blocks_of_rows(n_rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices of all rows, of ``BLOCK_BYTES`` each, where a row takes so many."""
    size = max(MIN_BLOCK_ROWS, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def matrix_expansions(
    K: np.ndarray, columns: np.ndarray, coef: np.ndarray, starts: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """As ``kernel_expansions``, of a kernel matrix that there is already.

    Parameters
    ----------
    K : ndarray of shape (n_rows, n_columns), float64
    columns : ndarray of shape (n_support_vectors,), int32
        Those of the support vectors.
    coef : ndarray of shape (n_sums, n_support_vectors), float64
    starts : ndarray of shape (n_segments + 1,), int64
    """
    if len(coef) == 1 and len(columns) >= K.shape[1] / 8:
        # One function, of columns in most lines of memory: reading it whole spares a copy.
        whole = np.zeros(K.shape[1])
        whole[columns] = coef[0]
        for rows in blocks_of_rows(len(K), K.itemsize * K.shape[1]):
            sums = np.zeros((rows.stop - rows.start, len(starts) - 1, 1))
            # Not by BLAS, whose threads wait for each other: eight times as long beside one busy process on two cores.
            sums[:, 0, 0] = np.einsum("ij,j->i", K[rows], whole)
            yield rows, sums
        return
    for rows in blocks_of_rows(len(K), len(columns) * K.itemsize):
        values = K[rows].take(columns, axis=1)
        sums = np.empty((len(values), len(starts) - 1, len(coef)))
        for segment, (start, end) in enumerate(pairwise(starts.tolist())):
            sums[:, segment] = values[:, start:end] @ coef[:, start:end].T
        yield rows, sums


def kernel_expansions(
    X: Any, prepared: Any, kernel: Any, coef: np.ndarray, starts: np.ndarray, dense: bool, device: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of X's rows, each with sums of kernel values times coefficients, of shape (n_rows, n_segments, n_sums).

    Parameters
    ----------
    X : ndarray or CSR, of shape (n_rows, n_features)
        Of any float dtype; a block at a time is converted to the prepared one, and sent to the device.
    prepared : what ``KeptLayout.prepare`` gave for the support vectors, on the same device
    kernel : fastml._kernel.KernelFunction
    coef : ndarray of shape (n_sums, n_support_vectors), of the prepared dtype
    starts : ndarray of shape (n_segments + 1,), int64
        Where segments of support vectors begin, and where the last one ends.
    dense : bool
        Sparse rows are made dense, block by block, as the support vectors were.
    device : {"cpu", "cuda"}
    """
    arrays, gram = for_device(device).arrays, for_device(device).gram
    n_rows, n_segments, n_sums = X.shape[0], len(starts) - 1, len(coef)
    copies, dtype, coef = dense or X.dtype != coef.dtype or device != "cpu", coef.dtype, arrays.send(coef)
    row_bytes = 8 * max(n_segments * n_sums, X.shape[1] if copies else 0)
    for rows in blocks_of_rows(n_rows, row_bytes):
        block = X.between(rows.start, rows.stop) if isinstance(X, CSR) else X[rows]
        block = arrays.send((block.toarray() if dense else block).astype(dtype, copy=False))
        sums = arrays.empty((rows.stop - rows.start, n_segments, n_sums), np.float64)
        gram.expansions(block, prepared, kernel, coef, starts, sums)
        yield rows, arrays.fetch(sums)
