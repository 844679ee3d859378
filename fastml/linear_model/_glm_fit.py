"""Fits of generalised linear models: from parameters to one model for each target or class."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.linear_model._glm_solvers import Pair
from fastml.solvers import _passes, gradient_descent, lbfgs, newton_cg, newton_cholesky, sag
from fastml.solvers._objective import Objective, Outcome

_SMOOTH = {"lbfgs": lbfgs.search, "newton-cg": newton_cg.search, "newton-cholesky": newton_cholesky.search}


class Problem(NamedTuple):
    """What all models of a fit share.

    Attributes
    ----------
    l1, l2 : float
        Strengths of the penalty beside the mean loss.
    penalty : fastml.solvers.gradient_descent.Penalty or None
        What has no gradient, l1 and bounds included.
    step_size : float or None
        None: found by the solver.
    """

    solver: str
    l1: float
    l2: float
    penalty: Any
    fit_intercept: bool
    step_size: float | None
    line_search: bool
    tol: float
    max_iter: int
    seed: int


def penalty_of(estimator: Any, n_features: int) -> tuple[float, float, Any]:
    """Strengths of l1 and l2, and the part without a gradient, of an estimator's parameters."""
    kind, alpha = estimator.penalty, estimator.alpha
    share = {"l1": 1.0, "elasticnet": estimator.l1_ratio}.get(kind, 0.0) if isinstance(kind, str) else 0.0
    l1 = alpha * share
    l2 = alpha * (1.0 - share) if isinstance(kind, str) else 0.0
    rough: Any = gradient_descent.L1(l1) if l1 > 0.0 else None
    if kind is not None and not isinstance(kind, str):
        rough = kind
    if estimator.bounds is None:
        return l1, l2, rough
    box = gradient_descent.Box(*_checked_bounds(estimator.bounds, n_features))
    return l1, l2, box if rough is None else gradient_descent.Both(rough, box)


def pair_of(estimator: Any) -> Pair:
    """What the choice of a solver depends on."""
    kind = estimator.penalty
    has_l1 = kind == "l1" or (kind == "elasticnet" and estimator.l1_ratio > 0.0)
    is_custom = kind is not None and not isinstance(kind, str)
    has_fixed_step = not estimator.line_search and estimator.step_size == "auto"
    return Pair(
        estimator.loss,
        has_l1 and estimator.alpha > 0.0,
        estimator.bounds is not None,
        is_custom,
        has_fixed_step,
    )


def _checked_bounds(bounds: Any, n_features: int) -> list[np.ndarray]:
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise ValueError(
            f"bounds must be a pair (lower, upper) of numbers, None, or arrays of length n_features; got {bounds!r}."
        )
    checked = []
    for given, missing in zip(bounds, (-np.inf, np.inf), strict=True):
        limit = np.asarray(missing if given is None else given, dtype=np.float64)
        if limit.shape not in ((), (n_features,)) or np.isnan(limit).any():
            raise ValueError(
                f"A bound must be a number or an array of length n_features={n_features}, without NaN; got {given!r}."
            )
        checked.append(limit)
    if (checked[0] > checked[1]).any():
        raise ValueError(f"A lower bound must not exceed the upper one; got bounds={bounds!r}.")
    return checked


def fit_models(
    data: Data,
    rule: Rule,
    problem: Problem,
    starts: Sequence[np.ndarray],
    *,
    total_weight: float,
    device: str,
    verbose: bool = False,
) -> list[Outcome]:
    """Minimise mean loss and penalty for each model.

    Parameters
    ----------
    data : Data
    rule : Rule
    problem : Problem
    starts : sequence of ndarray of shape (n_columns, n_features + 1)
        One for each model. A single model has class 1 for its positive one; of several, the k-th has class k.
    total_weight : float
        Of the rows.
    device : str
    verbose : bool

    Returns
    -------
    list of Outcome

    Raises
    ------
    ValueError
        If a sum over the rows overflows.
    """
    weighting = -1 if data.weight is None else 0
    positive = [1] if len(starts) == 1 else list(range(len(starts)))
    if problem.solver in ("sag", "saga"):
        return _sag(data, rule, problem, starts, positive, total_weight, device, verbose)
    if problem.solver in ("gd", "agd") and not problem.line_search and problem.step_size is None:
        constant = gradient_descent.lipschitz(
            data,
            rule,
            scale=1.0 / total_weight,
            l2=problem.l2,
            fit_intercept=problem.fit_intercept,
            weighting=weighting,
            device=device,
        )
        problem = problem._replace(step_size=1.0 / constant if constant > 0.0 else 1.0)
    objective = Objective(
        1.0 / total_weight,
        problem.l2,
        rule.n_columns,
        data.X.shape[1],
        problem.fit_intercept,
        data.X.dtype,
        rule.loss,
    )
    models = [
        _passes.Model(partial(_search, objective, start, problem), k, weighting=weighting)
        for start, k in zip(starts, positive, strict=True)
    ]
    of_rows = rule.n_columns * data.X.shape[0] * data.X.dtype.itemsize
    return _passes.run(
        data,
        rule,
        models,
        bytes_per_search=of_rows + lbfgs.bytes_held(starts[0].size),
        device=device,
        description=problem.solver,
        verbose=verbose,
    )


def _search(objective: Objective, start: np.ndarray, problem: Problem) -> Any:
    stopping: dict[str, Any] = {"tol": problem.tol, "max_iter": problem.max_iter}
    if problem.solver in _SMOOTH:
        return _SMOOTH[problem.solver](objective, start, **stopping)
    descend = gradient_descent.plain if problem.solver == "gd" else gradient_descent.accelerated
    return descend(
        objective,
        start,
        **stopping,
        penalty=problem.penalty,
        step_size=problem.step_size,
        line_search=problem.line_search,
    )


def _sag(data, rule, problem, starts, positive, total_weight, device, verbose):
    models = new_models(len(starts))
    models["positive_class"] = positive
    models["weighting"] = -1 if data.weight is None else 0
    weights = np.concatenate(starts)
    # SAG's mean is over the rows, whatever their weights.
    share = np.full(len(starts), total_weight / data.X.shape[0])
    settings = sag.Settings(
        method=problem.solver,
        alpha=problem.l2 * share,
        beta=problem.l1 * share,
        fit_intercept=problem.fit_intercept,
        max_iter=problem.max_iter,
        tol=problem.tol,
    )
    solution = sag.solve(
        data, rule, models, settings, weights, seed=problem.seed, device=device, verbose=verbose
    )
    message = f"{problem.solver} failed to converge in {problem.max_iter} epochs. Increase max_iter, or scale the data."
    blocks = np.split(weights, len(starts))
    return [
        Outcome(block, int(n_iter), bool(converged), message, np.nan, [])
        for block, n_iter, converged in zip(blocks, solution.n_iter, solution.converged, strict=True)
    ]


def warn_if_unconverged(outcomes: Sequence[Outcome]) -> None:
    """One ConvergenceWarning for each way in which searches have failed."""
    for message in dict.fromkeys(outcome.message for outcome in outcomes if not outcome.converged):
        warnings.warn(message, ConvergenceWarning, stacklevel=4)
