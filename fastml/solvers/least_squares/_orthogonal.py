"""Orthogonal factorisations of centred rows, block by block, and what they solve.

The rows with their targets beside them are factorised a block at a time, below the triangle that the blocks before it
have left (Demmel, Grigori, Hoemmen and Langou's TSQR with a flat tree). That is backward stable, as a factorisation of
all rows would be, and holds one block and one triangle. More columns than rows are factorised by columns.

References
----------
J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal Parallel and Sequential QR and LU
Factorizations", SIAM Journal on Scientific Computing 34, 2012.
C. C. Paige, M. A. Saunders, "LSQR: An Algorithm for Sparse Linear Equations and Sparse Least Squares", ACM TOMS 8,
1982.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import svd
from scipy.sparse.linalg import lsqr

from fastml.solvers._errors import overflow_error
from fastml.solvers.least_squares._products import dual_coefficients
from fastml.solvers.least_squares._rows import Rows


class Factors(NamedTuple):
    """X = Q A for orthonormal columns Q (tall), or X = A Q' (wide), of centred and weighted rows.

    Attributes
    ----------
    matrix : ndarray
        A: tall, of shape (at most n_features + n_targets, n_features), below whose first n_features rows are zeros;
        wide, of shape (n_rows, n_rows).
    right : ndarray of shape (len(matrix), n_targets)
        Q' y (tall; the norm of each column is y's), or y.
    mean, target_mean : ndarray
    is_tall : bool
    """

    matrix: np.ndarray
    right: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray
    is_tall: bool


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is looked for at the end
def factors(rows: Rows) -> Factors:
    """Factorise centred, weighted rows, tall or wide.

    Raises
    ------
    ValueError
        If a row is not finite.
    """
    mean, target_mean = rows.means()
    root = rows.root_weights()[:, None]
    n_features = rows.shape[1]
    if not rows.is_tall:
        triangle = np.zeros((0, rows.shape[0]))
        for _, block in rows.columns(mean):
            block *= root
            triangle = _triangle(np.concatenate([triangle, block.T]))
        target = (rows.targets() - target_mean) * root
        return Factors(triangle.T, target, mean, target_mean, False)
    n_columns = n_features + rows.n_targets
    triangle = np.zeros((0, n_columns))
    for chosen in rows.blocks(least=4 * n_columns):
        block = np.empty((len(triangle) + chosen.stop - chosen.start, n_columns))
        block[: len(triangle)] = triangle
        new = block[len(triangle) :]
        np.subtract(rows.block(chosen), mean, out=new[:, :n_features])
        np.subtract(rows.targets(chosen), target_mean, out=new[:, n_features:])
        new *= root[chosen]
        triangle = _triangle(block)
    return Factors(triangle[:, :n_features], triangle[:, n_features:], mean, target_mean, True)


def few_factors(rows: Rows) -> Factors:
    """`factors` for `solve_svd`, of few rows the rows themselves, whose singular vectors keep all digits.

    A wide factor leaves coefficients to a combination of rows, in which those of condition 1e8 have none left.
    """
    if rows.is_tall or not rows.is_few:
        return factors(rows)
    mean, target_mean = rows.means()
    target = (rows.targets() - target_mean) * rows.root_weights()[:, None]
    return Factors(rows.centred_copy(mean), target, mean, target_mean, True)


def _triangle(block: np.ndarray) -> np.ndarray:
    if not np.isfinite(block).all():
        raise overflow_error()
    return np.asarray(np.linalg.qr(block, mode="r"))


def solve_svd(
    rows: Rows, factored: Factors, alphas: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions of least norm, from singular values.

    Parameters
    ----------
    rows : Rows
    factored : Factors
        Of the rows.
    alphas : ndarray of shape (n_targets,)
    cutoff : float
        Singular values below this share of the largest one are taken for 0.

    Returns
    -------
    coef : ndarray of shape (n_targets, n_features)
    singular : ndarray of shape (min(n_rows, n_features),)
    """
    left, s, right = _decomposed(factored)
    kept = s > cutoff * s.max(initial=0.0)
    # s / (s^2 + alpha), of which no square leaves float64's range.
    inverse = 1.0 / (s[kept, None] + alphas / s[kept, None])
    projected = (left.T @ factored.right)[kept] * inverse
    if factored.is_tall:
        return projected.T @ right[kept], s
    largest = s.max(initial=0.0)
    dual = (left[:, kept] @ (projected * (largest / s[kept, None]))).T
    return dual_coefficients(rows, factored.mean, dual) / (largest or 1.0), s


def _decomposed(factored: Factors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = factored.matrix.shape[1]
    if not factored.is_tall:
        return svd(factored.matrix, full_matrices=False)
    left, s, right = svd(factored.matrix[:n], full_matrices=False)
    below = np.zeros((max(0, len(factored.matrix) - n), len(s)))
    return np.concatenate([left, below]), s, right


def solve_lsqr(
    rows: Rows, factored: Factors, alphas: np.ndarray, tol: float, max_iter: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by LSQR, whose iterates the orthogonal factor leaves as they are.

    Parameters
    ----------
    rows : Rows
    factored : Factors
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
    n_features = rows.shape[1]
    limit = 2 * n_features if max_iter is None else max_iter
    matrix, left, s = factored.matrix, np.zeros((0, 0)), np.zeros(0)
    if not factored.is_tall:
        # In the coordinates of the right singular vectors, of which coefficients never leave the span.
        left, s, _ = _decomposed(factored)
        kept = s > np.finfo(np.float64).eps * max(rows.shape) * s.max(initial=0.0)
        left, s = left[:, kept], s[kept]
        matrix = left * s
    found, n_iter = np.empty((len(alphas), matrix.shape[1])), np.empty(len(alphas), dtype=np.int32)
    for k, alpha in enumerate(alphas):
        result = lsqr(matrix, factored.right[:, k], damp=np.sqrt(alpha), atol=tol, btol=tol, iter_lim=limit)
        found[k], n_iter[k] = result[0], result[2]
    if factored.is_tall:
        return found, n_iter
    return dual_coefficients(rows, factored.mean, (found / s) @ left.T), n_iter
