"""LSQR over rows that are not factorised: CSR, and dense ones for few targets."""

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsqr

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import BLOCK_BYTES, Rows

# Passes that LSQR makes for a target: two an iteration, of which there are a dozen. A factorisation takes as long as
# FACTORISATION of them, and as one more for every other column of its triangle.
PASSES = 24
FACTORISATION = 20

# Rounding of products, relative to them and to LSQR's tolerance, that is not worth a copy of a block.
ROUNDING = 1e-2

# Of a block that is copied, which is to stay in a cache between its making and its use; and rows of which float32
# products are summed in float32.
PASS_BYTES = 2**20
FLOAT32_ROWS = 4096


def passes_pay(rows: Rows) -> bool:
    """Whether LSQR is to go over the rows rather than over their factor, which all targets share."""
    return (
        isinstance(rows.data.X, CSR)
        or rows.is_few
        or rows.n_targets == 1
        or rows.n_targets * PASSES <= FACTORISATION + min(rows.shape) / 2
    )


def solve_lsqr_passes(
    rows: Rows,
    mean: np.ndarray,
    target_mean: np.ndarray,
    alphas: np.ndarray,
    tol: float,
    max_iter: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by LSQR, with two passes over X an iteration.

    Means are taken off products of CSR rows, and of dense ones where rounding stays far below ``tol``; else off blocks
    of rows.

    Parameters
    ----------
    rows : Rows
    mean, target_mean : ndarray
        Of ``rows.means()``.
    alphas : ndarray of shape (n_targets,)
    tol : float
        LSQR's ``atol`` and ``btol``.
    max_iter : int or None
        None: twice as many as there are features.

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features)
    n_iter : ndarray of int32, shape (n_targets,)
    """
    operator = _operator(rows, mean, tol)
    root, n_features = rows.root_weights(), rows.shape[1]
    coef, n_iter = np.empty((len(alphas), n_features)), np.empty(len(alphas), dtype=np.int32)
    for k, alpha in enumerate(alphas):
        right = (rows.targets()[:, k] - target_mean[k]) * root
        if not right.any():  # LSQR would not look at the rows
            operator.T @ np.ones(len(right))
        limit = 2 * n_features if max_iter is None else max_iter
        result = lsqr(operator, right, damp=np.sqrt(alpha), atol=tol, btol=tol, iter_lim=limit)
        coef[k], n_iter[k] = result[0], result[2]
    if not np.isfinite(coef).all():
        raise overflow_error()
    return coef, n_iter


def _operator(rows: Rows, mean: np.ndarray, tol: float) -> Any:
    X = rows.data.X
    if isinstance(X, CSR):
        return centred_operator(rows, mean)
    if rows.is_few:
        return rows.centred_copy(mean)
    rounding = float(np.finfo(X.dtype).eps)
    if rounding * _relative_mean(rows, mean) <= ROUNDING * tol:
        return _dense_operator(rows, mean, np.zeros(len(mean), X.dtype))
    return _dense_operator(rows, mean, mean.astype(X.dtype if rounding <= ROUNDING * tol else np.float64))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _relative_mean(rows: Rows, mean: np.ndarray) -> float:
    """How much larger rows are than what is left of a sample of them without the mean: digits lost in products."""
    if not mean.any():
        return 1.0
    step = max(1, 8 * rows.data.X.size // BLOCK_BYTES)
    sample = rows.block(slice(None, None, step), mean)
    return float(np.sqrt(1.0 + mean @ mean / (np.einsum("ij,ij->", sample, sample) / len(sample))))


def centred_operator(rows: Rows, mean: np.ndarray) -> LinearOperator:
    """Centred and weighted rows, as SciPy's solvers take them."""
    glm, X, root = for_device(rows.device).glm, rows.data.X, rows.root_weights()
    weights, gradient = np.zeros((1, rows.shape[1] + 1)), np.zeros((1, rows.shape[1] + 1))
    margins, value, models = np.empty((rows.shape[0], 1), X.dtype), np.zeros(1), new_models(1)

    def product(v: np.ndarray) -> np.ndarray:
        weights[0, :-1] = v.ravel()
        weights[0, -1] = -(mean @ weights[0, :-1])
        glm.margins(X, weights, margins)
        return margins[:, 0] * root

    def transposed(u: np.ndarray) -> np.ndarray:
        # The gradient of a squared error where all weights are 0.
        target = np.ascontiguousarray(-(root * u.ravel()))[None]
        weights[:] = 0.0
        glm.evaluate(Data(X, target), Rule("squared_error"), models, weights, value, gradient)
        if not np.isfinite(gradient).all():  # LSQR would go on to its last iteration
            raise overflow_error()
        return gradient[0, :-1] - mean * gradient[0, -1]

    return LinearOperator(rows.shape, matvec=product, rmatvec=transposed, dtype=np.float64)


@np.errstate(invalid="ignore")  # an infinite mean, which the first product will tell
def _dense_operator(rows: Rows, mean: np.ndarray, shift: np.ndarray) -> LinearOperator:
    """Dense centred and weighted rows: ``shift`` is taken off them in its dtype, what is left of ``mean`` off products.

    Without a shift rows are multiplied where they lie.
    """
    X, (n_rows, n_features), root = rows.data.X, rows.shape, rows.root_weights()
    in_place = shift.dtype == X.dtype and not shift.any()
    size = max(1, PASS_BYTES // (shift.itemsize * n_features))
    if in_place:
        size = n_rows if X.dtype == np.float64 else FLOAT32_ROWS
    room = np.empty((0 if in_place else size, n_features), shift.dtype)
    slices = [slice(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]
    rest = mean - shift

    def block(chosen: slice) -> np.ndarray:
        return (
            X[chosen] if in_place else np.subtract(X[chosen], shift, out=room[: chosen.stop - chosen.start])
        )

    def product(v: np.ndarray) -> np.ndarray:
        vector, out = v.ravel().astype(shift.dtype), np.empty(n_rows)
        for chosen in slices:
            out[chosen] = block(chosen) @ vector
        return (out - rest @ v.ravel()) * root

    @np.errstate(over="ignore", invalid="ignore")
    def transposed(u: np.ndarray) -> np.ndarray:
        weighted = root * u.ravel()
        vector, out = weighted.astype(shift.dtype), np.zeros(n_features)
        for chosen in slices:
            out += vector[chosen] @ block(chosen)
        if not np.isfinite(out).all():  # LSQR would go on to its last iteration
            raise overflow_error()
        return out - weighted.sum() * rest

    return LinearOperator(rows.shape, matvec=product, rmatvec=transposed, dtype=np.float64)
