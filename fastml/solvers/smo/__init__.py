"""Sequential minimal optimisation: the duals of kernel machines, all problems of an estimator in one call."""

from fastml.solvers.smo._problem import Problem, Solution
from fastml.solvers.smo._solve import solve

__all__ = ["Problem", "Solution", "solve"]
