"""What a search minimises, and what it returns."""

import math
from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from fastml.solvers._errors import overflow_error
from fastml.solvers._passes import Evaluate, Hessian, Product


class Outcome(NamedTuple):
    """Where a search ended.

    Attributes
    ----------
    weights : ndarray of shape (n_columns, n_features + 1)
    n_iter : int
    converged : bool
    message : str
        Why it ended; where it has not converged, what a user may do about it.
    value : float
        The objective at the weights.
    loss_history : list of float
        The objective at the start and after each iteration; empty where the solver does not have it anyway.
    """

    weights: np.ndarray
    n_iter: int
    converged: bool
    message: str
    value: float
    loss_history: list[float]


class Objective:
    """Smooth part of one model's objective: scale * sum_i weight_i loss_i + l2 / 2 |coef|^2.

    Intercepts are not penalised. Points and gradients are flat vectors of n_columns * (n_features + 1), the intercept
    last in each column's; without an intercept its gradient is 0, so that it stays where it was.

    Parameters
    ----------
    scale : float
        1 / sum_i weight_i makes it the mean loss.
    l2 : float
    n_columns, n_features : int
    fit_intercept : bool
    dtype : dtype
        Of X, whose products the loss is made of.
    loss : str or fastml.Loss, optional
        Named in an error.
    """

    def __init__(
        self,
        scale: float,
        l2: float,
        n_columns: int,
        n_features: int,
        fit_intercept: bool,
        dtype: Any,
        loss: Any = None,
    ):
        self.scale, self.l2, self.fit_intercept = scale, l2, fit_intercept
        self.shape = (n_columns, n_features + 1)
        self.dtype, self.loss = np.dtype(dtype), loss

    @property
    def resolution(self) -> float:
        """Relative change of the objective that may be rounding alone.

        A float32 loss is a float64 sum of rounded terms, whose errors mostly cancel.
        """
        return 16 * np.finfo(np.float64).eps if self.dtype == np.float64 else 1e-7

    def evaluate(
        self, point: np.ndarray, keep: bool = False
    ) -> Generator[Any, Any, tuple[float, np.ndarray]]:
        """Value and gradient at ``point``."""
        weights = point.reshape(self.shape)
        loss, gradient = yield Evaluate(weights, keep)
        value = loss * self.scale
        gradient *= self.scale
        self._take_off_drift(gradient)
        if self.l2 != 0.0:
            coef = weights[:, :-1]
            value += 0.5 * self.l2 * float(np.einsum("ij,ij->", coef, coef))
            with np.errstate(over="ignore", invalid="ignore"):  # the search sees what is not finite
                gradient[:, :-1] += self.l2 * coef
        if not self.fit_intercept:
            gradient[:, -1] = 0.0
        return value, gradient.ravel()

    def _take_off_drift(self, gradient: np.ndarray) -> None:
        """Let the columns sum to zero, as those of a multinomial loss do but for rounding.

        The loss does not change where all columns move together: it has neither slope nor curvature there. In float32
        rounding makes up both, and a Newton step is the quotient of the two.
        """
        if self.shape[0] > 1 and self.dtype == np.float32:
            gradient -= gradient.mean(axis=0)

    def raise_on_overflow(self, value: float, gradient: np.ndarray) -> None:
        """ValueError unless both are finite."""
        if not (math.isfinite(value) and math.isfinite(largest(gradient))):
            raise overflow_error(loss=self.loss)

    def multiply(self, vector: np.ndarray) -> Generator[Any, Any, np.ndarray]:
        """Product of the Hessian, at the point last kept, with ``vector``."""
        shaped = vector.reshape(self.shape)
        product = yield Product(shaped)
        product *= self.scale
        self._take_off_drift(product)
        if self.l2 != 0.0:
            with np.errstate(over="ignore", invalid="ignore"):  # the search sees what is not finite
                product[:, :-1] += self.l2 * shaped[:, :-1]
        if not self.fit_intercept:
            product[:, -1] = 0.0
        return product.ravel()

    def hessian(self) -> Generator[Any, Any, np.ndarray]:
        """The Hessian at the point last kept; without an intercept its rows and columns are 0."""
        matrix = yield Hessian()
        matrix *= self.scale
        n_columns, n_weights = self.shape
        of_intercepts = np.arange(n_columns) * n_weights + n_weights - 1
        diagonal = np.arange(n_columns * n_weights)
        coefficients = np.setdiff1d(diagonal, of_intercepts)
        matrix[coefficients, coefficients] += self.l2
        if not self.fit_intercept:
            matrix[of_intercepts] = 0.0
            matrix[:, of_intercepts] = 0.0
        return matrix


class CentredObjective(Objective):
    """An objective whose intercept is that of rows less their mean: points stand for w.(x - mean) + intercept.

    Steps along the gradient then need not undo in the intercept what they do to the features' weights: the condition
    number is that of centred rows, of which no copy is made.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
    *args, **kwargs
        As of `Objective`.
    """

    def __init__(self, mean: np.ndarray, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.mean = mean

    def evaluate(
        self, point: np.ndarray, keep: bool = False
    ) -> Generator[Any, Any, tuple[float, np.ndarray]]:
        """Value and gradient at ``point``."""
        value, gradient = yield from super().evaluate(self.weights(point).ravel(), keep)
        shaped = gradient.reshape(self.shape)
        shaped[:, :-1] -= shaped[:, -1:] * self.mean
        return value, gradient

    def weights(self, point: np.ndarray) -> np.ndarray:
        """The weights that a point stands for, of shape (n_columns, n_features + 1)."""
        weights = point.reshape(self.shape).copy()
        weights[:, -1] -= weights[:, :-1] @ self.mean
        return weights


def largest(vector: np.ndarray) -> float:
    """Maximum norm; NaN where there is one."""
    return float(np.abs(vector).max())
