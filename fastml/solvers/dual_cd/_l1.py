"""The l1 penalty with the squared hinge loss: coordinate descent over features."""

from collections.abc import Sequence

import numpy as np

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.dual_cd_state import L1Primal
from fastml.kernels.linear_data import Data, padded
from fastml.solvers._errors import overflow_error
from fastml.solvers._models import WORK_PER_CALL, Binary, Solution, run
from fastml.solvers.dual_cd._record import initial_record, signed_costs


def solve_l1(
    data: Data,
    problems: Sequence[Binary],
    *,
    max_iter: int,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise |w|_1 + sum_i C_i max(0, 1 - y_i w.x_i)^2.

    X is copied once, feature by feature.

    Parameters
    ----------
    data : Data
    problems : sequence of Binary
        ``tol`` is the sum of violations relative to the first sweep's.
    max_iter : int
        Sweeps at most.
    seed : int
        Of the order in which features are visited.
    verbose : bool

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If a feature's norm overflows.
    """
    dual_cd = for_device("cpu").dual_cd
    n_rows, n_features = data.X.shape
    by_feature = dual_cd.transposed(data.X, data.bias)
    solution = Solution(
        np.empty((len(problems), n_features)), np.zeros(len(problems)), np.zeros(len(problems), np.int64)
    )

    def make(k: int) -> L1Primal:
        problem = problems[k]
        residual, signed_cost = padded(n_rows), padded(n_rows)
        residual[:n_rows] = np.where(data.target == problem.positive_class, 1.0, -1.0)
        signed_cost[:n_rows] = signed_costs(data, problem)
        curvature = _curvature(by_feature, np.abs(signed_cost[:n_rows]))
        if not np.isfinite(curvature).all():
            raise overflow_error()
        n_coordinates = by_feature.shape[0]
        record = initial_record(problem, n_coordinates, max_iter, seed + k)
        order = np.arange(n_coordinates, dtype=np.int32)
        return L1Primal(record, order, np.zeros(n_coordinates), residual, signed_cost, curvature)

    def finish(k: int, model: L1Primal) -> None:
        solution.coef[k] = model.coef[:n_features]
        solution.bias_coef[k] = model.coef[n_features] if data.bias else 0.0
        solution.n_iter[k] = model.record["n_iter"][0]

    run(
        lambda models: dual_cd.l1(by_feature, models, WORK_PER_CALL),
        make,
        finish,
        len(problems),
        description="coordinate descent",
        verbose=verbose,
    )
    return solution


def _curvature(by_feature, cost):
    """sum_i C_i x_ij^2 of each feature."""
    if not isinstance(by_feature, CSR):
        return np.einsum("ji,ji,i->j", by_feature, by_feature, cost, dtype=np.float64)
    squares = np.square(by_feature.data, dtype=np.float64) * cost[by_feature.indices]
    features = np.repeat(np.arange(by_feature.shape[0]), np.diff(by_feature.indptr))
    return np.bincount(features, squares, by_feature.shape[0])
