"""Decision functions: kernel values against the support vectors, times the dual coefficients.

The kernels sum values up as they make them (``gram.expansions``), so that none reaches memory.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from fastml._csr import CSR
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
        self._key: Any = None
        self._prepared: Any = None

    def __reduce__(self):
        return KeptLayout, ()

    def prepare(self, vectors, kernel, dtype, n_rows, dense=False):
        """``gram.prepare`` of the support vectors, converted to dtype.

        Parameters
        ----------
        vectors : ndarray or sparse matrix, float64
            The same object stands for the same values: what is kept is made read-only.
        kernel : fastml._kernel.KernelFunction
        dtype : dtype
        n_rows : int
            How many rows will be predicted.
        dense : bool
            Sparse vectors are made dense.
        """
        key, prepared = self._key, self._prepared
        if prepared is not None and key[0] is vectors and key[1:] == (kernel, dtype):
            return prepared
        prepared = _gram().prepare(as_kernel_rows(vectors.toarray() if dense else vectors, dtype), kernel)
        if n_rows < MANY_ROWS:
            for array in (vectors,) if isinstance(vectors, np.ndarray) else _arrays_of(vectors):
                array.flags.writeable = False
            self._key, self._prepared = (vectors, kernel, dtype), prepared
        return prepared


def _arrays_of(X):
    return X.data, X.indices, X.indptr


def _gram():
    return for_device("cpu").gram


def as_kernel_rows(X: Any, dtype: Any) -> Any:
    """An array, or a sparse matrix with sorted indices and none twice, as the kernels take rows."""
    if isinstance(X, np.ndarray):
        return np.require(X, dtype, ["C", "A"])
    index = np.result_type(X.indices, X.indptr)
    return CSR(
        np.require(X.data, dtype, ["C", "A"]),
        np.require(X.indices, index, ["C", "A"]),
        np.require(X.indptr, index, ["C", "A"]),
        X.shape,
    )


def block_rows(n_rows: int, row_bytes: int) -> int:
    return max(1, min(n_rows, max(MIN_BLOCK_ROWS, BLOCK_BYTES // max(1, row_bytes))))


def slices(n_rows: int, size: int) -> Iterator[slice]:
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def _rows_between(X, rows, dense):
    if not isinstance(X, CSR):
        return X[rows]
    first, last = X.indptr[rows.start], X.indptr[rows.stop]
    indptr = X.indptr[rows.start : rows.stop + 1] - first
    block = CSR(X.data[first:last], X.indices[first:last], indptr, (rows.stop - rows.start, X.shape[1]))
    return sparse.csr_array(block[:3], block.shape).toarray() if dense else block


def matrix_expansions(
    K: np.ndarray, columns: np.ndarray, coef: np.ndarray, starts: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """As ``kernel_expansions``, of a kernel matrix that there is already: some of its columns."""
    for rows in slices(len(K), block_rows(len(K), len(columns) * K.itemsize)):
        values = K[rows].take(columns, axis=1)
        sums = np.empty((len(values), len(starts) - 1, len(coef)))
        for segment, (start, end) in enumerate(pairwise(starts.tolist())):
            sums[:, segment] = values[:, start:end] @ coef[:, start:end].T
        yield rows, sums


def kernel_expansions(
    X: Any, prepared: Any, kernel: Any, coef: np.ndarray, starts: np.ndarray, dense: bool = False
) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of X's rows, each with sums of kernel values times coefficients, of shape (n_rows, n_segments, n_sums).

    Parameters
    ----------
    X : ndarray or CSR
        Of any float dtype; a block at a time is converted to the prepared one.
    prepared : what ``gram.prepare`` gave for the support vectors
    kernel : fastml._kernel.KernelFunction
    coef : ndarray of shape (n_sums, n_support_vectors), of the prepared dtype
    starts : ndarray of shape (n_segments + 1,), int64
        Where segments of support vectors begin, and where the last one ends.
    dense : bool
        Sparse rows are made dense, block by block, as the support vectors were.
    """
    gram = _gram()
    n_rows, n_segments, n_sums = X.shape[0], len(starts) - 1, len(coef)
    converts = dense or X.dtype != coef.dtype
    row_bytes = 8 * max(n_segments * n_sums, X.shape[1] if converts else 0)
    for rows in slices(n_rows, block_rows(n_rows, row_bytes)):
        sums = np.empty((rows.stop - rows.start, n_segments, n_sums))
        block = as_kernel_rows(_rows_between(X, rows, dense), coef.dtype)
        gram.expansions(block, prepared, kernel, coef, starts, sums)
        yield rows, sums


class OneVsOne:
    """The pairwise decision functions of all classes: positive for the pair's first class.

    A support vector of class c has a coefficient for each of the other classes: n_classes - 1 multiplications a
    kernel value.

    Parameters
    ----------
    n_support : ndarray of shape (n_classes,)
    intercept : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    """

    def __init__(self, n_support, intercept):
        self.n_classes = len(n_support)
        self.intercept = intercept
        first, second = pair_indices(self.n_classes)
        # In LIBSVM's layout a class's coefficients against the others are in the order of these.
        self.of_first = first * (self.n_classes - 1) + second - 1
        self.of_second = second * (self.n_classes - 1) + first

    def values(self, sums):
        """Decision values of shape (n_rows, n_pairs).

        Parameters
        ----------
        sums : ndarray of shape (n_rows, n_classes, n_classes - 1)
            What the support vectors of each class say of it and each of the others.
        """
        flat = sums.reshape(len(sums), -1)
        values = flat.take(self.of_first, axis=1)
        values += flat.take(self.of_second, axis=1)
        values += self.intercept
        return values

    def votes(self, values):
        """The class that wins most pairs, the first of several: its number, for every row of decision values."""
        if self.n_classes == 2:
            return 1 - (values[:, 0] > 0).astype(np.intp)
        # A column a pair, so that all is done on whole arrays; and not by a matrix product, whose BLAS threads go on
        # spinning on processors that the caller's next fit or prediction needs.
        wins = np.ascontiguousarray((values > 0).T).astype(np.int32)
        # A class begins with a vote from each before it, which it loses where that one wins.
        counts = np.repeat(np.arange(self.n_classes, dtype=np.int32)[:, None], len(values), axis=1)
        start = 0
        for first in range(self.n_classes - 1):
            end = start + self.n_classes - 1 - first
            counts[first] += wins[start:end].sum(axis=0, dtype=np.int32)
            counts[first + 1 :] -= wins[start:end]
            start = end
        return counts.argmax(axis=0)


@lru_cache(maxsize=16)
def pair_indices(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second class of every pair, in LIBSVM's order."""
    return np.triu_indices(n_classes, 1)
