"""The logistic loss: coordinate descent in the dual, and Newton steps by coordinate descent with an l1 penalty."""

from collections.abc import Sequence

import numpy as np

from fastml.kernels import for_device
from fastml.kernels.dual_cd_state import Dual, LogisticL1
from fastml.kernels.linear_data import Data, padded
from fastml.solvers._errors import overflow_error
from fastml.solvers._models import WORK_PER_CALL, Binary, Solution, run
from fastml.solvers.dual_cd._record import initial_record, rows_of, signed_costs
from fastml.solvers.dual_cd._solve import run_duals, with_sq_norm


def solve_logistic_dual(
    data: Data,
    problems: Sequence[Binary],
    *,
    max_iter: int,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise 1/2 |w|^2 + sum_i C_i log(1 + exp(-y_i w.x_i)), in the dual.

    Parameters
    ----------
    data : Data
        ``sq_norm`` is filled in here.
    problems : sequence of Binary
        ``tol`` is the largest slope of the dual along a coordinate.
    max_iter : int
        Sweeps at most.
    seed : int
        Of the order in which rows are visited.
    verbose : bool

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If a row's norm overflows.
    """
    dual_cd = for_device("cpu").dual_cd
    data = with_sq_norm(data, dual_cd)
    n_rows, n_features = data.X.shape

    def make(k: int) -> Dual:
        problem = problems[k]
        order = rows_of(data, problem)
        record = initial_record(problem, len(order), max_iter, seed + k)
        return Dual(record, order, padded(n_features), np.zeros((n_rows, 2)))

    return run_duals(
        data, make, lambda models: dual_cd.logistic_dual(data, models, WORK_PER_CALL), len(problems), verbose
    )


def solve_logistic_l1(
    data: Data,
    problems: Sequence[Binary],
    *,
    max_iter: int,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise |w|_1 + sum_i C_i log(1 + exp(-y_i w.x_i)).

    X is copied once, feature by feature.

    Parameters
    ----------
    data : Data
    problems : sequence of Binary
        ``tol`` is the sum of violations relative to that at zero.
    max_iter : int
        Newton steps at most.
    seed : int
        Of the order in which features are visited.
    verbose : bool

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If a sum overflows.
    """
    dual_cd = for_device("cpu").dual_cd
    n_rows, n_features = data.X.shape
    by_feature = dual_cd.transposed(data.X, data.bias)
    n_coordinates = by_feature.shape[0]
    solution = Solution(
        np.empty((len(problems), n_features)), np.zeros(len(problems)), np.zeros(len(problems), np.int64)
    )

    def make(k: int) -> LogisticL1:
        signed_cost = padded(n_rows)
        signed_cost[:n_rows] = signed_costs(data, problems[k])
        record = initial_record(problems[k], n_coordinates, max_iter, seed + k)
        record["n_samples"] = np.count_nonzero(signed_cost)
        return LogisticL1(
            record,
            np.arange(n_coordinates, dtype=np.int32),
            np.zeros(n_coordinates),
            signed_cost,
            np.zeros((5, len(signed_cost))),
            np.zeros((3, n_coordinates)),
        )

    def finish(k: int, model: LogisticL1) -> None:
        if not np.isfinite(model.coef).all() or not np.isfinite(model.record["violation"][0]):
            raise overflow_error()
        solution.coef[k] = model.coef[:n_features]
        solution.bias_coef[k] = model.coef[n_features] if data.bias else 0.0
        solution.n_iter[k] = model.record["n_iter"][0]

    run(
        lambda models: dual_cd.logistic_l1(by_feature, models, WORK_PER_CALL),
        make,
        finish,
        len(problems),
        description="coordinate descent",
        verbose=verbose,
    )
    return solution
