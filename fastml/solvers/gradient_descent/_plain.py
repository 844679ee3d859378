"""Gradient descent."""

from collections.abc import Generator
from typing import Any

import numpy as np

from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers.gradient_descent._proximal import Nothing, Penalty
from fastml.solvers.gradient_descent._steps import Stepper, diverged, exhausted, first_length

CONVERGED = "converged: no element of the gradient mapping exceeds tol"


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
    """Minimise a smooth objective, plus a penalty that has a proximal map, by w <- prox(w - step grad(w)).

    With steps of 1 / L for a gradient with Lipschitz constant L, the objective's distance to its minimum is
    O(L / n_iter), and falls by the factor 1 - mu / L an iteration where it is mu-strongly convex (Beck and Teboulle,
    theorem 3.1; Nesterov, theorem 2.1.15). The search ends where no element of the gradient mapping, which is the
    gradient where there is no penalty, exceeds ``tol``.

    Parameters
    ----------
    objective : Objective
    start : ndarray of shape (n_columns, n_features + 1)
    tol : float
    max_iter : int
    penalty : Penalty, optional
    step_size : float, optional
        Length of all steps, or with ``line_search`` of the first one.
    line_search : bool, default=True
        Whether steps are shortened where the objective demands it. Without it ``step_size`` is needed.

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
    A. Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées", 1847.
    A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems", SIAM Journal
    on Imaging Sciences 2, 2009.
    Y. Nesterov, "Introductory Lectures on Convex Optimization", Kluwer, 2004.
    """
    penalty = Nothing() if penalty is None else penalty
    point = np.array(start, dtype=np.float64)
    point[:, :-1] = penalty.nearest(point[:, :-1], 0.0)  # into the bounds
    point = point.ravel()
    value, gradient = yield from objective.evaluate(point)
    objective.raise_on_overflow(value, gradient)
    length = first_length(objective, gradient) if step_size is None else step_size
    stepper = Stepper(objective, penalty, length, line_search)
    best, best_value = point, stepper.total(point, value)
    history, size = [best_value], largest(gradient)
    if isinstance(penalty, Nothing) and size <= tol:
        return Outcome(point.reshape(objective.shape), 0, True, CONVERGED, best_value, history)
    for n_iter in range(1, max_iter + 1):
        step = yield from stepper.take(point, value, gradient)
        if step is None:
            return diverged("gd", objective.shape, best, n_iter, best_value, history)
        point, value, gradient = step.point, step.value, step.gradient
        history.append(stepper.total(point, value))
        size = largest(step.mapping) if not isinstance(penalty, Nothing) else largest(gradient)
        if size <= tol:
            return Outcome(point.reshape(objective.shape), n_iter, True, CONVERGED, history[-1], history)
        if history[-1] < best_value:
            best, best_value = point, history[-1]
    if history[-1] > best_value + 1e-3 * abs(best_value):
        return diverged("gd", objective.shape, best, max_iter, best_value, history)
    weights = best.reshape(objective.shape)
    return Outcome(weights, max_iter, False, exhausted("gd", max_iter, size, tol), best_value, history)
