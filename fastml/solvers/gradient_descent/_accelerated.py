"""Nesterov's accelerated gradient descent."""

import math
from collections.abc import Generator
from typing import Any

import numpy as np

from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers._vectors import dot
from fastml.solvers.gradient_descent._plain import CONVERGED
from fastml.solvers.gradient_descent._proximal import Nothing, Penalty
from fastml.solvers.gradient_descent._steps import Stepper, diverged, exhausted, first_length


def search(
    objective: Objective,
    start: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    penalty: Penalty | None = None,
    step_size: float | None = None,
    line_search: bool = True,
) -> Generator[Any, Any, Outcome]:
    """Minimise as ``gradient_descent.plain`` does, with momentum: steps start beyond the weights.

    With t_0 = 1 and t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2, the next step starts at
    w_k + (t_k - 1) / t_{k+1} (w_k - w_{k-1}). The objective's distance to its minimum is at most
    2 L |w_0 - w*|^2 / (n_iter + 1)^2 (Beck and Teboulle, theorem 4.4). Momentum begins anew where the gradient mapping
    points along the last movement (O'Donoghue and Candès, eq. 13): on a mu-strongly convex objective the distance then
    falls by a constant factor every O(sqrt(L / mu)) iterations.

    A starting point beyond the weights takes a pass over X of its own: an iteration is two passes.

    Parameters
    ----------
    objective, start, tol, max_iter, penalty, step_size, line_search
        As for ``gradient_descent.plain``.

    Returns
    -------
    Outcome
        By ``yield from``, or from ``fastml.solvers._passes.run``. The best weights met, where steps lead away.

    Raises
    ------
    ValueError
        If the objective or its gradient is not finite at ``start``.

    References
    ----------
    Y. Nesterov, "A Method for Solving the Convex Programming Problem with Convergence Rate O(1/k^2)", 1983.
    A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems", SIAM Journal
    on Imaging Sciences 2, 2009.
    B. O'Donoghue, E. Candès, "Adaptive Restart for Accelerated Gradient Schemes", Foundations of Computational
    Mathematics 15, 2015.
    """
    penalty = Nothing() if penalty is None else penalty
    point = np.array(start, dtype=np.float64)
    point[:, :-1] = penalty.nearest(point[:, :-1], 0.0)
    origin = point = point.ravel()
    value, gradient = yield from objective.evaluate(point)
    objective.raise_on_overflow(value, gradient)
    length = first_length(objective, gradient) if step_size is None else step_size
    stepper = Stepper(objective, penalty, length, line_search)
    best, best_value = point, stepper.total(point, value)
    history, size, momentum = [best_value], largest(gradient), 1.0
    if isinstance(penalty, Nothing) and size <= tol:
        return Outcome(point.reshape(objective.shape), 0, True, CONVERGED, best_value, history)
    for n_iter in range(1, max_iter + 1):
        step = yield from stepper.take(origin, value, gradient)
        if step is None:
            return diverged("agd", objective.shape, best, n_iter, best_value, history)
        history.append(stepper.total(step.point, step.value))
        if history[-1] < best_value:
            best, best_value = step.point, history[-1]
        size = largest(step.mapping) if not isinstance(penalty, Nothing) else largest(step.gradient)
        if size <= tol:
            return Outcome(step.point.reshape(objective.shape), n_iter, True, CONVERGED, history[-1], history)
        movement, point = step.point - point, step.point
        if dot(step.mapping, movement) > 0.0:
            momentum, origin = 1.0, point
            value, gradient = step.value, step.gradient
            continue
        next_momentum = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum * momentum))
        origin = point + (momentum - 1.0) / next_momentum * movement
        momentum = next_momentum
        value, gradient = yield from objective.evaluate(origin)
    if history[-1] > best_value + 1e-3 * abs(best_value):
        return diverged("agd", objective.shape, best, max_iter, best_value, history)
    weights = best.reshape(objective.shape)
    return Outcome(weights, max_iter, False, exhausted("agd", max_iter, size, tol), best_value, history)
