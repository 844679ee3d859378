"""Newton-CG: steps of Newton's method, found by conjugate gradients from products with the Hessian."""

import math
from collections.abc import Generator
from typing import Any

import numpy as np

from fastml.solvers import _line_search
from fastml.solvers._line_search import Rules
from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers._vectors import dot

NO_REDUCTION = "converged: the objective is no longer reduced"

# Conjugate gradients' iterations for one step, at most.
MAX_INNER = 200


def search(
    objective: Objective, start: np.ndarray, *, tol: float, max_iter: int
) -> Generator[Any, Any, Outcome]:
    """Minimise a twice differentiable objective by truncated Newton steps.

    The Newton equation H s = -g is solved until |residual|_1 <= min(1/2, sqrt(|g|_1)) |g|_1, with a line search
    (mu = 1e-4, eta = 0.9) along s; the search ends where no element of g exceeds ``tol``, as scikit-learn's solver of
    this name does, or where a step reduces neither the objective nor g, which are rounded. Near the solution it
    converges superlinearly, here with order 3/2 (Dembo, Eisenstat and Steihaug, corollary 3.5).

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (n_columns, n_features + 1)
    tol : float
    max_iter : int
        Newton steps at most.

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
    R. S. Dembo, S. C. Eisenstat, T. Steihaug, "Inexact Newton Methods", SIAM Journal on Numerical Analysis 19, 1982.
    J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd edition, 2006, algorithm 7.1.
    """
    point = np.ascontiguousarray(start, dtype=np.float64).ravel()
    value, gradient = yield from objective.evaluate(point, keep=True)
    objective.raise_on_overflow(value, gradient)
    history, before = [value], None
    rules = Rules(1e-4, 0.9, 1e-14, 1e-8, 50.0, 100, objective.resolution)

    def ended(n_iter: int, message: str, converged: bool) -> Outcome:
        return Outcome(point.reshape(objective.shape), n_iter, converged, message, value, history)

    for n_iter in range(max_iter):
        if largest(gradient) <= tol:
            return ended(n_iter, "converged: no element of the gradient exceeds tol", True)
        direction = yield from _newton_step(objective, gradient)
        slope = dot(gradient, direction)
        if not slope < 0.0:
            return ended(n_iter, *_stuck(objective, value, slope))
        taken: list[np.ndarray] = []
        step = yield from _line_search.search(
            _along(objective, point, direction, taken), value, slope, _first(value, before, slope), rules
        )
        lowered = taken and step.value < value + objective.resolution * abs(value)
        if not lowered:
            return ended(n_iter, *_stuck(objective, value, slope))
        steepest = largest(gradient)
        (point, gradient), before, value = taken, value, step.value
        history.append(value)
        # Near the optimum a Newton step leaves far less than half of the gradient, unless that is rounding.
        is_flat = abs(value - before) <= objective.resolution * abs(before)
        if is_flat and largest(gradient) > max(tol, 0.5 * steepest):
            return ended(n_iter + 1, NO_REDUCTION, True)
    converged = largest(gradient) <= tol and max_iter > 0
    message = f"newton-cg failed to converge at loss = {value}. Increase the number of iterations."
    return ended(max_iter, "converged" if converged else message, converged)


def _stuck(objective: Objective, value: float, slope: float) -> tuple[str, bool]:
    """Where a direction brings nothing: the end, if rounding is all that is left."""
    if abs(slope) <= objective.resolution * abs(value):
        return NO_REDUCTION, True
    return (
        f"newton-cg failed to converge at loss = {value}: the line search found no lower point. Scale the data, or "
        "use another solver.",
        False,
    )


def _first(value: float, before: float | None, slope: float) -> float:
    """The step to try first: that which would lower the objective by as much as the last one (eq. 3.60)."""
    if before is None:
        return 1.0
    step = min(1.0, 1.01 * 2.0 * (value - before) / slope)
    return step if step > 0.0 else 1.0


def _newton_step(objective: Objective, gradient: np.ndarray) -> Generator[Any, Any, np.ndarray]:
    """s with H s = -g, up to a residual that shrinks with the gradient."""
    total = float(np.abs(gradient).sum())
    enough = min(0.5, math.sqrt(total)) * total
    step = np.zeros_like(gradient)
    residual, direction = gradient.copy(), -gradient
    square = norm = dot(residual, residual)
    for inner in range(MAX_INNER + 1):
        if np.abs(residual).sum() <= enough:
            break
        product = yield from objective.multiply(direction)
        curvature = dot(direction, product)
        if curvature <= 16 * np.finfo(np.float64).eps * norm:
            if inner == 0:  # down the gradient: huber's Hessian is 0 where all residuals are large
                step += (square / -curvature if curvature < 0.0 else 1.0) * direction
            break
        length = square / curvature
        step += length * direction
        with np.errstate(invalid="ignore"):  # the line search then finds no lower point
            residual += length * product
        square, square_before = dot(residual, residual), square
        direction = square / square_before * direction - residual
        norm = square + (square / square_before) ** 2 * norm
    return step


def _along(objective, point, direction, taken):
    """Value and slope of the objective at a step; ``taken`` becomes the point and its gradient."""

    def evaluate(step):
        trial = point + step * direction
        value, gradient = yield from objective.evaluate(trial, keep=True)
        taken[:] = trial, gradient
        return value, dot(gradient, direction)

    return evaluate
