"""Trust-region Newton method for squared and logistic losses with an l2 penalty."""

from fastml.solvers.newton._solve import solve

__all__ = ["solve"]
