"""What LogisticRegression's and LogisticRegressionCV's parameters ask for, deprecated ones included."""

import numbers
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model._logistic import _check_solver

# Past the function that warns, fit, and the wrapper that validates parameters.
_LEVEL = 5

# Solvers that scikit-learn does not have. They take the penalties of its saga.
DESCENT_SOLVERS = ("gd", "agd")


class Penalty(NamedTuple):
    """``name`` is "l2", "l1", "elasticnet" or None; ``l1_ratio`` the share of l1; ``C`` the inverse strength."""

    name: str | None
    l1_ratio: float
    C: float


class Grid(NamedTuple):
    """What is cross-validated. ``l1_ratios`` has a None for each share of l1 that was not given."""

    penalty: str
    Cs: np.ndarray
    l1_ratios: Any
    scoring: Any
    legacy_attributes: bool


def penalty_of(estimator: Any) -> Penalty:
    """LogisticRegression's penalty, with scikit-learn's warnings.

    Raises
    ------
    ValueError
        With scikit-learn's wording, if the solver does not take the penalty.
    """
    name, l1_ratio = estimator.penalty, estimator.l1_ratio
    if name == "deprecated":
        if l1_ratio is None:
            _deprecated(
                "'l1_ratio=None' was deprecated in version 1.8 and will trigger an error in 1.10. Use "
                "0<=l1_ratio<=1 instead."
            )
        name = _named(np.array([0.0 if l1_ratio is None else l1_ratio]))
        if np.isinf(estimator.C):
            name = None
    else:
        _deprecated(
            "'penalty' was deprecated in version 1.8 and will be removed in 1.10. To avoid this warning, leave "
            "'penalty' set to its default value and use 'l1_ratio' or 'C' instead. Use l1_ratio=0 instead of "
            "penalty='l2', l1_ratio=1 instead of penalty='l1', l1_ratio set to a float between 0 and 1 instead of "
            "penalty='elasticnet', and C=np.inf instead of penalty=None."
        )
    check_solver(estimator.solver, name, estimator.dual)
    _warn_of_unused(estimator, name)
    if name == "elasticnet" and l1_ratio is None:
        raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
    if estimator.penalty is None:
        if estimator.C != 1.0:
            _warn("Setting penalty=None will ignore the C and l1_ratio parameters")
        return Penalty("l2", 0.0, np.inf)
    return Penalty(name, _l1_share(name, l1_ratio), estimator.C)


def grid_of(estimator: Any) -> Grid:
    """LogisticRegressionCV's grid, with scikit-learn's warnings.

    Raises
    ------
    ValueError
        With scikit-learn's wording, if the solver does not take the penalty, or for shares of l1 outside [0, 1]; for
        a grid of nothing.
    """
    l1_ratios = _grid_l1_ratios(estimator)
    name = _grid_penalty(estimator, l1_ratios)
    scoring, legacy = estimator.scoring, estimator.use_legacy_attributes
    if isinstance(scoring, str) and scoring == "warn":
        _deprecated(
            "The default value of the parameter 'scoring' will change from None, i.e. accuracy, to 'neg_log_loss' in "
            "version 1.11. To silence this warning, explicitly set the scoring parameter: scoring='neg_log_loss' for "
            "the new, scoring='accuracy' or scoring=None for the old default."
        )
        scoring = None
    if legacy == "warn":
        _deprecated(
            f"The fitted attributes of {type(estimator).__name__} will be simplified in scikit-learn 1.10 to remove "
            "redundancy. Set`use_legacy_attributes=False` to enable the new behavior now, or set it to `True` to "
            "silence this warning during the transition period while keeping the deprecated behavior for the time "
            "being. The default value of use_legacy_attributes will change from True to False in scikit-learn 1.10. "
            f"See the docstring of {type(estimator).__name__} for more details."
        )
        legacy = True
    check_solver(estimator.solver, name, estimator.dual)
    if name == "elasticnet":
        _check_l1_ratios(l1_ratios)
    elif l1_ratios is not None and estimator.penalty != "deprecated":
        _warn(f"l1_ratios parameter is only used when penalty is 'elasticnet'. Got (penalty={name})")
    Cs = np.logspace(-4, 4, estimator.Cs) if isinstance(estimator.Cs, numbers.Integral) else estimator.Cs
    for parameter, values in (("Cs", Cs), ("l1_ratios", l1_ratios)):
        if values is not None and np.size(values) == 0:
            raise ValueError(
                f"{parameter} must hold one value at least; got {getattr(estimator, parameter)!r}."
            )
    return Grid(name, _checked_Cs(Cs), l1_ratios, scoring, bool(legacy))


def check_solver(solver: str, penalty: str | None, dual: bool) -> None:
    """scikit-learn's errors for a penalty, or a dual, that a solver has not."""
    if solver not in DESCENT_SOLVERS:
        _check_solver(solver, penalty, dual)
    elif dual:
        raise ValueError(f"Solver {solver} supports only dual=False, got dual={dual}")


def warn_of_n_jobs(estimator: Any) -> None:
    if estimator.n_jobs is not None:
        _deprecated(
            "'n_jobs' has no effect since 1.8 and will be removed in 1.10. You provided "
            f"'n_jobs={estimator.n_jobs}', please leave it unspecified."
        )


def _l1_share(name: str | None, l1_ratio: Any) -> float:
    return {"l1": 1.0, "elasticnet": l1_ratio}.get(name or "", 0.0)


def l1_share(grid: Grid, l1_ratio: Any) -> float:
    """The share of l1 that a value of the grid stands for."""
    return _l1_share(grid.penalty, l1_ratio)


def _named(l1_ratios: np.ndarray) -> str:
    if (l1_ratios == 0).all():
        return "l2"
    return "l1" if (l1_ratios == 1).all() else "elasticnet"


def _warn_of_unused(estimator: Any, name: str | None) -> None:
    l1_ratio = estimator.l1_ratio
    if name != "elasticnet" and l1_ratio is not None and 0 < l1_ratio < 1:
        _warn(f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={name})")
    if (estimator.penalty == "l2" and l1_ratio != 0) or (estimator.penalty == "l1" and l1_ratio != 1):
        _warn(
            f"Inconsistent values: penalty={estimator.penalty} with l1_ratio={l1_ratio}. penalty is deprecated. "
            "Please use l1_ratio only."
        )


def _grid_l1_ratios(estimator: Any) -> Any:
    if isinstance(estimator.l1_ratios, str) and estimator.l1_ratios == "warn":
        _deprecated(
            "The default value for l1_ratios will change from None to (0.0,) in version 1.10. From version 1.10 "
            "onwards, only array-like with values in [0, 1] will be allowed, None will be forbidden. To avoid this "
            "warning, explicitly set a value, e.g. l1_ratios=(0,)."
        )
        return None
    return estimator.l1_ratios


def _grid_penalty(estimator: Any, l1_ratios: Any) -> str:
    if estimator.penalty != "deprecated":
        _deprecated(
            "'penalty' was deprecated in version 1.8 and will be removed in 1.10. To avoid this warning, leave "
            "'penalty' set to its default value and use 'l1_ratios' and 'Cs' instead. Use l1_ratios=(0,) instead of "
            "penalty='l2', l1_ratios=(1,) instead of penalty='l1', l1_ratios set to floats between 0 and 1 instead of "
            "penalty='elasticnet', and Cs=(np.inf,) instead of penalty=None."
        )
        return estimator.penalty
    if estimator.l1_ratios is None:
        _deprecated(
            "'l1_ratios=None' was deprecated in version 1.8 and will trigger an error in 1.10. Use an array-like with "
            "valuesin [0, 1] instead."
        )
    return "l2" if l1_ratios is None else _named(np.asarray(l1_ratios))


def _checked_Cs(Cs: Any) -> np.ndarray:
    if not all(isinstance(C, numbers.Real) and float(C) > 0.0 for C in Cs):
        raise ValueError(f"Cs must be an int, or an array-like of numbers above 0; got {Cs!r}.")
    return np.asarray(Cs)


def _check_l1_ratios(l1_ratios: Any) -> None:
    if (
        l1_ratios is None
        or len(l1_ratios) == 0
        or not all(isinstance(ratio, numbers.Real) and 0.0 <= float(ratio) <= 1.0 for ratio in l1_ratios)
    ):
        raise ValueError(
            f"l1_ratios must be an array-like of numbers between 0 and 1; got (l1_ratios={l1_ratios!r})"
        )


def _deprecated(message: str) -> None:
    warnings.warn(message, FutureWarning, stacklevel=_LEVEL)


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=_LEVEL)
