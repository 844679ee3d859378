"""The normal equations, primal or dual, by Cholesky's factorisation."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lapack

from fastml.solvers.least_squares._moments import Moments
from fastml.solvers.least_squares._products import Products


def solve_primal(moments: Moments, alphas: np.ndarray, epsilon: float) -> np.ndarray | None:
    """Coefficients (X'X + alpha)^-1 X'y of each target.

    Parameters
    ----------
    moments : Moments
    alphas : ndarray of shape (n_targets,)
    epsilon : float
        How exact the moments are.

    Returns
    -------
    ndarray of shape (n_targets, n_features), or None where a matrix is singular up to ``epsilon``
    """
    return _solve(moments.gram, moments.cross, alphas, epsilon)


def solve_dual(products: Products, alphas: np.ndarray, epsilon: float) -> np.ndarray | None:
    """Dual coefficients (X X' + alpha)^-1 y of each target, as `solve_primal`."""
    return _solve(products.gram, products.target, alphas, epsilon)


def _solve(matrix: np.ndarray, right: np.ndarray, alphas: np.ndarray, epsilon: float) -> np.ndarray | None:
    out = np.empty(right.shape)
    if not matrix.size:
        return out
    for alpha, chosen in _each(alphas):
        shifted = matrix.T.copy()
        shifted.ravel()[:: len(matrix) + 1] += alpha
        norm = np.abs(shifted).sum(axis=0).max()
        factor, solution, info = lapack.dposv(shifted.T, right[chosen].T, overwrite_a=1)
        if info != 0 or lapack.dpocon(factor, norm)[0] < epsilon:
            return None
        out[chosen] = solution.T
    return out


def _each(alphas: np.ndarray) -> Iterator[tuple[float, np.ndarray | slice]]:
    """Distinct penalties, and the targets that have them."""
    if len(alphas) == 1 or (alphas == alphas[0]).all():
        yield float(alphas[0]), slice(None)
        return
    for alpha in np.unique(alphas):
        yield float(alpha), np.flatnonzero(alphas == alpha)


def pseudo_inverse(matrix: np.ndarray, right: np.ndarray, alphas: np.ndarray, epsilon: float) -> np.ndarray:
    """The solution of least norm, from eigenvalues, of which those below ``epsilon`` are taken for 0.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
    right : ndarray of shape (n_targets, n)
    alphas : ndarray of shape (n_targets,)
    epsilon : float
        Relative to the largest eigenvalue.

    Returns
    -------
    ndarray of shape (n_targets, n)
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = values > epsilon * len(values) * values.max(initial=0.0)
    projected = right @ vectors[:, kept]
    return (projected / (values[kept] + alphas[:, None])) @ vectors[:, kept].T
