"""The epoch loop of stochastic gradient descent, for any number of models over one X."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastml._progress import progress_bar
from fastml.kernels import for_device
from fastml.kernels.reference.sgd import loss_derivative
from fastml.kernels.sgd_state import MODEL, PROGRESS, Rule, State, Watch, own_cache_lines
from fastml.solvers._errors import overflow_error

# The "adaptive" schedule gives up below this learning rate.
SMALLEST_ADAPTIVE_ETA = 1e-6


# Where all classes take their last steps on the same rows, these push all weights along the same few vectors: on
# MNIST, 5 epochs, mean test accuracy was 89.0 % (84 seeds), against scikit-learn's 89.4 % (10 seeds) with an order for
# each class. Staggered in every epoch it is 89.4 % (48 seeds), in the last one alone 89.5 % (20 seeds): hence only
# where an epoch may be the last. Small data sets take many epochs, which end in small steps.
STAGGERED_ROWS = 1000
MIN_ROWS_TO_STAGGER = 10_000


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
    if not isinstance(rule.loss, str):
        rule.loss.compile()
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
    progress = own_cache_lines((n_models, 1), PROGRESS).ravel()
    progress["wscale"] = progress["average_b"] = 1.0
    progress["intercept"] = intercept
    progress["t"] = t
    progress["eta"] = models["eta0"]
    progress["sq_norm"] = np.einsum("kj,kj->k", coef, coef)
    progress["l1_norm"] = np.abs(coef).sum(axis=1)
    if average_intercept is not None:
        progress["average_intercept"] = average_intercept
    averaged = rule.average > 0
    truncated = rule.penalty in ("l1", "elasticnet")
    return State(
        coef=own_cache_lines(coef.shape, coef.dtype, coef),
        average_coef=own_cache_lines(coef.shape, coef.dtype, average_coef) if averaged else None,
        applied_l1=own_cache_lines(coef.shape, coef.dtype) if truncated else None,
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
    n_classes: int = 1,
    validation: Validation | None = None,
    check_X: Callable[[], None] | None = None,
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
        of each epoch, as in scikit-learn, and all models share it (see ``n_classes``).
    n_classes : int
        Of a one-vs-rest problem, whose models are in the order of the classes (several problems in a row). With more
        than two, and from ``MIN_ROWS_TO_STAGGER`` rows on, each class visits the last permuted rows of an epoch that
        may be the last one from a start of its own.
    validation : Validation or None
    check_X : callable or None
        Raises if X is not finite. Called once, where a margin was not: every row of X passes through a margin in the
        first epoch, which saves a search of its own.
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
    tracker = _Tracker(stopping, rule, len(state.progress), validation)
    is_own_loss = not isinstance(rule.loss, str)
    data = arrays.send(X), arrays.send(target), arrays.send(sample_weight)
    state = State(*(arrays.send(value) for value in vars(state).values()))
    order = np.arange(X.shape[0], dtype=np.int32)

    # Between these epochs nothing is scored, reported or staggered.
    is_plain = validation is None and not verbose and len(order) < MIN_ROWS_TO_STAGGER

    with progress_bar(stopping.max_iter, "SGD", unit="epoch") as bar:
        epoch = 0
        while epoch < stopping.max_iter:
            size = sgd.rows_per_call(X, len(tracker.active), rule)
            if is_plain and len(order) <= size:
                n_rows = len(order)
                n_epochs = min(size // n_rows, stopping.max_iter - epoch)
                taken = sgd.epochs(*data, order, state, rule, n_epochs, seed, tracker.watch)
                epoch += taken
                bar.update(taken)
            else:
                epoch += 1
                if seed is not None:
                    sgd.shuffle(order, seed)
                rows = order if validation is None else order[~validation.held_out[order]]
                n_rows = len(rows)
                may_end = epoch == stopping.max_iter or stopping.tol > -np.inf
                n_starts = n_classes if seed is not None and may_end else 1
                for piece, models in _pieces(rows, tracker.active, n_starts, size):
                    among = replace(state, active=arrays.send(np.array(models, dtype=np.int32)))
                    sgd.epoch(*data, piece, among, rule)
                    bar.update(len(piece) * len(models) / (n_rows * len(tracker.active)))
            progress = arrays.fetch(state.progress)
            weights_finite = np.isfinite(progress["intercept"]).all() and arrays.all_finite(state.coef)
            if check_X is not None and not (weights_finite and np.isfinite(progress["finite"]).all()):
                check_X()
                check_X = None
            # A built-in loss is finite where weights are.
            if not weights_finite or (is_own_loss and np.isnan(progress["objective"]).any()):
                raise overflow_error(epoch, rule.loss)
            learning = list(tracker.active)
            stopped = tracker.observe(epoch, progress, n_rows, state, arrays)
            if verbose:
                _report(epoch, progress, arrays.fetch(state.coef), learning, tracker, n_rows)
            if not tracker.active:
                break
            progress["loss"] = progress["objective"] = 0.0
            state.progress = arrays.send(progress)
            if stopped:
                state.active = arrays.send(np.array(tracker.active, dtype=np.int32))
    sgd.fold(state)
    return _solution(state, tracker, arrays)


def _pieces(rows, active, n_starts, size):
    """At most ``size`` rows at a time that all models visit together; the last ones in each class's order of them."""
    staggers = n_starts > 2 and len(rows) >= MIN_ROWS_TO_STAGGER
    shared = rows[:-STAGGERED_ROWS] if staggers else rows
    for first in range(0, len(shared), size):
        yield shared[first : first + size], active
    if staggers:
        last = rows[-STAGGERED_ROWS:]
        for c in range(n_starts):
            models = [k for k in active if k % n_starts == c]
            if models:
                yield np.roll(last, c * STAGGERED_ROWS // n_starts), models


def _solution(state, tracker, arrays):
    progress = arrays.fetch(state.progress)
    return Solution(
        coef=arrays.fetch(state.coef).copy(),
        intercept=progress["intercept"].copy(),
        average_coef=None if state.average_coef is None else arrays.fetch(state.average_coef).copy(),
        average_intercept=progress["average_intercept"].copy(),
        n_iter=np.array(tracker.n_iter),
    )


class _Tracker:
    """Which models still learn, by scikit-learn's criterion."""

    def __init__(self, stopping, rule, n_models, validation):
        self.stopping, self.rule, self.validation = stopping, rule, validation
        self.active = list(range(n_models))
        self.n_iter = [0] * n_models
        # best is of the mean objective, or of the negated score.
        self.watch = Watch(
            np.full(n_models, np.inf), np.zeros(n_models, np.int64), stopping.tol, stopping.n_iter_no_change
        )

    def observe(self, epoch, progress, n_rows, state, arrays):
        """Take in an epoch's outcome; True if some model has stopped. ``progress["eta"]`` may be lowered."""
        for k in self.active:
            self.n_iter[k] = epoch
        if self.stopping.tol == -np.inf:
            return False
        figures = self._figures(progress, n_rows, state, arrays)
        going_on = [k for k in self.active if self._goes_on(k, figures[k], progress)]
        some_stopped = len(going_on) < len(self.active)
        self.active = going_on
        return some_stopped

    def _goes_on(self, k, figure, progress):
        best, no_improvement = self.watch.best, self.watch.no_improvement
        improved = not figure > best[k] - self.stopping.tol
        no_improvement[k] = 0 if improved else no_improvement[k] + 1
        best[k] = min(best[k], figure)
        if no_improvement[k] < self.stopping.n_iter_no_change:
            return True
        if self.rule.schedule == "adaptive" and progress["eta"][k] > SMALLEST_ADAPTIVE_ETA:
            progress["eta"][k] /= 5.0
            no_improvement[k] = 0
            return True
        return False

    def _figures(self, progress, n_rows, state, arrays):
        """What is to go down, per model: the mean objective, or the validation score negated."""
        if self.validation is None:
            return [objective / n_rows for objective in progress["objective"].tolist()]
        # Of the weights before scaling by wscale, as scikit-learn's callback is given them: its epochs would
        # otherwise not be ours.
        coef = arrays.fetch(state.coef)
        return {k: -self.validation.score(k, coef[k], progress["intercept"][k]) for k in self.active}


def _report(epoch, progress, coef, learning, tracker, n_rows):
    for k in learning:
        row = progress[k]
        norm = np.linalg.norm(coef[k]) * row["wscale"]
        print(
            f"-- Model {k}, epoch {epoch}: norm {norm:.2f}, non-zeros {np.count_nonzero(coef[k])}, "
            f"bias {row['intercept']:.6f}, T {int(row['t'])}, average loss {row['loss'] / n_rows:f}, "
            f"objective {row['objective'] / n_rows:f}"
        )
        if k not in tracker.active:
            print(f"Convergence after {tracker.n_iter[k]} epochs")
