"""Regularisation paths of two-class logistic regression by LIBLINEAR's methods, which penalise the intercept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.svm._base import _get_liblinear_solver_type

from fastml._validation import raise_if_not_finite
from fastml.kernels import glm_data, linear_data
from fastml.solvers import dual_cd, newton
from fastml.solvers._models import Binary
from fastml.solvers._objective import Outcome

UNCONVERGED = "Liblinear failed to converge, increase the number of iterations."

# Above, scikit-learn refuses: squares of such values leave little of float64's range.
LARGEST_VALUE = 1e30


def check_liblinear(estimator: Any, penalty: str, n_classes: int, X: Any) -> None:
    """scikit-learn's errors for what "liblinear" does not take.

    Raises
    ------
    ValueError
        For other than two classes, NaN, values above 1e30, or an l1 penalty in the dual.
    """
    if n_classes != 2:
        raise ValueError(
            "The 'liblinear' solver does not support multiclass classification (n_classes >= 3). Either use another "
            "solver or wrap the estimator in a OneVsRestClassifier to keep applying a one-versus-rest scheme."
        )
    raise_if_not_finite(estimator, X)
    values = X.data if hasattr(X, "indptr") else X
    if values.size and values.max() > LARGEST_VALUE:
        raise ValueError(
            "Using the 'liblinear' solver while X contains a maximum value > 1e30 results in a frozen fit. Please "
            "choose another solver or rescale the input X."
        )
    _get_liblinear_solver_type("ovr", penalty, "logistic_regression", estimator.dual)


def check_folds_have_both(codes: np.ndarray, folds: list) -> None:
    """scikit-learn's error where a fold is left without rows of one of the two classes.

    Raises
    ------
    ValueError
    """
    for train, _ in folds:
        if len(np.unique(codes[train])) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data contains only one class in "
                "the rows that a fold is fitted on."
            )


def liblinear_paths(
    data: glm_data.Data, paths: Sequence[Any], settings: Any, *, seed: int
) -> list[list[Outcome]]:
    """Fit the models of all paths, each from zero; those of one path share out among threads.

    Parameters
    ----------
    data : fastml.kernels.glm_data.Data
        On the CPU.
    paths : sequence of Path
        ``l1_ratio`` is 0 or 1.
    settings : Settings
    seed : int

    Returns
    -------
    list of list of Outcome
        By path and C; their values are not known.
    """
    return [_path(_weighted(data, path.weighting, settings), path, settings, seed) for path in paths]


def _weighted(data: glm_data.Data, weighting: int, settings: Any) -> linear_data.Data:
    weight = None if weighting < 0 else np.ascontiguousarray(np.maximum(data.weight[weighting], 0.0))
    if weight is not None and not weight.any():
        raise ValueError("Invalid input - all samples have zero or negative weights.")
    bias = float(settings.intercept_scaling) if settings.fit_intercept else 0.0
    return linear_data.Data(data.X, data.target, weight, bias)


def _path(data: linear_data.Data, path: Any, settings: Any, seed: int) -> list[Outcome]:
    given: dict[str, Any] = {"max_iter": settings.max_iter, "verbose": settings.verbose}
    tol = settings.tol if settings.dual else settings.tol * _smaller_share(data)
    problems = [Binary(1, C, C, tol) for C in path.Cs]
    if path.l1_ratio == 1.0:
        solution = dual_cd.solve_logistic_l1(data, problems, seed=seed, **given)
    elif settings.dual:
        solution = dual_cd.solve_logistic_dual(data, problems, seed=seed, **given)
    else:
        solution = newton.solve(data, problems, logistic=True, **given)
    weights = np.column_stack([solution.coef, data.bias * solution.bias_coef])
    return [
        Outcome(w[None], int(n), n < settings.max_iter, UNCONVERGED, np.nan, [])
        for w, n in zip(weights, solution.n_iter)
    ]


def _smaller_share(data: linear_data.Data) -> float:
    """Of the class with fewer rows: in the primal, tol is relative to it (LIBLINEAR's rule)."""
    target = data.target if data.sample_weight is None else data.target[data.sample_weight > 0.0]
    n_positive = int(np.count_nonzero(target))
    return max(min(n_positive, len(target) - n_positive), 1) / len(target)
