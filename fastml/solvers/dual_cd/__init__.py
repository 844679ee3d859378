"""Coordinate descent for linear machines and logistic regression: in the dual, and with an l1 penalty in the primal."""

from fastml.solvers.dual_cd._l1 import solve_l1
from fastml.solvers.dual_cd._logistic import solve_logistic_dual, solve_logistic_l1
from fastml.solvers.dual_cd._solve import solve_crammer_singer, solve_svc, solve_svr

__all__ = [
    "solve_crammer_singer",
    "solve_l1",
    "solve_logistic_dual",
    "solve_logistic_l1",
    "solve_svc",
    "solve_svr",
]
