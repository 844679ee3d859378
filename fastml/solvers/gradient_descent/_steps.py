"""What both kinds of gradient descent do with one step: its length, and the proximal map."""

import math
from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers._vectors import dot
from fastml.solvers.gradient_descent._proximal import Penalty

# A step too long is halved; after one that was accepted at once the next may be longer (Beck and Teboulle's
# backtracking only shortens, and is stuck with the worst curvature it has met).
SHORTEN, LENGTHEN = 0.5, 1.25
MAX_HALVINGS = 60


class Step(NamedTuple):
    """Where a proximal step leads.

    Attributes
    ----------
    point, gradient : ndarray
    value : float
        The smooth part of the objective.
    mapping : ndarray
        (from - point) / length: the gradient, where the penalty has no kink. 0 at a minimum.
    length : float
    """

    point: np.ndarray
    gradient: np.ndarray
    value: float
    mapping: np.ndarray
    length: float


class Stepper:
    """Proximal gradient steps of one search.

    Parameters
    ----------
    objective : Objective
    penalty : Penalty
    length : float
        Of the first step.
    line_search : bool
        Whether steps are shortened until the quadratic with curvature 1 / length bounds the objective at their end
        (Beck and Teboulle, eq. 2.5).
    """

    def __init__(self, objective: Objective, penalty: Penalty, length: float, line_search: bool):
        self.objective, self.penalty = objective, penalty
        self.length, self.line_search = length, line_search

    def take(
        self, origin: np.ndarray, value: float, gradient: np.ndarray
    ) -> Generator[Any, Any, Step | None]:
        """The step from ``origin``; None if it overflows, or no length will do."""
        for halvings in range(MAX_HALVINGS):
            point = self.nearest(origin - self.length * gradient)
            new_value, new_gradient = yield from self.objective.evaluate(point)
            moved = point - origin
            if not self.line_search or self._is_bounded(moved, value, gradient, new_value, new_gradient):
                if not (math.isfinite(new_value) and math.isfinite(largest(new_gradient))):
                    return None
                step = Step(point, new_gradient, new_value, -moved / self.length, self.length)
                if self.line_search and halvings == 0:
                    self.length *= LENGTHEN
                return step
            self.length *= SHORTEN
        return None

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """The penalty's proximal map, on the coefficients."""
        weights = point.reshape(self.objective.shape)
        weights[:, :-1] = self.penalty.nearest(weights[:, :-1], self.length)
        return point

    def _is_bounded(self, moved, value, gradient, new_value, new_gradient):
        square = dot(moved, moved)
        if not (math.isfinite(new_value) and math.isfinite(largest(new_gradient))):
            return False
        bound = square / (2.0 * self.length)
        if bound > self.objective.resolution * abs(value):
            return new_value - value - dot(gradient, moved) <= bound
        # Rounding of the values hides the excess: the gradient's change along the step has the same curvature.
        return dot(new_gradient - gradient, moved) <= 2.0 * bound

    def total(self, point: np.ndarray, value: float) -> float:
        """The objective, the penalty included."""
        return value + self.penalty.value(point.reshape(self.objective.shape)[:, :-1])


def first_length(objective: Objective, gradient: np.ndarray) -> float:
    """A step that moves the weights by 1, for the line search to correct."""
    return 1.0 / max(math.sqrt(dot(gradient, gradient)), np.finfo(np.float64).tiny)


def diverged(name: str, shape: tuple, point: np.ndarray, n_iter: int, value: float, history: list) -> Outcome:
    """The outcome where steps have led away: the best weights met."""
    message = (
        f"{name} diverged after {n_iter} iteration(s). Use a smaller step_size, or line_search=True; scaling the data "
        "with StandardScaler allows longer steps."
    )
    return Outcome(point.reshape(shape), n_iter, False, message, value, history)


def exhausted(name: str, max_iter: int, size: float, tol: float) -> str:
    return (
        f"{name} failed to converge after {max_iter} iteration(s): the largest element of the gradient is {size:.3g}, "
        f"tol={tol}. Increase max_iter, scale the data with StandardScaler, or use solver='lbfgs'."
    )
