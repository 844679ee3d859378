"""Regularisation paths of logistic regression: from the strengths of penalties to searches and their outcomes."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._logistic import _LOGISTIC_SOLVER_CONVERGENCE_MSG
from sklearn.utils import check_random_state

from fastml.kernels.glm_data import Data, Rule
from fastml.linear_model import _logistic_liblinear as liblinear
from fastml.linear_model._logistic_sag import sag_paths
from fastml.solvers import _passes, gradient_descent, lbfgs, newton_cg, newton_cholesky
from fastml.solvers._objective import Objective, Outcome

MAX_SEED = np.iinfo(np.int32).max


class Path(NamedTuple):
    """Models over the same rows, one for each C; each search starts where the one before it ended.

    Attributes
    ----------
    Cs : sequence of float
    l1_ratio : float
    start : ndarray of shape (n_columns, n_features + 1)
    weighting : int
        The row of ``Data.weight``; -1: every row weighs 1.
    """

    Cs: Sequence[float]
    l1_ratio: float
    start: np.ndarray
    weighting: int = -1


class Settings(NamedTuple):
    """What all models share."""

    solver: str
    tol: float
    max_iter: int
    fit_intercept: bool
    verbose: bool
    seed: int = 0
    dual: bool = False
    intercept_scaling: float = 1.0


def settings_of(estimator: Any) -> Settings:
    """An estimator's parameters; one number is drawn from its ``random_state`` where the solver is random."""
    seed = 0
    if estimator.solver in ("sag", "saga", "liblinear"):
        seed = int(check_random_state(estimator.random_state).randint(MAX_SEED))
    return Settings(
        estimator.solver,
        estimator.tol,
        estimator.max_iter,
        bool(estimator.fit_intercept),
        bool(estimator.verbose),
        seed,
        bool(estimator.dual),
        float(estimator.intercept_scaling),
    )


def rule_of(n_classes: int) -> Rule:
    """One column for two classes, else one for each."""
    return Rule("log_loss") if n_classes == 2 else Rule("multinomial", n_classes)


def fit_paths(
    data: Data,
    n_classes: int,
    paths: Sequence[Path],
    settings: Settings,
    *,
    total_weight: Sequence[float],
    device: str,
    callback: Callable[[np.ndarray], None] | None = None,
) -> list[list[Outcome]]:
    """Fit all models of all paths; those under way share their passes over X.

    Parameters
    ----------
    data : Data
    n_classes : int
    paths : sequence of Path
    settings : Settings
    total_weight : sequence of float
        The sum of the rows' weights, by weighting; its last item where every row weighs 1 (as ``weighting=-1`` has it).
    device : str
    callback : callable, optional
        Called with the weights after each iteration.

    Returns
    -------
    list of list of Outcome
        By path and C.

    Raises
    ------
    ValueError
        If a sum over the rows overflows.
    """
    if settings.solver == "liblinear":
        return liblinear.liblinear_paths(data, paths, settings, seed=settings.seed)
    rule = rule_of(n_classes)
    if settings.solver in ("sag", "saga"):
        return sag_paths(data, rule, paths, settings, seed=settings.seed, device=device)
    n_features = data.X.shape[1]

    def along(path: Path) -> _passes.Search:
        weights, outcomes = path.start, []
        for C in path.Cs:
            total = total_weight[path.weighting]
            objective = Objective(
                1.0 / total,
                (1.0 - path.l1_ratio) / (C * total),
                rule.n_columns,
                n_features,
                settings.fit_intercept,
                data.X.dtype,
            )
            outcome = yield from _search(objective, weights, path.l1_ratio / (C * total), settings, callback)
            outcomes.append(outcome)
            weights = outcome.weights
        return outcomes

    return _passes.run(
        data,
        rule,
        [_passes.Model(partial(along, path), weighting=path.weighting) for path in paths],
        bytes_per_search=_bytes_held(settings.solver, data, rule),
        device=device,
        description="LogisticRegression",
        verbose=settings.verbose,
    )


def _search(objective: Objective, start: np.ndarray, l1: float, settings: Settings, callback: Any) -> Any:
    stopping: dict[str, Any] = {"tol": settings.tol, "max_iter": settings.max_iter}
    match settings.solver:
        case "lbfgs":
            return lbfgs.search(objective, start, **stopping, callback=callback)
        case "newton-cg":
            return newton_cg.search(objective, start, **stopping)
        case "newton-cholesky":
            return newton_cholesky.search(objective, start, **stopping)
    descend = gradient_descent.plain if settings.solver == "gd" else gradient_descent.accelerated
    return descend(objective, start, **stopping, penalty=gradient_descent.L1(l1) if l1 > 0.0 else None)


def _bytes_held(solver: str, data: Data, rule: Rule) -> int:
    """Bytes of a search's vectors, and of what it keeps of each row for products with the Hessian."""
    n_weights = rule.n_columns * (data.X.shape[1] + 1)
    of_rows = rule.n_columns * data.X.shape[0] * data.X.dtype.itemsize
    if solver == "newton-cholesky":
        return of_rows + 4 * 8 * n_weights**2
    return lbfgs.bytes_held(n_weights) + (of_rows if solver == "newton-cg" else 0)


def warn_if_unconverged(outcomes: Sequence[Outcome]) -> None:
    """One ConvergenceWarning for each way in which searches have failed."""
    for message in dict.fromkeys(outcome.message for outcome in outcomes if not outcome.converged):
        advice = "" if message == liblinear.UNCONVERGED else f"\n{_LOGISTIC_SOLVER_CONVERGENCE_MSG}"
        warnings.warn(
            f"{message}{advice}",
            ConvergenceWarning,
            stacklevel=4,  # past fit and the wrapper that validates parameters
        )
