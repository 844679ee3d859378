"""From problems to models of the Newton kernels, and from these to weights."""

from collections.abc import Sequence

import numpy as np

from fastml.kernels import for_device
from fastml.kernels.linear_data import PADDING, Data
from fastml.kernels.newton_state import MODEL, VECTORS, Newton
from fastml.solvers._errors import overflow_error
from fastml.solvers._models import WORK_PER_CALL, Binary, Solution, run

# Features up to which the Hessian may be kept as a matrix. Making it takes the square of them for each row: with 784
# (MNIST, 5,000 rows) a fit took 1.37 s with matrices and 0.46 s without.
MAX_MATRIX = 256


def solve(
    data: Data,
    problems: Sequence[Binary],
    *,
    logistic: bool = False,
    epsilon: float = 0.0,
    max_iter: int,
    verbose: bool = False,
) -> Solution:
    """Minimise 1/2 |w|^2 + sum_i C_i max(0, 1 - y_i w.x_i)^2.

    For float64 targets the loss is max(0, |y_i - w.x_i| - epsilon)^2; where ``logistic``, log(1 + exp(-y_i w.x_i)).

    Parameters
    ----------
    data : Data
    problems : sequence of Binary
        Regression is one problem, whose ``cost_positive`` is C. ``tol`` is the norm of the gradient relative to that
        at zero.
    logistic : bool
        Of classification.
    epsilon : float
        Of regression.
    max_iter : int
        Newton steps at most.
    verbose : bool

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If a sum overflows.
    """
    newton = for_device("cpu").newton
    n_rows, n_features = data.X.shape
    starts = newton.block_starts(data.X, len(problems))
    solution = Solution(
        np.empty((len(problems), n_features)), np.zeros(len(problems)), np.zeros(len(problems), np.int64)
    )

    def make(k: int) -> Newton:
        return _model(problems[k], starts, n_rows, n_features + 1, epsilon, max_iter, logistic)

    def finish(k: int, model: Newton) -> None:
        if not model.record["finite"][0]:
            raise overflow_error()
        solution.coef[k] = model.vectors[0, :n_features]
        solution.bias_coef[k] = model.vectors[0, n_features]
        solution.n_iter[k] = model.record["n_iter"][0]

    run(
        lambda models: newton.advance(data, models, WORK_PER_CALL),
        make,
        finish,
        len(problems),
        description="Newton",
        verbose=verbose,
    )
    return solution


def _model(problem, starts, n_rows, size, epsilon, max_iter, logistic):
    record = np.zeros(1, MODEL)
    first = record[0]
    first["positive_class"] = problem.positive_class
    first["cost_positive"] = problem.cost_positive
    first["cost_negative"] = problem.cost_negative
    first["epsilon"] = epsilon
    first["tol"] = problem.tol
    first["logistic"] = logistic
    first["max_iter"] = max_iter
    first["finite"] = 1
    first["done"] = max_iter == 0
    n_vector, n_blocks = size + -size % PADDING, len(starts) - 1
    return Newton(
        record=record,
        vectors=np.zeros((len(VECTORS), n_vector)),
        block_start=starts,
        partial=np.zeros((n_blocks, n_vector)),
        active=np.empty((2, n_rows), np.int32),
        n_active=np.zeros((2, n_blocks), np.int64),
        curvature=np.empty((2, n_rows)) if logistic else None,
        hessian=np.zeros((n_blocks, n_vector, n_vector)) if size <= MAX_MATRIX and not logistic else None,
        in_hessian=np.zeros(n_rows, np.uint8),
    )
