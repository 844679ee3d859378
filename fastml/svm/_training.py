"""The training rows of a kernel machine and their kernel values: computed at need, or given as a matrix."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils._sparse import _align_api_if_sparse

from fastml._kernel import KernelFunction
from fastml._validation import for_kernels

# Values of X, zeros included, up to which it is small: then sparse rows are made dense, which is about as fast, and
# gives the same kernel values to the bit as the same X in an array; and NumPy's own variance, with its temporary
# copies, is the fastest.
SMALL_SIZE = 1_000_000


class Training(NamedTuple):
    """What a fit knows of its rows.

    Attributes
    ----------
    X : ndarray or sparse matrix
        As validated; what a callable takes.
    rows : ndarray or CSR of shape (n, n_features), or None
        As the kernels take them.
    kernel : KernelFunction or None
    matrix : ndarray of shape (n, n), float64, or None
        Instead of both: the kernel matrix, precomputed or a callable's.
    """

    X: Any
    rows: Any
    kernel: KernelFunction | None
    matrix: np.ndarray | None = None

    def support_vectors(self, support: np.ndarray) -> Any:
        """These rows in float64, as scikit-learn keeps them whatever X is; empty for a kernel matrix."""
        if self.rows is None:
            return np.empty((0, 0))
        if not sparse.issparse(self.X):
            return self.rows[support].astype(np.float64, copy=False)
        rows = sparse.csr_array(self.X)[support].astype(np.float64)
        rows.sum_duplicates()
        return _align_api_if_sparse(rows)


def is_small_and_sparse(X: Any) -> bool:
    return sparse.issparse(X) and X.shape[0] * X.shape[1] <= SMALL_SIZE


def training_rows(X: Any) -> Any:
    """A validated X as the solver takes it."""
    if is_small_and_sparse(X):
        return X.toarray()
    return for_kernels(X, "cpu")


def variance(X: Any) -> float:
    """Of all values of X, in float64, which a float32 X is not copied to as a whole."""
    size = X.shape[0] * X.shape[1]
    if sparse.issparse(X):
        if size <= SMALL_SIZE:
            return float(X.toarray().var(dtype=np.float64))
        values = X.data.astype(np.float64, copy=False)
        return float(values @ values / size - (values.sum() / size) ** 2)
    if size <= SMALL_SIZE:
        return float(X.var(dtype=np.float64))
    mean = X.mean(dtype=np.float64)
    total, n_rows = 0.0, max(1, SMALL_SIZE // X.shape[1])
    for start in range(0, len(X), n_rows):
        differences = np.subtract(X[start : start + n_rows], mean, dtype=np.float64).ravel()
        total += differences @ differences
    return float(total / size)
