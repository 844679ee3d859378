"""Sequential minimal optimisation: the duals of kernel machines, all problems of an estimator in one call."""

from fastml.solvers.smo._problem import Problems, Solutions, variables_of
from fastml.solvers.smo._solve import largest_value, solve
from fastml.solvers.smo._spend import spend

__all__ = ["Problems", "Solutions", "largest_value", "solve", "spend", "variables_of"]
