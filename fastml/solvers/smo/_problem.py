"""What the solver takes and gives, and what of a solution follows from alpha and the gradient."""

from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """One dual problem: min 1/2 a'Qa + p'a s.t. y'a = const (and e'a = const where nu), 0 <= a <= C.

    Q_ij = y_i y_j k(x_i, x_j) (Chang & Lin 2011, eqs. 1 to 14).

    Attributes
    ----------
    rows : ndarray of int32, shape (n_variables,)
        The row of X that each variable stands on; in SVR every row twice.
    y : ndarray of float64, shape (n_variables,)
        -1 or +1.
    p : ndarray of float64, shape (n_variables,)
    C : ndarray of float64, shape (n_variables,)
        Upper bounds. A variable whose bound is zero takes no part.
    alpha : ndarray of float64, shape (n_variables,)
        A feasible start. Not written to.
    nu : bool
        Whether pairs are selected within one sign of y.
    folds : tuple of Problem
        The same problem for cross-validation: of the same rows, y and p, where some bounds are zero. Each is solved
        after this one, from its solution (``_folds.py``).
    """

    rows: np.ndarray
    y: np.ndarray
    p: np.ndarray
    C: np.ndarray
    alpha: np.ndarray
    nu: bool = False
    folds: tuple["Problem", ...] = ()


class Solution(NamedTuple):
    """The solution of a problem.

    Attributes
    ----------
    alpha : ndarray of float64, shape (n_variables,)
    rho : float
        The decision function is sum_i y_i alpha_i k(x_i, x) - rho.
    r : float
        In nu problems LIBSVM's r, by which the caller rescales alpha and rho; else 1.
    n_iter : int
        Pairs updated.
    objective : float
        Of the dual, at alpha.
    converged : bool
        False where ``max_iter`` ended it.
    decision : ndarray of float64, shape (n_variables,)
        sum_j y_j alpha_j k(x_j, x_i) for the row of each variable, of those that take no part too.
    folds : tuple of Solution
        Of the problem's folds.
    """

    alpha: np.ndarray
    rho: float
    r: float
    n_iter: int
    objective: float
    converged: bool
    decision: np.ndarray
    folds: tuple["Solution", ...] = ()


def solution(
    problem: Problem, alpha: np.ndarray, gradient: np.ndarray, n_iter: int, converged: bool
) -> Solution:
    """What follows from alpha and the gradient.

    Parameters
    ----------
    problem : Problem
    alpha : ndarray of float64, shape (n_variables,)
    gradient : ndarray of float64, shape (n_variables,)
        As in ``fastml.kernels.reference.smo``: y_i times the derivative by alpha_i.
    n_iter : int
    converged : bool

    Returns
    -------
    Solution

    References
    ----------
    Chang & Lin 2011, section 4.1.5.
    """
    y, C = problem.y, problem.C
    # 1/2 a'Qa + p'a = 1/2 a'(Qa + p) + 1/2 p'a, and y times the gradient is Qa + p.
    # Not by BLAS, whose threads would go on spinning where the next problem's kernel values are computed: 14 % of all
    # samples of a fit of MNIST's 45 problems.
    with np.errstate(over="ignore", invalid="ignore"):  # squares of C; nothing but the report depends on it
        objective = 0.5 * float((alpha * (y * gradient + problem.p)).sum())
    decision = gradient - y * problem.p
    takes_part = C > 0
    y, C, alpha_of, gradient = y[takes_part], C[takes_part], alpha[takes_part], gradient[takes_part]
    if not problem.nu:
        at_upper = np.where(y > 0, alpha_of >= C, alpha_of <= 0)
        at_lower = np.where(y > 0, alpha_of <= 0, alpha_of >= C)
        rho = _level(gradient, at_lower, at_upper)
        return Solution(alpha, rho, 1.0, n_iter, objective, converged, decision)
    levels = []
    for sign in (1.0, -1.0):
        own = y == sign
        levels.append(_level(sign * gradient[own], alpha_of[own] <= 0, alpha_of[own] >= C[own]))
    positive, negative = levels
    rho, r = (positive - negative) / 2, (positive + negative) / 2
    return Solution(alpha, rho, r, n_iter, objective, converged, decision)


def _level(gradient: np.ndarray, at_lower: np.ndarray, at_upper: np.ndarray) -> float:
    """The gradient's mean over what is free, or the middle of what the bounded variables allow."""
    free = ~(at_lower | at_upper)
    if free.any():
        return float(gradient[free].mean())
    return float(gradient[at_lower].min(initial=np.inf) + gradient[at_upper].max(initial=-np.inf)) / 2
