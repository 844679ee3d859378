"""Decision functions: kernel values against the support vectors, times the dual coefficients, by blocks of rows.

A block of kernel values is small enough to stay in the cache while it is multiplied, so that memory does not depend
on the number of rows.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.kernels import for_device

# Of kernel values. Blocks must have enough rows for the matrix product to reuse what it packs.
BLOCK_BYTES = 8 * 2**20
MIN_BLOCK_ROWS = 64
# From so many rows on, the laying out of the support vectors is small beside their use, and nothing is kept.
MANY_ROWS = 256
# Pairs of classes up to which one product for all of them is faster than one per class.
FEW_PAIRS = 64
LINEAR = KernelFunction("linear")


class KeptLayout:
    """The support vectors as laid out for the last prediction of few rows: for such, laying out is half the work.

    Pickles and copies empty.
    """

    def __init__(self):
        self._key: Any = None
        self._prepared: Any = None

    def __reduce__(self):
        return KeptLayout, ()

    def prepare(self, vectors, kernel, dtype, n_rows):
        """``gram.prepare`` of the support vectors, converted to dtype.

        Parameters
        ----------
        vectors : ndarray or sparse matrix, float64
            The same object stands for the same values: what is kept is made read-only.
        kernel : fastml._kernel.KernelFunction
        dtype : dtype
        n_rows : int
            How many rows will be predicted.
        """
        key, prepared = self._key, self._prepared
        if prepared is not None and key[0] is vectors and key[1:] == (kernel, dtype):
            return prepared
        prepared = _gram().prepare(as_kernel_rows(vectors, dtype), kernel)
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


def kernel_blocks(X: Any, prepared: Any, kernel: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of X's rows, each with kernel values against the prepared rows; the memory of these is used again."""
    gram = _gram().gram
    n_rows, n_columns = X.shape[0], prepared.shape[0]
    size = block_rows(n_rows, n_columns * prepared.dtype.itemsize)
    block = np.empty((size, n_columns), prepared.dtype)
    for rows in slices(n_rows, size):
        values = block[: rows.stop - rows.start]
        if n_columns:
            gram(_rows_between(X, rows), prepared, kernel, values)
        yield rows, values


def precomputed_blocks(K: np.ndarray, columns: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """As ``kernel_blocks``, of a kernel matrix that there is already: some of its columns."""
    for rows in slices(len(K), block_rows(len(K), len(columns) * K.itemsize)):
        yield rows, K[rows].take(columns, axis=1)


def block_rows(n_rows: int, row_bytes: int) -> int:
    return max(1, min(n_rows, max(MIN_BLOCK_ROWS, BLOCK_BYTES // max(1, row_bytes))))


def slices(n_rows: int, size: int) -> Iterator[slice]:
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def _rows_between(X, rows):
    if not isinstance(X, CSR):
        return X[rows]
    first, last = X.indptr[rows.start], X.indptr[rows.stop]
    indptr = X.indptr[rows.start : rows.stop + 1] - first
    return CSR(X.data[first:last], X.indices[first:last], indptr, (rows.stop - rows.start, X.shape[1]))


class Expansions:
    """Sums of kernel values times coefficients, by the Gram kernels' own product.

    NumPy's BLAS leaves threads that go on spinning for a while on the processors that the next block of kernel
    values needs.

    Parameters
    ----------
    coef : ndarray of shape (n_sums, n_columns)
    dtype : dtype
        Of the kernel values, and of the sums.
    """

    def __init__(self, coef, dtype):
        self.prepared = _gram().prepare(np.require(coef, dtype, ["C", "A"]), LINEAR)

    def sums(self, K):
        """Of shape (n_rows, n_sums), for a contiguous block of kernel values of shape (n_rows, n_columns)."""
        sums = np.empty((len(K), self.prepared.shape[0]), self.prepared.dtype)
        _gram().gram(K, self.prepared, LINEAR, sums)
        return sums


class OneVsOne:
    """The pairwise decision functions of all classes: positive for the pair's first class.

    A support vector of class c has a coefficient for each of the other classes. Where pairs are few, one product
    serves all of them, though most coefficients in it are zero. Else one per class, of its columns of the kernel
    block with its coefficients, which costs n_classes - 1 multiplications a kernel value, not
    n_classes (n_classes - 1) / 2.

    Parameters
    ----------
    dual_coef : ndarray of shape (n_classes - 1, n_support_vectors)
        In LIBSVM's layout: a class's coefficients against the others, in the order of these.
    n_support : ndarray of shape (n_classes,)
    intercept : ndarray of shape (n_classes * (n_classes - 1) / 2,)
    dtype : dtype
        Of the kernel values, and of the products.
    """

    def __init__(self, dual_coef, n_support, intercept, dtype):
        self.n_classes = len(n_support)
        self.intercept = intercept
        ends = n_support.cumsum().tolist()
        self.segments = [slice(start, end) for start, end in zip([0, *ends], ends)]
        self.all_pairs = None
        if len(intercept) <= FEW_PAIRS:
            self.all_pairs = Expansions(self._coef_of_pairs(dual_coef), dtype)
            return
        coefs = dual_coef.T.astype(dtype)
        self.coefs = [coefs[segment] for segment in self.segments]

    def values(self, K):
        """Decision values of shape (n_rows, n_pairs), float64, of a block of kernel values."""
        if self.all_pairs is not None:
            return self.all_pairs.sums(K) + self.intercept
        # against[:, c, d]: what the support vectors of class c say of the pair of c and d.
        against = np.empty((len(K), self.n_classes, self.n_classes))
        for c, (segment, coef) in enumerate(zip(self.segments, self.coefs)):
            product = K[:, segment] @ coef
            against[:, c, :c], against[:, c, c + 1 :] = product[:, :c], product[:, c:]
        first, second = pair_indices(self.n_classes)
        return against[:, first, second] + against[:, second, first] + self.intercept

    def _coef_of_pairs(self, dual_coef):
        """Every pair's coefficients, of shape (n_pairs, n_support_vectors)."""
        if self.n_classes == 2:
            return dual_coef
        coef = np.zeros((len(self.intercept), dual_coef.shape[1]))
        for pair, (a, b) in enumerate(zip(*pair_indices(self.n_classes))):
            coef[pair, self.segments[a]] = dual_coef[b - 1, self.segments[a]]
            coef[pair, self.segments[b]] = dual_coef[a, self.segments[b]]
        return coef

    def votes(self, values):
        """The class that wins most pairs, the first of several: its number, for every row of decision values."""
        wins = values > 0
        if self.n_classes == 2:
            return 1 - wins[:, 0].astype(np.intp)
        won_by_first, won_by_second = _winners(self.n_classes)
        counts = wins.astype(np.float32) @ (won_by_first - won_by_second)
        counts += won_by_second.sum(axis=0)
        return counts.argmax(axis=1)


@lru_cache(maxsize=16)
def pair_indices(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second class of every pair, in LIBSVM's order."""
    return np.triu_indices(n_classes, 1)


@lru_cache(maxsize=16)
def _winners(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Votes of every pair, of shape (n_pairs, n_classes), should its first or its second class win.

    In float32, which holds such small integers, so that a matrix product counts them.
    """
    classes = np.arange(n_classes)
    first, second = ((of_pair[:, None] == classes).astype(np.float32) for of_pair in pair_indices(n_classes))
    return first, second
