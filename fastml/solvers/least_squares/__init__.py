"""Least squares with an l2 penalty: sum_i weight_i (y_i - w.x_i - b)^2 + alpha |w|^2, whose intercept has none.

Every solver centres rows and targets in its algebra, or block by block; X is not copied, but for LSQR and solutions of
least norm, where it is small.
"""

from fastml.solvers.least_squares._cholesky import (
    pseudo_inverse,
    solve_dual,
    solve_primal,
)
from fastml.solvers.least_squares._conjugate_gradient import solve as conjugate_gradient
from fastml.solvers.least_squares._conjugate_gradient import solve_passes
from fastml.solvers.least_squares._least_norm import LeastNorm, solve_least_norm
from fastml.solvers.least_squares._leave_one_out import LeaveOneOut, leave_one_out
from fastml.solvers.least_squares._lsqr_passes import passes_pay, solve_lsqr_passes
from fastml.solvers.least_squares._moments import (
    MOST_SPARSE_FEATURES,
    Moments,
    centred,
    moments,
    raw_moments,
    sample_mean,
)
from fastml.solvers.least_squares._orthogonal import (
    Factors,
    factors,
    few_factors,
    solve_lsqr,
    solve_svd,
)
from fastml.solvers.least_squares._positive import solve_nnls, solve_positive
from fastml.solvers.least_squares._products import Products, dual_coefficients, products
from fastml.solvers.least_squares._rows import Rows

__all__ = [
    "MOST_SPARSE_FEATURES",
    "Factors",
    "LeastNorm",
    "LeaveOneOut",
    "Moments",
    "Products",
    "Rows",
    "centred",
    "conjugate_gradient",
    "dual_coefficients",
    "factors",
    "few_factors",
    "leave_one_out",
    "moments",
    "passes_pay",
    "products",
    "pseudo_inverse",
    "raw_moments",
    "sample_mean",
    "solve_dual",
    "solve_least_norm",
    "solve_lsqr",
    "solve_lsqr_passes",
    "solve_nnls",
    "solve_passes",
    "solve_positive",
    "solve_primal",
    "solve_svd",
]
