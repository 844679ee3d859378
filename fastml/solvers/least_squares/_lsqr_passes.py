"""LSQR over rows that are not factorised: CSR, and few dense ones."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsqr

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._rows import Rows

# Of dense rows in float64 that are copied rather than factorised: the copy costs less than a pass of LSQR, where a
# factorisation costs as much as n_features / 2 of them. A fit of 5,000 x 50 takes 0.7 ms, and took 2.8 ms factorised;
# of 200 x 1,000, 1.0 ms and 11.5 ms.
FEW_BYTES = 2**24


def is_few(rows: Rows) -> bool:
    """Whether dense rows are few enough for LSQR over a copy."""
    return 8 * rows.shape[0] * rows.shape[1] <= FEW_BYTES


def solve_lsqr_passes(
    rows: Rows,
    mean: np.ndarray,
    target_mean: np.ndarray,
    alphas: np.ndarray,
    tol: float,
    max_iter: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by LSQR, with two passes over X an iteration; of CSR, means are taken off products.

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
    operator = centred_operator(rows, mean) if isinstance(rows.data.X, CSR) else _centred_copy(rows, mean)
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


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for at the end
def _centred_copy(rows: Rows, mean: np.ndarray) -> np.ndarray:
    copy = rows.data.X.astype(np.float64)
    copy -= mean
    if rows.data.weight is not None:
        copy *= rows.root_weights()[:, None]
    if not np.isfinite(copy).all():
        raise overflow_error()
    return copy


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
