"""L-BFGS: a quasi-Newton method in little memory."""

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from fastml.solvers import _line_search
from fastml.solvers._line_search import Rules
from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers._vectors import dot
from fastml.solvers.lbfgs._memory import Memory

# Pairs that L-BFGS-B keeps, and scikit-learn's ftol.
N_PAIRS = 10
RELATIVE_REDUCTION = 64 * float(np.finfo(np.float64).eps)

BY_GRADIENT = "converged: no element of the gradient exceeds tol"
BY_REDUCTION = "converged: the objective is no longer reduced"
# Why it ended otherwise, with SciPy's numbers and words.
AT_LIMIT = 1, "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
NO_STEP = 2, "ABNORMAL: the line search found no lower point"


def bytes_held(n: int) -> int:
    """Bytes that a search over ``n`` weights holds."""
    return 8 * n * (2 * N_PAIRS + 8)


def search(
    objective: Objective,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    callback: Callable[[np.ndarray], None] | None = None,
) -> Generator[Any, Any, Outcome]:
    """Minimise a smooth objective by L-BFGS.

    The steps and stopping criteria are those of L-BFGS-B without bounds, as scikit-learn calls SciPy's: 10 pairs, line
    search with mu = 1e-3 and eta = 0.9, and the end where no element of the gradient exceeds ``tol``, or the objective
    is reduced by less than 64 eps of the larger of its size and 1.

    Linear convergence on strongly convex objectives (Liu and Nocedal, theorem 6.1), in practice in far fewer passes
    than gradient descent.

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (n_columns, n_features + 1)
    tol : float
    max_iter : int
        With 0 a single iteration is made, as by SciPy, and ``n_iter`` is 0.
    callback : callable, optional
        Called with the weights after each iteration.

    Returns
    -------
    Outcome
        By ``yield from``, or from ``fastml.solvers._passes.run``.

    Raises
    ------
    ValueError
        If the objective or its gradient is not finite at ``start``.

    References
    ----------
    D. C. Liu, J. Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", Mathematical Programming
    45, 1989.
    """
    point = np.ascontiguousarray(start, dtype=np.float64).ravel()
    value, gradient = yield from objective.evaluate(point)
    history = [value]

    def ended(n_iter: int, converged: bool, message: str) -> Outcome:
        weights = point.reshape(objective.shape)
        return Outcome(weights, n_iter, converged, message, value, history)

    objective.raise_on_overflow(value, gradient)
    if largest(gradient) <= tol:
        return ended(0, True, BY_GRADIENT)
    memory, n_iter = Memory(point.size, N_PAIRS), 0
    rules = Rules(1e-3, 0.9, 0.1, 0.0, 1e10, 50, objective.resolution)
    while True:
        direction = memory.direction(gradient)
        slope = dot(gradient, direction)
        if slope >= 0.0 and len(memory):
            memory.forget()
            continue
        first = 1.0 if n_iter else 1.0 / math.sqrt(dot(direction, direction))
        taken: list[np.ndarray] = []
        step = yield from _line_search.search(
            _along(objective, point, direction, taken), value, slope, first, rules
        )
        if step.length == 0.0 or not step.value < value + objective.resolution * abs(value):
            if len(memory):
                memory.forget()
                continue
            flat = -slope <= objective.resolution * abs(value)
            if flat:
                return ended(n_iter, True, BY_REDUCTION)
            return ended(n_iter, False, _failure(min(n_iter, max_iter), max_iter, *NO_STEP))
        new_point, new_gradient = taken
        movement, change = new_point - point, new_gradient - gradient
        point, gradient, before, value = new_point, new_gradient, value, step.value
        n_iter += 1
        history.append(value)
        if callback is not None:
            callback(point.reshape(objective.shape))
        if largest(gradient) <= tol:
            return ended(min(n_iter, max_iter), True, BY_GRADIENT)
        if before - value <= RELATIVE_REDUCTION * max(abs(before), abs(value), 1.0):
            return ended(min(n_iter, max_iter), True, BY_REDUCTION)
        if n_iter >= max_iter:
            return ended(max_iter, False, _failure(max_iter, max_iter, *AT_LIMIT))
        curvature = dot(movement, change)
        if curvature > np.finfo(np.float64).eps * -slope * step.length:
            memory.add(movement, change, curvature, gradient)


def _failure(n_iter: int, max_iter: int, status: int, reason: str) -> str:
    advice = (
        "You might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
    if n_iter == max_iter:
        advice = (
            f"Increase the number of iterations to improve the convergence (max_iter={max_iter}).\n{advice}"
        )
    return f"lbfgs failed to converge after {n_iter} iteration(s) (status={status}):\n{reason}\n\n{advice}"


def _along(objective, point, direction, taken):
    """Value and slope of the objective at a step; ``taken`` becomes the point and its gradient."""

    def evaluate(step):
        trial = point + step * direction
        value, gradient = yield from objective.evaluate(trial)
        taken[:] = trial, gradient
        return value, dot(gradient, direction)

    return evaluate
