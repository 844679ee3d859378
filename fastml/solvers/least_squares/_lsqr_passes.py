"""LSQR over rows that are not factorised: CSR."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsqr

from fastml.kernels import for_device
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import Rows


def solve_lsqr_passes(
    rows: Rows,
    mean: np.ndarray,
    target_mean: np.ndarray,
    alphas: np.ndarray,
    tol: float,
    max_iter: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by LSQR, with two passes over X an iteration; means are taken off products.

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
    operator = centred_operator(rows, mean)
    root, n_features = rows.root_weights(), rows.shape[1]
    coef, n_iter = np.empty((len(alphas), n_features)), np.empty(len(alphas), dtype=np.int32)
    for k, alpha in enumerate(alphas):
        right = (rows.targets()[:, k] - target_mean[k]) * root
        limit = 2 * n_features if max_iter is None else max_iter
        result = lsqr(operator, right, damp=np.sqrt(alpha), atol=tol, btol=tol, iter_lim=limit)
        coef[k], n_iter[k] = result[0], result[2]
    if not np.isfinite(coef).all():
        raise overflow_error()
    return coef, n_iter


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
        return gradient[0, :-1] - mean * gradient[0, -1]

    return LinearOperator(rows.shape, matvec=product, rmatvec=transposed, dtype=np.float64)
