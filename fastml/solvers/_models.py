"""Several models over one X, each advanced piece by piece."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastml._config import effective_n_threads
from fastml._progress import progress_bar

# Multiply-adds that a call of a kernel may take for one model: some 20 to 50 ms. Between two calls Ctrl-C is heard.
WORK_PER_CALL = 50e6

# Models that one call may get for each thread: threads that are done with a model take another one.
MODELS_PER_THREAD = 4


class Binary(NamedTuple):
    """One two-class problem over rows that all problems share.

    Attributes
    ----------
    positive_class : int
        The label that is +1; every other is -1.
    cost_positive, cost_negative : float
        C of the rows of either sign, before sample weights.
    tol : float
        As the solver's stopping rule compares it.
    """

    positive_class: int
    cost_positive: float
    cost_negative: float
    tol: float


class Solution(NamedTuple):
    """Weights and what it took to find them.

    Attributes
    ----------
    coef : ndarray of float64, shape (n_models, n_features)
    bias_coef : ndarray of float64, shape (n_models,)
        Weight of the bias; 0 where there is none.
    n_iter : ndarray of int64, shape (n_models,)
        Newton steps, or sweeps; of Crammer and Singer's one joint problem a single number.
    """

    coef: np.ndarray
    bias_coef: np.ndarray
    n_iter: np.ndarray


def run(
    advance: Callable[[list], None],
    make: Callable[[int], Any],
    finish: Callable[[int, Any], None],
    n_models: int,
    *,
    description: str,
    verbose: bool,
) -> None:
    """Advance models until each is done.

    Parameters
    ----------
    advance : callable
        ``advance(models)`` takes each some way on, by ``WORK_PER_CALL``.
    make, finish : callable
        ``make(k)`` gives the k-th model's state, ``finish(k, state)`` takes what it has become. Only some states
        exist at a time: one may be as large as y or larger.
    n_models : int
    description : str
        Of the progress bar, which counts models.
    verbose : bool
        Whether to show the bar whatever the option ``progress`` says.
    """
    at_once = min(n_models, MODELS_PER_THREAD * effective_n_threads() if n_models > 1 else 1)
    running: dict[int, Any] = {}
    begun = 0
    with progress_bar(n_models, description, unit="model", show=True if verbose else None) as bar:
        while begun < n_models or running:
            while len(running) < at_once and begun < n_models:
                running[begun] = make(begun)
                begun += 1
            advance([model for model in running.values() if not model.record["done"][0]])
            for k in [k for k, model in running.items() if model.record["done"][0]]:
                finish(k, running.pop(k))
                bar.update(1)
