"""What the solver takes and gives, and what of solutions follows from alpha and the gradient.

The variables of all problems lie in the same arrays, one problem after another: an estimator of 200 classes has 19,900
problems, of a microsecond or two each.
"""

from typing import Any, NamedTuple, Self

import numpy as np

EPSILON = float(np.finfo(np.float64).eps)
_OF_PROBLEMS = ("rho", "r", "n_iter", "converged")


class Problems(NamedTuple):
    """Dual problems: min 1/2 a'Qa + p'a s.t. y'a = const (and e'a = const where nu), 0 <= a <= C, each.

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
    starts : ndarray of int64, shape (n_problems + 1,)
        The first variable of each problem, and their number; every problem has some.
    nu : bool
        Whether pairs are selected within one sign of y.
    folds : tuple of Problems
        The same problems for cross-validation: of the same rows, y, p and starts, where some bounds are zero. Each is
        solved after these, from their solutions (``_folds.py``).
    """

    rows: np.ndarray
    y: np.ndarray
    p: np.ndarray
    C: np.ndarray
    alpha: np.ndarray
    starts: np.ndarray
    nu: bool = False
    folds: tuple["Problems", ...] = ()

    @property
    def sizes(self) -> np.ndarray:
        """Number of variables of each problem, shape (n_problems,)."""
        return self.starts[1:] - self.starts[:-1]

    @classmethod
    def single(
        cls,
        rows: np.ndarray,
        y: np.ndarray,
        p: np.ndarray,
        C: np.ndarray,
        alpha: np.ndarray,
        nu: bool = False,
    ) -> Self:
        """One problem of all variables."""
        return cls(rows, y, p, C, alpha, np.array([0, len(y)]), nu)

    def some(self, numbers: np.ndarray) -> Self:
        """Those of these numbers, ascending, and their folds."""
        if len(numbers) == len(self.starts) - 1:
            return self
        variables, starts = variables_of(self.starts, numbers)
        of_variables: dict[str, Any] = {
            name: getattr(self, name)[variables] for name in ("rows", "y", "p", "C", "alpha")
        }
        folds = tuple(fold.some(numbers) for fold in self.folds)
        return self._replace(starts=starts, folds=folds, **of_variables)


class Solutions(NamedTuple):
    """The solutions of problems.

    Attributes
    ----------
    alpha : ndarray of float64, shape (n_variables,)
    decision : ndarray of float64, shape (n_variables,)
        sum_j y_j alpha_j k(x_j, x_i) for the row of each variable, of those that take no part too.
    starts : ndarray of int64, shape (n_problems + 1,)
        The problems'.
    rho : ndarray of float64, shape (n_problems,)
        The decision function is sum_i y_i alpha_i k(x_i, x) - rho.
    r : ndarray of float64, shape (n_problems,)
        In nu problems LIBSVM's r, by which the caller rescales alpha and rho; else 1.
    n_iter : ndarray of int64, shape (n_problems,)
        Pairs updated.
    converged : ndarray of bool, shape (n_problems,)
        False where ``max_iter`` ended it.
    folds : tuple of Solutions
        Of the problems' folds.
    """

    alpha: np.ndarray
    decision: np.ndarray
    starts: np.ndarray
    rho: np.ndarray
    r: np.ndarray
    n_iter: np.ndarray
    converged: np.ndarray
    folds: tuple["Solutions", ...] = ()

    @property
    def sizes(self) -> np.ndarray:
        """Number of variables of each problem, shape (n_problems,)."""
        return self.starts[1:] - self.starts[:-1]

    def some(self, numbers: np.ndarray) -> Self:
        """Those of these numbers, and their folds."""
        variables, starts = variables_of(self.starts, numbers)
        of_variables = {name: getattr(self, name)[variables] for name in ("alpha", "decision")}
        of_problems = {name: getattr(self, name)[numbers] for name in _OF_PROBLEMS}
        arrays: dict[str, Any] = {**of_variables, **of_problems}
        folds = tuple(fold.some(numbers) for fold in self.folds)
        return self._replace(starts=starts, folds=folds, **arrays)


def variables_of(starts: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The variables of the problems of these numbers, one problem after another, and where each then starts."""
    sizes = starts[numbers + 1] - starts[numbers]
    new_starts = np.concatenate([[0], np.cumsum(sizes)])
    return np.repeat(starts[numbers] - new_starts[:-1], sizes) + np.arange(new_starts[-1]), new_starts


def joined(parts: list[Solutions], numbers: list[np.ndarray]) -> Solutions:
    """Solutions in parts, each with its problems' numbers, in the order of these."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate(numbers))
    return _concatenated(parts).some(order)


def _concatenated(parts):
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("alpha", "decision", *_OF_PROBLEMS)
    }
    starts = np.cumsum([0, *(n for part in parts for n in part.sizes)])
    folds = tuple(_concatenated(folds) for folds in zip(*(part.folds for part in parts)))
    return parts[0]._replace(starts=starts, folds=folds, **arrays)


def solutions_at(
    problems: Problems, alpha: np.ndarray, gradient: np.ndarray, n_iter: np.ndarray, converged: np.ndarray
) -> Solutions:
    """What follows from alpha and the gradient.

    Parameters
    ----------
    problems : Problems
    alpha : ndarray of float64, shape (n_variables,)
    gradient : ndarray of float64, shape (n_variables,)
        As in ``fastml.kernels.reference.smo``: y_i times the derivative by alpha_i.
    n_iter : ndarray of int64, shape (n_problems,)
    converged : ndarray of bool, shape (n_problems,)

    Returns
    -------
    Solutions

    References
    ----------
    Chang & Lin 2011, section 4.1.5.
    """
    y, p, C, starts = problems.y, problems.p, problems.C, problems.starts
    takes_part, at_zero, at_C = C > 0, alpha <= 0, alpha >= C
    positive = y > 0
    if not problems.nu:
        at_lower, at_upper = np.where(positive, at_zero, at_C), np.where(positive, at_C, at_zero)
        rho, r = _levels(gradient, takes_part, at_lower, at_upper, starts), np.ones(len(starts) - 1)
    else:
        of_positive = _levels(gradient, takes_part & positive, at_zero, at_C, starts)
        of_negative = _levels(-gradient, takes_part & ~positive, at_zero, at_C, starts)
        rho, r = (of_positive - of_negative) / 2, (of_positive + of_negative) / 2
    return Solutions(alpha, gradient - y * p, starts, rho, r, n_iter, converged)


def _levels(gradient, own, at_lower, at_upper, starts):
    """Of each problem: the gradient's mean over what is free, or the middle of what the bounded variables allow."""
    first = starts[:-1]
    free = own & ~(at_lower | at_upper)
    n_free = np.add.reduceat(free, first, dtype=np.int64)
    levels = np.add.reduceat(np.where(free, gradient, 0.0), first)
    some = n_free > 0
    levels[some] /= n_free[some]
    if not some.all():
        least = np.minimum.reduceat(np.where(own & at_lower, gradient, np.inf), first)
        greatest = np.maximum.reduceat(np.where(own & at_upper, gradient, -np.inf), first)
        with np.errstate(invalid="ignore"):  # inf - inf, where no variable takes part
            np.copyto(levels, (least + greatest) / 2, where=~some)
    return levels
