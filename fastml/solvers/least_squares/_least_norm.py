"""Solutions of least norm without a penalty, and singular values, as LAPACK's gelsd has them.

Products of features (of rows, where there are fewer) need one pass over X, and their eigenvalues are the squares of
singular values. Squares have half the digits: they are enough where each direction is either well above what rounding
makes of 0, or below ``cutoff`` by more than that, so that gelsd leaves it out too. Columns of very different sizes are
brought to one (equilibrated) first, for how near they are to collinear does not depend on sizes. Where neither is
enough, rows themselves are decomposed, or an orthogonal factor of theirs.

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
from fastml.solvers.least_squares._orthogonal import factors, solve_svd
from fastml.solvers.least_squares._products import dual_coefficients, products_in_range
from fastml.solvers.least_squares._rows import Rows

# The smallest eigenvalue that is kept, relative to the largest: of float64's 16 digits it leaves ten to float64 rows,
# and six to float32 ones, which have no more.
LEAST_EIGENVALUE = {"float64": 1e-6, "float32": 1e-10}

# Rounding moves eigenvalues by some 1e-15 of the largest, and surely by less than this.
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
    least = LEAST_EIGENVALUE[rows.data.X.dtype.name]
    found = (_by_features if rows.is_tall else _by_rows)(rows, cutoff, least)
    return _orthogonally(rows, cutoff) if found is None else found


def _by_features(rows: Rows, cutoff: float, least: float) -> LeastNorm | None:
    taken = moments_in_range(rows, exact=True)
    if taken is None:  # squares have left float64's range; rows need not have
        return None
    solved = _by_eigenvalues(taken.gram, taken.cross, cutoff, least)
    if solved is None:
        solved = _equilibrated(taken, cutoff, least)
    return None if solved is None else LeastNorm(*solved, taken.mean, taken.target_mean)


def _by_rows(rows: Rows, cutoff: float, least: float) -> LeastNorm | None:
    taken = products_in_range(rows, exact=True)
    if taken is None:  # as above
        return None
    gram, filling = taken.gram, 0.0
    if rows.fit_intercept:
        root = rows.root_weights()
        # The products of centred rows have the weights' roots for a null vector, along which targets have no part. With
        # the mean of all eigenvalues there they are of full rank, as a rule, and Cholesky's factor is enough.
        filling = float(gram.diagonal().mean())
        gram += filling / (root @ root) * np.outer(root, root)
    solved = _by_eigenvalues(gram, taken.target, cutoff, least)
    if solved is None:
        return None
    dual, singular = solved
    if rows.fit_intercept:
        singular = _filled(np.delete(singular, np.abs(singular**2 - filling).argmin()), len(gram))
    coef = dual_coefficients(rows, taken.mean, dual)
    return LeastNorm(coef, singular, taken.mean, taken.target_mean)


def _n_left_out(values: np.ndarray, share: float, least: float) -> int | None:
    """How many of ascending eigenvalues are below a share of the largest.

    None where rounding leaves that open, or another one is below ``least`` of the largest, and not to be relied upon.
    """
    largest = values[-1] if len(values) else 0.0
    if not SMALLEST < largest < LARGEST:
        return None
    n = int(np.searchsorted(values, share * largest, side="right"))
    if n == len(values) or values[n] < least * largest:
        return None
    return None if n and np.abs(values[:n]).max() > (share - ROUNDED) * largest else n


def _by_eigenvalues(
    products: np.ndarray, right: np.ndarray, cutoff: float, least: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Solutions by target, and singular values; eigenvectors are needed only where some are left out."""
    values = _eigenvalues(products)
    n = _n_left_out(values, cutoff**2, least)
    if n is None:
        return None
    if n == 0:
        _, solution, info = lapack.dposv(products.T, right.T)
        return None if info else (solution.T, np.sqrt(values[::-1]))
    values, vectors = _eigenvectors(products)
    coef = (right @ vectors[:, n:] / values[n:]) @ vectors[:, n:].T
    return coef, _filled(np.sqrt(values[n:]), len(values))


def _equilibrated(taken: Moments, cutoff: float, least: float) -> tuple[np.ndarray, np.ndarray] | None:
    """By a factor B of the products, B'B, that is made of columns brought to one size, and brought back.

    Singular values of columns of one size are not those that ``cutoff`` is for: what of them is left out is nothing but
    rounding, and changes B by less than ``cutoff`` of its norm, which is that of its longest column at least.
    """
    squares = taken.gram.diagonal()
    if not SMALLEST < squares.min() <= squares.max() < LARGEST:
        return None
    sizes = np.sqrt(squares)
    values, vectors = _eigenvectors(taken.gram / sizes / sizes[:, None])
    n = _n_left_out(values, 2.0 * ROUNDED, least)
    if n is None or (n and ROUNDED * values[-1] > cutoff**2):
        return None
    roots, vectors = np.sqrt(values[n:]), vectors[:, n:]
    factor, right = (vectors * roots).T * sizes, (taken.cross / sizes) @ vectors / roots
    coef, singular = _gelsd(factor, right.T, cutoff)
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
        return LeastNorm(*_gelsd(rows.centred_copy(mean), target, cutoff), mean, target_mean)
    factored, n_features = factors(rows), rows.shape[1]
    if factored.is_tall:  # without singular vectors
        solved = _gelsd(factored.matrix[:n_features], factored.right[:n_features], cutoff)
    else:
        solved = solve_svd(rows, factored, np.zeros(rows.n_targets), cutoff)
    return LeastNorm(*solved, factored.mean, factored.target_mean)


def _gelsd(matrix: np.ndarray, right: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Solutions by target, and singular values, by LAPACK's gelsd."""
    solution, _, _, singular = lstsq(matrix, right, cond=cutoff, check_finite=False)
    return solution.T, singular
