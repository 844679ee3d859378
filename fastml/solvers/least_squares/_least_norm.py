"""Solutions of least norm without a penalty, and singular values, as LAPACK's gelsd has them.

Products of features (of rows, where there are fewer) need one pass over X, and their eigenvalues are the squares of
singular values. Squares have half the digits: they are enough where each direction is either well above what rounding
makes of 0, or so far below ``cutoff`` that gelsd leaves it out too. Columns of very different sizes are brought to one
first, for how near they are to collinear does not depend on sizes. Where neither is enough, rows themselves are
decomposed, or an orthogonal factor of theirs.

References
----------
G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th edition, 2013, sections 5.3.2 (normal equations), 5.3.8 (beside
orthogonal factors) and 5.5 (least norm).
A. van der Sluis, "Condition Numbers and Equilibration of Matrices", Numerische Mathematik 14, 1969.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, lapack, lstsq

from fastml.solvers.least_squares._moments import Moments, moments_in_range
from fastml.solvers.least_squares._orthogonal import factors
from fastml.solvers.least_squares._products import dual_coefficients, products_in_range
from fastml.solvers.least_squares._rows import Rows

# The smallest eigenvalue that is kept, relative to the largest: of float64's 16 digits it leaves ten to float64 rows,
# and six to float32 ones, which have no more.
LEAST_EIGENVALUE = {"float64": 1e-6, "float32": 1e-10}

# Rounding makes some 1e-15 of the largest eigenvalue out of 0: what is left out is told from it down to this share.
ROUNDED = 1e-13

# Between these, sums of products and their eigenvalues stay in float64's range.
SMALLEST, LARGEST = 1e-200, 1e200


class LeastNorm(NamedTuple):
    """Solutions of least norm.

    Attributes
    ----------
    coef : ndarray of shape (n_targets, n_features)
    singular : ndarray of shape (min(n_rows, n_features),)
        Singular values of centred, weighted rows, largest first; those left out may be 0 or what rounding makes of it.
    mean, target_mean : ndarray
    """

    coef: np.ndarray
    singular: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray


def solve_least_norm(rows: Rows, cutoff: float) -> LeastNorm:
    """Solutions of least norm without a penalty.

    Parameters
    ----------
    rows : Rows
        Dense ones.
    cutoff : float
        Singular values below this share of the largest one are taken for 0.

    Returns
    -------
    LeastNorm

    Raises
    ------
    ValueError
        If a row is not finite.
    """
    found = _by_features(rows, cutoff) if rows.is_tall else _by_rows(rows, cutoff)
    return _orthogonally(rows, cutoff) if found is None else found


def _by_features(rows: Rows, cutoff: float) -> LeastNorm | None:
    taken = moments_in_range(rows, exact=True)
    if taken is None:  # squares have left float64's range; rows need not have
        return None
    rule = _Rule(cutoff, LEAST_EIGENVALUE[rows.data.X.dtype.name])
    solved = _by_eigenvalues(taken.gram, taken.cross, rule)
    if solved is None:
        solved = _of_one_size(taken, rule)
    return None if solved is None else LeastNorm(*solved, taken.mean, taken.target_mean)


def _by_rows(rows: Rows, cutoff: float) -> LeastNorm | None:
    taken = products_in_range(rows, exact=True)
    if taken is None:  # as above
        return None
    gram, filling = taken.gram, 0.0
    if rows.fit_intercept:
        root = rows.root_weights()
        # Centred rows have no part along the weights' roots. Given one there, they are of full rank, as a rule.
        filling = float(gram.diagonal().mean())
        gram += filling / (root @ root) * np.outer(root, root)
    solved = _by_eigenvalues(gram, taken.target, _Rule(cutoff, LEAST_EIGENVALUE[rows.data.X.dtype.name]))
    if solved is None:
        return None
    dual, singular = solved
    if rows.fit_intercept:
        singular = _filled(np.delete(singular, np.abs(singular**2 - filling).argmin()), len(gram))
    coef = dual_coefficients(rows, taken.mean, dual)
    return LeastNorm(coef, singular, taken.mean, taken.target_mean)


class _Rule(NamedTuple):
    """Which singular values are taken for 0, and down to which share of the largest eigenvalues are relied upon."""

    cutoff: float
    least: float

    def n_left_out(self, values: np.ndarray) -> int | None:
        """How many ascending eigenvalues are; None where that can't be told, or what is left is too small."""
        largest = values[-1] if len(values) else 0.0
        if not SMALLEST < largest < LARGEST:
            return None
        limit = self.cutoff**2 * largest
        n = int(np.searchsorted(values, limit, side="right"))
        if n and (self.cutoff**2 < ROUNDED or np.abs(values[:n]).max() > 0.25 * limit):
            return None
        return None if n == len(values) or values[n] < self.least * largest else n


def _by_eigenvalues(
    products: np.ndarray, right: np.ndarray, rule: _Rule
) -> tuple[np.ndarray, np.ndarray] | None:
    """Solutions by target, and singular values; eigenvectors are needed only where some are left out."""
    values = _eigenvalues(products)
    n = rule.n_left_out(values)
    if n is None:
        return None
    if n == 0:
        _, solution, info = lapack.dposv(products.T, right.T)
        return None if info else (solution.T, np.sqrt(values[::-1]))
    values, vectors = _eigenvectors(products)
    coef = (right @ vectors[:, n:] / values[n:]) @ vectors[:, n:].T
    return coef, _filled(np.sqrt(values[n:]), len(values))


def _of_one_size(taken: Moments, rule: _Rule) -> tuple[np.ndarray, np.ndarray] | None:
    """By a factor B of the products, B'B, that is made of columns brought to one size, and brought back."""
    squares = taken.gram.diagonal()
    if not SMALLEST < squares.min() <= squares.max() < LARGEST:
        return None
    sizes = np.sqrt(squares)
    values, vectors = _eigenvectors(taken.gram / sizes / sizes[:, None])
    n = rule.n_left_out(values)
    if n is None:
        return None
    roots, vectors = np.sqrt(values[n:]), vectors[:, n:]
    factor, right = (vectors * roots).T * sizes, (taken.cross / sizes) @ vectors / roots
    coef, singular = _decomposed(factor, right.T, rule.cutoff)
    return coef, _filled(singular, len(sizes))


# By SciPy, as what is solved: NumPy's BLAS has threads of its own, which spin while the other's work.
_eigenvectors = partial(eigh, driver="evd", check_finite=False)
_eigenvalues = partial(_eigenvectors, eigvals_only=True)


def _filled(singular: np.ndarray, n: int) -> np.ndarray:
    """Largest first, and zeros behind them."""
    out = np.zeros(n)
    out[: len(singular)] = np.sort(singular)[::-1]
    return out


def _orthogonally(rows: Rows, cutoff: float) -> LeastNorm:
    """Few rows as they are, in a copy; of many, their orthogonal factor."""
    if rows.is_few:
        mean, target_mean = rows.means()
        target = (rows.targets() - target_mean) * rows.root_weights()[:, None]
        return LeastNorm(*_decomposed(rows.centred_copy(mean), target, cutoff), mean, target_mean)
    factored = factors(rows)
    n_features = rows.shape[1]
    means = factored.mean, factored.target_mean
    if factored.is_tall:
        triangle, right = factored.matrix[:n_features], factored.right[:n_features]
        return LeastNorm(*_decomposed(triangle, right, cutoff), *means)
    # X = A Q': the solution is X' (A')^+ A^+ y, of which the middle is taken relative to the largest singular value, so
    # that no square leaves float64's range.
    inner, singular = _decomposed(factored.matrix, factored.right, cutoff)
    largest = singular.max(initial=0.0) or 1.0
    dual, _ = _decomposed(factored.matrix.T / largest, inner.T, cutoff)
    return LeastNorm(dual_coefficients(rows, factored.mean, dual) / largest, singular, *means)


def _decomposed(matrix: np.ndarray, right: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by target, and singular values, by LAPACK's gelsd."""
    solution, _, _, singular = lstsq(matrix, right, cond=cutoff, check_finite=False)
    return solution.T, singular
