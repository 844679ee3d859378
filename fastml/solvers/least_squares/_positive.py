"""Coefficients that are not negative.

References
----------
C. Zhu, R. H. Byrd, P. Lu, J. Nocedal, "Algorithm 778: L-BFGS-B", ACM TOMS 23, 1997.
R. Bro, S. De Jong, "A Fast Non-Negativity-Constrained Least Squares Algorithm", Journal of Chemometrics 11, 1997.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize, nnls

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.glm_data import Rule, new_models
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._moments import MOST_SPARSE_FEATURES, Moments, moments
from fastml.solvers.least_squares._orthogonal import Factors
from fastml.solvers.least_squares._rows import Rows


def solve_positive(
    rows: Rows, alphas: np.ndarray, tol: float, max_iter: int | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Ridge with coefficients >= 0 by SciPy's L-BFGS-B.

    Objective and gradient come from the moments of tall rows, so that X is read once, and the solution is made exact
    among the coefficients above zero; of others from a pass over X each time, and so where columns are collinear and
    no penalty mends it: rounded products of features have no minimum then.

    Parameters
    ----------
    rows : Rows
    alphas : ndarray of shape (n_targets,)
    tol : float
        L-BFGS-B's ``ftol`` and ``gtol``.
    max_iter : int or None

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features)
    intercept : ndarray of shape (n_targets,)
    converged : bool
    """
    n_features = rows.shape[1]
    options: dict[str, Any] = {} if max_iter is None else {"maxiter": max_iter}
    coef, converged = np.zeros((len(alphas), n_features)), True
    by_moments = rows.is_tall and (n_features <= MOST_SPARSE_FEATURES or not isinstance(rows.data.X, CSR))
    if by_moments:
        taken = moments(rows)
        mean, target_mean = taken.mean, taken.target_mean
        by_moments = lapack.dpotrf(taken.gram + alphas.min() * np.eye(n_features))[1] == 0
    if by_moments:
        objectives = [
            _of_moments(taken, k, _half_square(rows, k, target_mean[k])) for k in range(len(alphas))
        ]
    else:
        mean, target_mean = rows.means()
        objectives = [_of_passes(rows, k, mean, target_mean[k]) for k in range(len(alphas))]
    for k, (objective, alpha) in enumerate(zip(objectives, alphas, strict=True)):

        def penalised(w: np.ndarray, objective: Any = objective, alpha: float = alpha) -> Any:
            value, gradient = objective(w)
            return value + 0.5 * alpha * (w @ w), gradient + alpha * w

        result = minimize(
            penalised,
            np.zeros(n_features),
            method="L-BFGS-B",
            tol=tol,
            jac=True,
            bounds=[(0, np.inf)] * n_features,
            options=options,
        )
        coef[k], converged = result.x, converged and bool(result.success)
        if by_moments and result.success:
            coef[k] = _polished(coef[k], taken.gram, taken.cross[k], float(alpha))
    return coef, target_mean - coef @ mean, converged


def _polished(coef: np.ndarray, gram: np.ndarray, cross: np.ndarray, alpha: float) -> np.ndarray:
    """The optimum among the coefficients above zero, where these stay above it; else what was given."""
    free = np.flatnonzero(coef > 0.0)
    matrix = gram[np.ix_(free, free)] + alpha * np.eye(len(free))
    _, solution, info = lapack.dposv(matrix, cross[free]) if len(free) else (None, coef[free], 0)
    if info != 0 or (solution < 0.0).any() or not np.allclose(solution, coef[free], rtol=1e-2, atol=1e-8):
        return coef
    out = np.zeros_like(coef)
    out[free] = solution
    return out


def _half_square(rows: Rows, k: int, mean: float) -> float:
    """Half of the sum of squares of a target about its mean: L-BFGS-B compares values to their size."""
    total = 0.0
    root = rows.root_weights()
    for chosen in rows.blocks():
        total += float((((rows.targets(chosen)[:, k] - mean) * root[chosen]) ** 2).sum())
    return 0.5 * total


def _of_moments(taken: Moments, k: int, constant: float) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        product = taken.gram @ w
        return constant + float(w @ (0.5 * product - taken.cross[k])), product - taken.cross[k]

    return objective


def _of_passes(
    rows: Rows, k: int, mean: np.ndarray, target_mean: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    backend, models = for_device(rows.device), new_models(1)
    coded = rows.data.target.dtype == np.int32
    models["target"], models["weighting"] = 0 if coded else k, rows.weighting
    models["positive_class"] = k if coded and rows.n_targets > 1 else 1
    weights, gradient, value = np.zeros((1, rows.shape[1] + 1)), np.zeros((1, rows.shape[1] + 1)), np.zeros(1)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        weights[0, :-1] = w
        weights[0, -1] = target_mean - mean @ w
        backend.glm.evaluate(rows.data, Rule("squared_error"), models, weights, value, gradient)
        if not np.isfinite(value[0]):
            raise overflow_error()
        return float(value[0]), gradient[0, :-1] - mean * gradient[0, -1]

    return objective


def solve_nnls(rows: Rows, factored: Factors) -> np.ndarray:
    """Least squares with coefficients >= 0, by SciPy's active-set method on the triangular factor.

    More features than rows leave no smaller problem: these rows are copied.
    """
    matrix = factored.matrix
    if not factored.is_tall:
        matrix = rows.block(slice(None), factored.mean) * rows.root_weights()[:, None]
    return np.array([nnls(matrix, right)[0] for right in factored.right.T])
