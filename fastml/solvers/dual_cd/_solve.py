"""The dual problems: from problems to models of the kernels, and from these to weights."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastml.kernels import for_device
from fastml.kernels.dual_cd_state import Dual, MultiClassDual
from fastml.kernels.linear_data import Data, padded
from fastml.solvers._errors import overflow_error
from fastml.solvers._models import WORK_PER_CALL, Binary, Solution, run
from fastml.solvers.dual_cd._record import initial_record, rows_of


def solve_svc(
    data: Data,
    problems: Sequence[Binary],
    *,
    squared: bool,
    max_iter: int,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise 1/2 |w|^2 + sum_i C_i max(0, 1 - y_i w.x_i), or the loss's square, in the dual.

    Parameters
    ----------
    data : Data
        ``sq_norm`` is filled in here.
    problems : sequence of Binary
        ``tol`` is the difference of the largest and the smallest projected gradient.
    squared : bool
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

    def make(k: int) -> Dual:
        problem = problems[k]
        return _dual(data, problem, max_iter, seed + k, 0.0)

    return run_duals(
        data, make, lambda models: dual_cd.svc(data, models, squared, WORK_PER_CALL), len(problems), verbose
    )


def solve_svr(
    data: Data,
    C: float,
    *,
    epsilon: float,
    squared: bool,
    tol: float,
    max_iter: int,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise 1/2 |w|^2 + C sum_i max(0, |y_i - w.x_i| - epsilon), or the loss's square, in the dual.

    ``tol`` is the sum of violations relative to the first sweep's; otherwise as ``solve_svc``.
    """
    dual_cd = for_device("cpu").dual_cd
    data = with_sq_norm(data, dual_cd)
    problem = Binary(1, C, C, tol)

    def make(k: int) -> Dual:
        return _dual(data, problem, max_iter, seed, epsilon)

    return run_duals(data, make, lambda models: dual_cd.svr(data, models, squared, WORK_PER_CALL), 1, verbose)


def solve_crammer_singer(
    data: Data,
    class_cost: np.ndarray,
    *,
    tol: float,
    seed: int,
    verbose: bool = False,
) -> Solution:
    """Minimise 1/2 sum_m |w_m|^2 + sum_i C_i max_m ([m != y_i] - (w_y - w_m).x_i), in the dual.

    Parameters
    ----------
    class_cost : array of float64, shape (n_classes,)
        C of each class's rows, before sample weights.
    tol : float
        Of the largest violation among rows.
    data, seed, verbose
        As for ``solve_svc``. Sweeps are bounded by the kernel alone, as in scikit-learn.

    Returns
    -------
    Solution
        One row of ``coef`` for each class, one number in ``n_iter``.
    """
    dual_cd = for_device("cpu").dual_cd
    data = with_sq_norm(data, dual_cd)
    n_rows, n_features = data.X.shape
    n_classes = len(class_cost)
    problem = Binary(0, 1.0, 1.0, tol)
    solution = Solution(np.empty((n_classes, n_features)), np.zeros(n_classes), np.zeros(1, np.int64))

    def make(k: int) -> MultiClassDual:
        order = rows_of(data, problem)
        record = initial_record(problem, len(order), 1, seed)
        record["bound_below"] = max(10.0 * tol, 1.0)
        record["first"] = 1.0
        return MultiClassDual(
            record,
            order,
            np.zeros((n_features + 1, n_classes)),
            np.zeros((n_rows, n_classes)),
            class_cost,
            np.tile(np.arange(n_classes, dtype=np.int32), (n_rows, 1)),
            np.full(n_rows, n_classes, np.int32),
        )

    def finish(k: int, model: MultiClassDual) -> None:
        solution.coef[...] = model.coef[:n_features].T
        solution.bias_coef[...] = model.coef[n_features]
        solution.n_iter[0] = model.record["n_iter"][0]

    run(
        lambda models: dual_cd.crammer_singer(data, models[0], WORK_PER_CALL),
        make,
        finish,
        1,
        description="Crammer-Singer",
        verbose=verbose,
    )
    return solution


def with_sq_norm(data: Data, dual_cd: Any) -> Data:
    """Data with the rows' norms; ValueError if one overflows."""
    sq_norm = dual_cd.sq_norms(data.X, data.bias)
    if not np.isfinite(sq_norm).all():
        raise overflow_error()
    return data._replace(sq_norm=sq_norm)


def _dual(data, problem, max_iter, seed, epsilon):
    order = rows_of(data, problem)
    return Dual(
        initial_record(problem, len(order), max_iter, seed, epsilon),
        order,
        padded(data.X.shape[1]),
        np.zeros(data.X.shape[0]),
    )


def run_duals(
    data: Data, make: Callable, advance: Callable[[list], None], n_models: int, verbose: bool
) -> Solution:
    """Make models, advance each until it is done, and gather their weights."""
    n_features = data.X.shape[1]
    solution = Solution(np.empty((n_models, n_features)), np.zeros(n_models), np.zeros(n_models, np.int64))

    def finish(k: int, model: Dual) -> None:
        solution.coef[k] = model.coef[:n_features]
        solution.bias_coef[k] = model.record["intercept"][0]
        solution.n_iter[k] = model.record["n_iter"][0]

    run(advance, make, finish, n_models, description="coordinate descent", verbose=verbose)
    return solution
