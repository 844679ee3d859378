"""Stochastic gradient descent: the epoch loop, for one estimator's models or for a whole grid of them."""

from fastml.solvers.sgd._many import Fitted, fit_many
from fastml.solvers.sgd._solve import (
    Solution,
    Stopping,
    Validation,
    initial_state,
    make_models,
    optimal_init,
    solve,
)

__all__ = [
    "Fitted",
    "Solution",
    "Stopping",
    "Validation",
    "fit_many",
    "initial_state",
    "make_models",
    "optimal_init",
    "solve",
]
