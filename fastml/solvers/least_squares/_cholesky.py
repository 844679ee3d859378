"""The normal equations, primal or dual, by Cholesky's factorisation."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import blas, lapack

from fastml._csr import CSR
from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._moments import Moments
from fastml.solvers.least_squares._rows import Rows


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


def solve_dual(gram: np.ndarray, target: np.ndarray, alphas: np.ndarray, epsilon: float) -> np.ndarray | None:
    """Dual coefficients (X X' + alpha)^-1 y of each target, as `solve_primal`; ``gram`` is X X'."""
    return _solve(gram, target, alphas, epsilon)


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


def dual_gram(rows: Rows, mean: np.ndarray) -> np.ndarray:
    """X X' of centred and weighted rows, in float64; ValueError if it is not finite."""
    gram = dual_gram_in_range(rows, mean)
    if gram is None:
        raise overflow_error()
    return gram


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for at the end
def dual_gram_in_range(rows: Rows, mean: np.ndarray) -> np.ndarray | None:
    """As `dual_gram`; None where it is not finite."""
    if isinstance(rows.data.X, CSR):
        X, root = rows.sparse(), rows.root_weights()
        of_mean = X @ mean
        products = (X @ X.T).toarray() - of_mean - of_mean[:, None] + mean @ mean
        out = root * products * root[:, None]
    else:
        # By SciPy's BLAS, as what is solved: NumPy's has threads of its own, which spin while the other's work.
        triangle = np.zeros(2 * rows.shape[:1], order="F")
        for _, block in rows.columns(mean):
            triangle = blas.dsyrk(1.0, block.T, beta=1.0, c=triangle, trans=1, overwrite_c=1)
        out = triangle + np.triu(triangle, 1).T
    return out if np.isfinite(out).all() else None


def dual_coefficients(rows: Rows, mean: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """X' c for each row c of ``dual``."""
    if isinstance(rows.data.X, CSR):
        weighted = dual * rows.root_weights()
        return (rows.sparse().T @ weighted.T).T - weighted.sum(axis=1)[:, None] * mean
    out = np.empty((len(dual), rows.shape[1]))
    for chosen, block in rows.columns(mean):
        out[:, chosen] = blas.dgemm(1.0, block.T, dual.T).T
    return out
