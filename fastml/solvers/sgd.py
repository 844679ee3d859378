"""The epoch loop of stochastic gradient descent, for any number of models over one X."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastml._progress import progress_bar
from fastml.kernels import for_device
from fastml._csr import CSR
from fastml.kernels.reference.sgd import loss_derivative
from fastml.kernels.sgd_state import MODEL, PROGRESS, Rule, State

# Multiply-adds between two returns to the interpreter: tens of milliseconds, so that Ctrl-C is heard and the
# progress bar moves.
WORK_PER_CALL = 100_000_000
# The "adaptive" schedule gives up below this learning rate.
SMALLEST_ADAPTIVE_ETA = 1e-6


class Stopping(NamedTuple):
    """When to stop: scikit-learn's criterion, per model.

    Attributes
    ----------
    max_iter : int
        Epochs at most.
    tol : float
        A model's epoch improves nothing if its mean objective exceeds its best so far less ``tol`` (with a
        validation score: if the score falls short of the best plus ``tol``); -inf never stops early.
    n_iter_no_change : int
        Epochs without improvement that stop a model.
    """

    max_iter: int
    tol: float
    n_iter_no_change: int


class Validation(NamedTuple):
    """Early stopping by a score on rows that are not learned from.

    Attributes
    ----------
    held_out : ndarray of bool, shape (n_samples,)
    score : callable
        ``score(model, coef, intercept) -> float``, higher is better.
    """

    held_out: np.ndarray
    score: Callable[[int, np.ndarray, float], float]


class Solution(NamedTuple):
    """Weights of all models, in host memory; arrays named as in ``State`` and ``PROGRESS``."""

    coef: np.ndarray
    intercept: np.ndarray
    average_coef: np.ndarray | None
    average_intercept: np.ndarray
    n_iter: np.ndarray


def optimal_init(loss: Any, alpha: float, epsilon: float) -> float:
    """t_0 of the "optimal" schedule: the first step moves a weight of typical size by its own size.

    Parameters
    ----------
    loss : str or fastml.Loss
    alpha : float
    epsilon : float
        The loss's own parameter.

    Returns
    -------
    float

    References
    ----------
    L. Bottou, "Stochastic Gradient Descent Tricks", 2012; as in scikit-learn.
    """
    typical_weight = np.sqrt(1.0 / np.sqrt(alpha))
    eta0 = typical_weight / max(1.0, loss_derivative(loss, 1.0, -typical_weight, epsilon))
    return 1.0 / (eta0 * alpha)


def make_models(rule: Rule, hyperparameters: Sequence[dict[str, float]]) -> np.ndarray:
    """The kernels' table of models, one row per dictionary of ``MODEL``'s fields (``optimal_init`` is computed)."""
    models = np.zeros(len(hyperparameters), MODEL)
    for model, given in zip(models, hyperparameters):
        model["weight_pos"] = model["weight_neg"] = 1.0
        for name, value in given.items():
            model[name] = value
        if rule.penalty == "l2":
            model["l1_ratio"] = 0.0
        elif rule.penalty == "l1":
            model["l1_ratio"] = 1.0
        if rule.schedule == "optimal":
            model["optimal_init"] = optimal_init(rule.loss, float(model["alpha"]), float(model["epsilon"]))
    return models


def initial_state(
    rule: Rule,
    models: np.ndarray,
    coef: np.ndarray,
    intercept: np.ndarray,
    average_coef: np.ndarray | None = None,
    average_intercept: np.ndarray | None = None,
    t: float = 1.0,
) -> State:
    """The state before the first step, in host memory; ``coef`` and ``average_coef`` are copied."""
    n_models = len(models)
    progress = np.zeros(n_models, PROGRESS)
    progress["wscale"] = progress["average_b"] = 1.0
    progress["intercept"] = intercept
    progress["t"] = t
    progress["eta"] = models["eta0"]
    progress["sq_norm"] = np.einsum("kj,kj->k", coef, coef)
    progress["l1_norm"] = np.abs(coef).sum(axis=1)
    if average_intercept is not None:
        progress["average_intercept"] = average_intercept
    averaged = rule.average > 0
    return State(
        coef=np.array(coef, order="C"),
        average_coef=np.array(average_coef, order="C")
        if averaged and average_coef is not None
        else (np.zeros_like(coef, order="C") if averaged else None),
        applied_l1=np.zeros_like(coef, order="C") if rule.penalty in ("l1", "elasticnet") else None,
        models=models,
        progress=progress,
        active=np.arange(n_models, dtype=np.int32),
    )


def solve(
    X: Any,
    target: np.ndarray,
    sample_weight: np.ndarray | None,
    state: State,
    rule: Rule,
    stopping: Stopping,
    *,
    seed: int | None,
    validation: Validation | None = None,
    device: str = "cpu",
    verbose: int = 0,
) -> Solution:
    """Run epochs until every model has stopped.

    Parameters
    ----------
    X, target, sample_weight, state, rule
        As for ``fastml.kernels.reference.sgd.epoch``; ``state`` is used up.
    stopping : Stopping
    seed : int or None
        Of the permutation; None visits the rows in their order. The same permutation is applied anew to the order
        of each epoch, as in scikit-learn, and all models share it.
    validation : Validation or None
    device : {"cpu", "cuda"}
    verbose : int
        Above 0, a report per model and epoch goes to standard output.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If weights overflow.
    """
    backend = for_device(device)
    sgd, arrays = backend.sgd, backend.arrays
    X, target, sample_weight = arrays.send(X), arrays.send(target), arrays.send(sample_weight)
    state = State(*(arrays.send(value) for value in vars(state).values()))
    n_models = len(arrays.fetch(state.progress))
    order = np.arange(X.shape[0], dtype=np.int32)
    tracker = _Tracker(stopping, rule, n_models, validation)

    with progress_bar(stopping.max_iter, "SGD", unit="epoch") as bar:
        for epoch in range(1, stopping.max_iter + 1):
            if seed is not None:
                sgd.shuffle(order, seed)
            rows = order if validation is None else order[~validation.held_out[order]]
            for chunk in _chunks(rows, X, len(tracker.active)):
                sgd.epoch(X, target, sample_weight, chunk, state, rule)
                bar.update(len(chunk) / len(rows))
            progress = arrays.fetch(state.progress)
            if not (np.isfinite(progress["intercept"]).all() and arrays.all_finite(state.coef)):
                raise ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input data with "
                    "StandardScaler or MinMaxScaler might help."
                )
            if epoch == 1 and not np.isfinite(progress["finite"]).all():
                raise NonFiniteInput
            stopped = tracker.observe(epoch, progress, len(rows), state, arrays)
            if verbose:
                _report(epoch, progress, tracker, len(rows))
            if not len(tracker.active):
                break
            progress["loss"] = progress["objective"] = 0.0
            state.progress = arrays.send(progress)
            if stopped:
                state.active = arrays.send(tracker.active)
    sgd.fold(state)
    return _solution(state, tracker, arrays)


class NonFiniteInput(ValueError):
    """A margin was NaN or infinite although the weights are finite: X is not."""


def _chunks(rows, X, n_models):
    values_per_row = len(X.data) / max(1, X.shape[0]) if isinstance(X, CSR) else X.shape[1]
    size = max(1, int(WORK_PER_CALL / max(1.0, (values_per_row + 20.0) * n_models)))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _solution(state, tracker, arrays):
    progress = arrays.fetch(state.progress)
    return Solution(
        coef=arrays.fetch(state.coef),
        intercept=progress["intercept"].copy(),
        average_coef=None if state.average_coef is None else arrays.fetch(state.average_coef),
        average_intercept=progress["average_intercept"].copy(),
        n_iter=tracker.n_iter,
    )


class _Tracker:
    """Which models still learn, by scikit-learn's criterion."""

    def __init__(self, stopping, rule, n_models, validation):
        self.stopping, self.rule, self.validation = stopping, rule, validation
        self.active = np.arange(n_models, dtype=np.int32)
        self.n_iter = np.zeros(n_models, dtype=np.int64)
        self.best = np.full(n_models, np.inf)  # of the mean objective, or of the negated score
        self.no_improvement = np.zeros(n_models, dtype=np.int64)

    def observe(self, epoch, progress, n_rows, state, arrays):
        """Take in an epoch's outcome; True if some model has stopped. ``progress["eta"]`` may be lowered."""
        active = self.active
        self.n_iter[active] = epoch
        if self.stopping.tol == -np.inf:
            return False
        figure = self._figures(progress, n_rows, state, arrays)
        best = self.best[active]
        worse = figure > best - self.stopping.tol
        self.no_improvement[active] = np.where(worse, self.no_improvement[active] + 1, 0)
        self.best[active] = np.minimum(best, figure)
        stuck = active[self.no_improvement[active] >= self.stopping.n_iter_no_change]
        if not len(stuck):
            return False
        if self.rule.schedule == "adaptive":
            reducible = stuck[progress["eta"][stuck] > SMALLEST_ADAPTIVE_ETA]
            progress["eta"][reducible] /= 5.0
            self.no_improvement[reducible] = 0
            stuck = np.setdiff1d(stuck, reducible)
        self.active = np.setdiff1d(active, stuck).astype(np.int32)
        return len(stuck) > 0

    def _figures(self, progress, n_rows, state, arrays):
        if self.validation is None:
            return progress["objective"][self.active] / n_rows
        coef = arrays.fetch(state.coef)
        return np.array(
            [
                -self.validation.score(k, coef[k] * progress["wscale"][k], progress["intercept"][k])
                for k in self.active
            ]
        )


def _report(epoch, progress, tracker, n_rows):
    for k, row in enumerate(progress):
        print(
            f"-- Model {k}, epoch {epoch}: norm {np.sqrt(row['sq_norm']):.2f}, bias {row['intercept']:.6f}, "
            f"T {int(row['t'])}, average loss {row['loss'] / n_rows:f}, objective {row['objective'] / n_rows:f}"
        )
        if k not in tracker.active:
            print(f"Convergence after {tracker.n_iter[k]} epochs")
