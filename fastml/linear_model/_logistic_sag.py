"""Regularisation paths of logistic regression by SAG and SAGA."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers import sag
from fastml.solvers._objective import Outcome

UNCONVERGED = (
    "The max_iter was reached which means the coef_ did not converge. Increase max_iter, or scale the data."
)


def sag_paths(
    data: Data,
    rule: Rule,
    paths: Sequence[Any],
    settings: Any,
    *,
    seed: int,
    device: str,
) -> list[list[Outcome]]:
    """Fit the models of all paths, those of one C at a time: each starts where the one before it on its path ended.

    Parameters
    ----------
    data : Data
    rule : Rule
    paths : sequence of Path
        All with as many Cs.
    settings : Settings
    seed : int
    device : str

    Returns
    -------
    list of list of Outcome
        By path and C; their values are not known.
    """
    models = new_models(len(paths))
    models["weighting"] = [path.weighting for path in paths]
    weights = np.concatenate([path.start for path in paths])
    l1_ratios = np.array([path.l1_ratio for path in paths])
    outcomes: list[list[Outcome]] = [[] for _ in paths]
    for Cs in zip(*(path.Cs for path in paths), strict=True):
        strengths = 1.0 / (np.array(Cs) * data.X.shape[0])
        solution = sag.solve(
            data,
            rule,
            models,
            sag.Settings(
                method=settings.solver,
                alpha=(1.0 - l1_ratios) * strengths,
                beta=l1_ratios * strengths,
                fit_intercept=settings.fit_intercept,
                max_iter=settings.max_iter,
                tol=settings.tol,
            ),
            weights,
            seed=seed,
            device=device,
            verbose=settings.verbose,
        )
        for k, of_path in enumerate(outcomes):
            block = weights[k * rule.n_columns : (k + 1) * rule.n_columns].copy()
            converged = bool(solution.converged[k])
            message = "converged" if converged else UNCONVERGED
            of_path.append(Outcome(block, int(solution.n_iter[k]), converged, message, np.nan, []))
    return outcomes
