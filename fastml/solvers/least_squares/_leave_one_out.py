"""Leave-one-out errors of ridge regressions with many penalties, without leaving a row out.

With H = X (X'X + alpha)^-1 X' of centred and weighted rows, the error of a row that is left out is that of the fit with
it over 1 - H_ii - weight_i / sum(weight) (Rifkin and Lippert, eq. 4; the last term is the intercept's). One
decomposition, of X'X or, for fewer rows than features, of X X', is shared by all penalties, and so is the pass over the
rows that makes errors: H_ii is a sum of squares of a row's coordinates, over eigenvalue + alpha.

Reference
---------
R. M. Rifkin, R. A. Lippert, "Notes on Regularized Least Squares", MIT-CSAIL-TR-2007-025, 2007.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from fastml._csr import CSR
from fastml.solvers.least_squares._moments import moments
from fastml.solvers.least_squares._orthogonal import factors
from fastml.solvers.least_squares._products import dual_coefficients, products
from fastml.solvers.least_squares._rows import Rows

# The smallest eigenvalue and penalty together, relative to the largest eigenvalue, for which products are relied upon:
# rounding makes some 1e-15 of the largest out of 0, and what is divided by less than that is noise.
LEAST_EIGENVALUE = 1e-10


class LeaveOneOut(NamedTuple):
    """What all penalties share.

    Attributes
    ----------
    rows : Rows
    mean, target_mean : ndarray
    values : ndarray of shape (n,)
        Eigenvalues.
    vectors : ndarray of shape (n_features, n), or (n_rows, n) for more features than rows
    projected : ndarray of shape (n, n_targets)
        Coordinates of X'y, or y.
    """

    rows: Rows
    mean: np.ndarray
    target_mean: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    projected: np.ndarray

    def coefficients(self, alphas: np.ndarray) -> np.ndarray:
        """Coefficients of each target, with a penalty for each, of shape (n_targets, n_features)."""
        solved = (self.vectors @ (self.projected / (self.values[:, None] + alphas))).T
        return solved if self.rows.is_tall else dual_coefficients(self.rows, self.mean, solved)

    def errors(self, alphas: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Errors of rows left out, times the roots of their weights: (n, n_targets, n_alphas) of a block at a time."""
        inverse = 1.0 / (self.values[:, None] + alphas)
        each = (self.projected[:, :, None] * inverse[:, None, :]).reshape(
            len(inverse), self.rows.n_targets * len(alphas)
        )
        root, rows = self.rows.root_weights(), self.rows
        share = 1.0 / (root @ root) if rows.fit_intercept else 0.0
        if not self.rows.is_tall:
            for chosen in rows.blocks():
                vectors = self.vectors[chosen]
                solved = (vectors @ each).reshape(-1, rows.n_targets, len(alphas))
                yield chosen, solved / (vectors**2 @ inverse)[:, None]
            return
        for chosen in rows.blocks():
            coordinates = rows.block(chosen, self.mean) @ self.vectors
            of_rows = root[chosen, None]
            fitted = (coordinates @ each).reshape(-1, rows.n_targets, len(alphas))
            residual = (rows.targets(chosen) - self.target_mean)[:, :, None] - fitted
            kept = 1.0 - of_rows**2 * (coordinates**2 @ inverse + share)
            yield chosen, of_rows[:, :, None] * residual / kept[:, None]


def leave_one_out(rows: Rows, by_svd: bool, least_alpha: float) -> LeaveOneOut:
    """Decompose.

    Parameters
    ----------
    rows : Rows
    by_svd : bool
        Whether from singular values of a triangular factor rather than eigenvalues of products: twice the digits for
        directions in which rows hardly differ, and a slower pass over the rows. Dense rows are decomposed so in any
        case where eigenvalues have not the digits.
    least_alpha : float
        The smallest of the penalties.

    Returns
    -------
    LeaveOneOut

    Raises
    ------
    ValueError
        If X is not finite.
    """
    found = _decomposed(rows, by_svd)
    if by_svd or isinstance(rows.data.X, CSR) or not found.values.size:
        return found
    enough = found.values.min() + least_alpha >= LEAST_EIGENVALUE * found.values.max()
    return found if enough else _decomposed(rows, True)


def _decomposed(rows: Rows, by_svd: bool) -> LeaveOneOut:
    if rows.is_tall:
        return _tall(rows, by_svd)
    if by_svd:
        matrix, _, mean, target_mean, _ = factors(rows)
        target = (rows.targets() - target_mean) * rows.root_weights()[:, None]
    else:
        taken = products(rows, exact=True)
        matrix, mean, target, target_mean = taken.gram, taken.mean, taken.target.T, taken.target_mean
    values, vectors = _dual_decomposed(rows, matrix, by_svd)
    return LeaveOneOut(rows, mean, target_mean, values, vectors, vectors.T @ target)


def _tall(rows: Rows, by_svd: bool) -> LeaveOneOut:
    if by_svd:
        factored = factors(rows)
        left, s, right = svd(factored.matrix[: rows.shape[1]], full_matrices=False)
        projected = s[:, None] * (left.T @ factored.right[: len(left)])
        return LeaveOneOut(rows, factored.mean, factored.target_mean, s**2, right.T, projected)
    taken = moments(rows, exact=True)  # errors divide by what differs from 1 by little
    values, vectors = np.linalg.eigh(taken.gram)
    values = np.maximum(values, 0.0)
    return LeaveOneOut(rows, taken.mean, taken.target_mean, values, vectors, vectors.T @ taken.cross.T)


def _dual_decomposed(rows: Rows, matrix: np.ndarray, by_svd: bool) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and vectors of X X', but for the vector that centring has taken the rows' span."""
    root = rows.root_weights()
    root /= np.linalg.norm(root)
    # Made the largest, at twice what any other can be, so that it is told from directions in which rows do not differ.
    largest = 2.0 * len(matrix) * np.abs(matrix).max(initial=0.0) or 1.0
    if by_svd:
        beside = [largest * root[:, None]] if rows.fit_intercept else []
        vectors, s, _ = svd(np.concatenate([*beside, matrix], axis=1), full_matrices=False)
        values = s**2
    else:
        added = largest * np.outer(root, root) if rows.fit_intercept else 0.0
        values, vectors = np.linalg.eigh(matrix + added)
        values, vectors = np.maximum(values, 0.0)[::-1], vectors[:, ::-1]
    first = int(rows.fit_intercept)
    return values[first:], vectors[:, first:]
