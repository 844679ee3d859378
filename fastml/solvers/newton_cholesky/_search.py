"""Newton's method; its equation is solved by a Cholesky factorisation of the Hessian."""

import warnings
from collections.abc import Generator
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, solve

from fastml.solvers import lbfgs
from fastml.solvers._objective import Objective, Outcome, largest
from fastml.solvers._vectors import dot

# Armijo's sigma, and halvings of a step before L-BFGS takes over.
SUFFICIENT = 2.0**-11
MAX_HALVINGS = 20


def search(
    objective: Objective, start: np.ndarray, *, tol: float, max_iter: int
) -> Generator[Any, Any, Outcome]:
    """Minimise a twice differentiable objective by Newton steps.

    A step is halved until it meets Armijo's condition. The search ends where no element of the gradient exceeds
    ``tol`` and half of the squared Newton decrement does not either, as scikit-learn's solver of this name does. Near
    the solution the error is squared with each step (Boyd and Vandenberghe, section 9.5.3). Where the Hessian is
    singular or nearly so, or no step lowers the objective, L-BFGS takes over, with a warning.

    A multinomial model without a penalty does not change where all classes' weights of a feature change by the same
    number: these are free. The last class's are held where they are, and at the end the classes' mean is made 0; the
    penalty leaves only intercepts free.

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

    Warns
    -----
    LinAlgWarning
        Where L-BFGS takes over.

    References
    ----------
    S. Boyd, L. Vandenberghe, "Convex Optimization", Cambridge University Press, 2004, section 9.5.
    """
    point = np.array(start, dtype=np.float64)
    held = _free_directions(objective)
    point[:, held] -= point[-1, held]
    moving = np.ones(objective.shape, dtype=bool)
    moving[-1, held] = False
    if not objective.fit_intercept:
        moving[:, -1] = False
    moves = np.flatnonzero(moving.ravel())
    point = point.ravel()

    value, gradient = yield from objective.evaluate(point, keep=True)
    objective.raise_on_overflow(value, gradient)
    history, n_iter, trouble = [value], 0, None
    converged = False
    while n_iter < max_iter and not converged:
        n_iter += 1
        hessian = (yield from objective.hessian())[np.ix_(moves, moves)]
        step, trouble = _newton_step(hessian, gradient[moves])
        if trouble is not None:
            break
        direction = np.zeros_like(point)
        direction[moves] = step
        lower = yield from _halving(objective, point, direction, value, gradient)
        if lower is None:
            trouble = f"found no lower point by {MAX_HALVINGS} halvings of its step"
            break
        point, value, gradient = lower
        history.append(value)
        converged = largest(gradient[moves]) <= tol and 0.5 * dot(step, hessian.dot(step)) <= tol

    if trouble is not None:
        _warn(n_iter, trouble)
        n_before = n_iter - 1
        outcome = yield from lbfgs.search(
            objective, point.reshape(objective.shape), tol=tol, max_iter=max_iter - n_iter
        )
        return outcome._replace(
            weights=_centred(outcome.weights, held),
            n_iter=n_before + outcome.n_iter,
            loss_history=history + outcome.loss_history[1:],
        )
    message = "converged" if converged else f"Newton solver did not converge after {n_iter} iterations."
    weights = _centred(point.reshape(objective.shape), held)
    return Outcome(weights, n_iter, converged, message, value, history)


def _free_directions(objective: Objective) -> np.ndarray:
    """Which features' weights, of all classes, may be shifted together at no cost: positions in a row of weights."""
    n_columns, n_weights = objective.shape
    if n_columns == 1:
        return np.arange(0)
    intercept = np.arange(n_weights - 1, n_weights if objective.fit_intercept else n_weights - 1)
    return intercept if objective.l2 > 0.0 else np.concatenate([np.arange(n_weights - 1), intercept])


def _centred(weights: np.ndarray, free: np.ndarray) -> np.ndarray:
    weights[:, free] -= weights[:, free].mean(axis=0)
    return weights


def _newton_step(hessian: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, str | None]:
    """The step, and what is wrong with the Hessian."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LinAlgWarning)
        try:
            return solve(hessian, -gradient, check_finite=False, assume_a="pos"), None
        except (LinAlgError, LinAlgWarning) as error:
            return gradient, f"stumbled upon a singular or very ill-conditioned Hessian matrix ({error})"


def _halving(objective, point, direction, value, gradient):
    """Point, value and gradient after the longest of steps 1, 1/2, 1/4, ... that lowers the objective; or None.

    Where losses differ by rounding alone, the gradient's 1-norm decides.
    """
    bound = SUFFICIENT * dot(gradient, direction)
    length = 1.0
    for _ in range(MAX_HALVINGS + 1):
        trial = point + length * direction
        new_value, new_gradient = yield from objective.evaluate(trial, keep=True)
        if new_value - value <= length * bound:
            return trial, new_value, new_gradient
        is_rounding = abs(new_value - value) <= objective.resolution * abs(value)
        if is_rounding and np.abs(new_gradient).sum() < np.abs(gradient).sum():
            return trial, new_value, new_gradient
        length *= 0.5
    return None


def _warn(n_iter: int, trouble: str) -> None:
    warnings.warn(
        f"newton-cholesky {trouble} at iteration {n_iter}. It will now resort to lbfgs instead.\nFurther options are "
        "to use another solver or to avoid such situation in the first place. Possible remedies are removing "
        "collinear features of X or increasing the penalization strengths.",
        LinAlgWarning,
        stacklevel=2,
    )
