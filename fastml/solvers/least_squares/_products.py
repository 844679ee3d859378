"""Products of rows with each other, about the means of features, from one pass over X: where there are fewer rows than
features."""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas

from fastml._csr import CSR
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import Rows

# Features of which float32 products are summed in float32.
FLOAT32_FEATURES = 4096

# A largest square that float32 holds so far above its smallest number that what it rounds to 0 is rounding anyway.
SMALLEST_FLOAT32 = 1e-24


class Products(NamedTuple):
    """Products about the means, or about zero where there is no intercept.

    Attributes
    ----------
    gram : ndarray of shape (n_rows, n_rows)
        root(weight_i weight_j) x_i . x_j.
    target : ndarray of shape (n_targets, n_rows)
        root(weight_i) y_i.
    mean, target_mean : ndarray of shape (n_features,), (n_targets,)
    dtype : type
        Of the arithmetic: float32 or float64.
    """

    gram: np.ndarray
    target: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray
    dtype: Any


def products(rows: Rows, *, exact: bool = False) -> Products:
    """Products of all rows.

    Parameters
    ----------
    rows : Rows
    exact : bool, default=False
        Whether in float64 whatever X is.

    Returns
    -------
    Products

    Raises
    ------
    ValueError
        If a product is not finite.
    """
    taken = products_in_range(rows, exact=exact)
    if taken is None:
        raise overflow_error()
    return taken


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for at the end
def products_in_range(rows: Rows, *, exact: bool = False) -> Products | None:
    """As `products`; None where a product is not finite."""
    root = rows.root_weights()
    target_mean = rows.target_means()
    target = np.ascontiguousarray(((rows.targets() - target_mean) * root[:, None]).T)
    dtype: Any = np.float64
    if isinstance(rows.data.X, CSR):
        gram, mean = _of_sparse(rows, root)
    else:
        dtype = np.float64 if exact else rows.data.X.dtype.type
        gram, mean = _of_dense(rows, root, dtype)
        largest = gram.diagonal().max(initial=0.0)
        if dtype == np.float32 and not SMALLEST_FLOAT32 < largest < np.inf:  # or is not a number
            dtype = np.float64
            gram, mean = _of_dense(rows, root, dtype)
    return Products(gram, target, mean, target_mean, dtype) if np.isfinite(gram).all() else None


def _of_sparse(rows: Rows, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = rows.feature_means()
    X = rows.sparse()
    of_mean = X @ mean
    gram = (X @ X.T).toarray() - of_mean - of_mean[:, None] + mean @ mean
    return root * gram * root[:, None], mean


def _of_dense(rows: Rows, root: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """In the arithmetic of ``dtype``, block by block of columns."""
    # By SciPy's BLAS, as what is solved: NumPy's has threads of its own, which spin while the other's work.
    gemv, syrk = blas.get_blas_funcs(("gemv", "syrk"), dtype=dtype)
    X, (n_rows, n_features) = rows.data.X, rows.shape
    weight, total = rows.weights(), rows.weights().sum()
    gram = np.zeros((n_rows, n_rows), order="F")
    sums = gram if dtype == np.float64 else np.zeros_like(gram, dtype=dtype)
    n_summed, mean = 0, np.zeros(n_features)
    shift = np.zeros(n_features, dtype)
    if rows.fit_intercept:
        shift += blas.get_blas_funcs("gemv", dtype=X.dtype)(1.0, X.T, weight.astype(X.dtype)) / total
        weight = weight.astype(dtype)
    for chosen, block in rows.columns(shift):
        if rows.fit_intercept:
            # The shift has the rounding of numbers as large as the mean; what is left, of those as small as the spread.
            left = gemv(1.0, block.T, weight) / total
            block -= left
            mean[chosen] = np.add(shift[chosen], left, dtype=np.float64)
        if rows.data.weight is not None:
            block *= root.astype(dtype)[:, None]
        sums = syrk(1.0, block.T, beta=1.0, c=sums, trans=1, overwrite_c=1)
        n_summed += block.shape[1]
        if sums is not gram and (n_summed >= FLOAT32_FEATURES or chosen.stop == n_features):
            gram += sums
            sums[:] = 0.0
            n_summed = 0
    return gram + np.triu(gram, 1).T, mean


def dual_coefficients(rows: Rows, mean: np.ndarray, dual: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """Coefficients of features for those of rows.

    Parameters
    ----------
    rows : Rows
    mean : ndarray of shape (n_features,)
    dual : ndarray of shape (n, n_rows)
    dtype : type, default=float64
        Of the arithmetic, where X is dense.

    Returns
    -------
    ndarray of shape (n, n_features)
        X' c of centred and weighted rows for each row c of ``dual``.
    """
    weighted = dual * rows.root_weights()
    if isinstance(rows.data.X, CSR):
        return (rows.sparse().T @ weighted.T).T - weighted.sum(axis=1)[:, None] * mean
    largest = np.abs(weighted).max(initial=0.0) or 1.0  # coefficients may be beyond float32's range
    shift, right = mean.astype(dtype), (weighted / largest).T.astype(dtype)
    gemm = blas.get_blas_funcs("gemm", dtype=dtype)
    out = np.empty((len(dual), rows.shape[1]))
    for chosen, block in rows.columns(shift):
        out[:, chosen] = gemm(1.0, block.T, right).T
    return largest * out - weighted.sum(axis=1)[:, None] * (mean - shift)
