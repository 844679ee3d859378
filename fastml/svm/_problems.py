"""The dual problems of the five kernel machines, as the solver takes them.

``rows`` are of int32; y, target and C (upper bounds, weights included) of float64; all of shape (n_rows,). The pairs of
a classifier lie one after another: pair k from ``starts[k]`` to ``starts[k + 1]``.

References
----------
C.-C. Chang, C.-J. Lin, "LIBSVM: A Library for Support Vector Machines", ACM TIST 2(3), 2011, section 2 and 4.1.2
(feasible starting points).
"""

import numpy as np

from fastml.solvers.smo import Problems, spend


def c_svc(rows, y, C, starts):
    """C-support vector classification (eq. 2): y in {-1, +1} and the bounds C of the given rows."""
    n = len(rows)
    return Problems(rows, y, np.full(n, -1.0), C, np.zeros(n), starts)


def nu_svc(rows, y, C, starts, nu):
    """nu-support vector classification (eq. 6): the alphas of either class sum to half of nu times all bounds."""
    n_pairs = len(starts) - 1
    pair = np.repeat(np.arange(n_pairs), np.diff(starts))
    half = nu * _finite(np.bincount(pair, C, minlength=n_pairs)) / 2.0
    alpha = spend(np.repeat(half, 2), C, 2 * pair + (y < 0))
    return Problems(rows, y, np.zeros(len(rows)), C, alpha, starts, nu=True)


def one_class(rows, C, nu):
    """The distribution's support (eq. 8): all alphas sum to nu times all bounds."""
    n = len(rows)
    return Problems.single(rows, np.ones(n), np.zeros(n), C, _fill(C, nu * _total(C)))


def epsilon_svr(rows, target, C, epsilon):
    """epsilon-support vector regression (eq. 9): a variable pulling up and one pulling down for every row."""
    n = len(rows)
    p = np.concatenate([epsilon - target, epsilon + target])
    return Problems.single(np.tile(rows, 2), _up_and_down(n), p, np.tile(C, 2), np.zeros(2 * n))


def nu_svr(rows, target, C, nu):
    """nu-support vector regression (eq. 12): either half sums to half of nu times all bounds."""
    half = _fill(C, nu * _total(C) / 2.0)
    p = np.concatenate([-target, target])
    return Problems.single(
        np.tile(rows, 2), _up_and_down(len(rows)), p, np.tile(C, 2), np.tile(half, 2), nu=True
    )


def regression_coefficients(alpha):
    """Of every row: what pulls up less what pulls down."""
    up, down = alpha.reshape(2, -1)
    return up - down


def _up_and_down(n):
    return np.repeat([1.0, -1.0], n)


def _total(C):
    with np.errstate(over="ignore"):  # ``_finite`` says so
        return _finite(C.sum())


def _finite(total):
    if not np.isfinite(total).all():
        raise ValueError("The sum of the sample weights, times C, is not finite.")
    return total


def _fill(C, total):
    """Raise the first variables to their bounds until ``total`` is spent."""
    spent_before = np.concatenate([[0.0], np.cumsum(C)[:-1]])
    return np.clip(total - spent_before, 0.0, C)
