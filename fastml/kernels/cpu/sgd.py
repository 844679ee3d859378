"""Stochastic gradient descent on the CPU; the contract is ``fastml.kernels.reference.sgd``."""

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml.kernels.cpu import _sgd
from fastml.kernels.cpu._sgd import fold, shuffle

__all__ = ["epoch", "epochs", "fold", "rows_per_call", "shuffle"]

# Multiply-adds under which waking a second thread costs more than it saves (some 15 us).
MIN_WORK_PER_THREAD = 500_000

# Multiply-adds per call: 20 ms on wide dense rows, 200 ms where steps cost most, with an l1 penalty and averages.
# Steps of neither kind may be four times as many (a call's threads start and end together: 5 to 8 % on MNIST).
WORK_PER_CALL = 100_000_000
WORK_PER_PLAIN_CALL = 400_000_000

# What a step costs besides its multiply-adds, in multiply-adds.
WORK_PER_STEP = 50


def epoch(X, target, sample_weight, order, state, rule):
    _sgd.epoch(X, target, sample_weight, order, state, rule, _n_threads(X, order, state))


def epochs(X, target, sample_weight, order, state, rule, n_epochs, seed, watch):
    n_threads = _n_threads(X, order, state)
    return _sgd.epochs(X, target, sample_weight, order, state, rule, n_epochs, seed, watch, n_threads)


def rows_per_call(X, n_models, rule):
    plain = rule.penalty in ("none", "l2") and not rule.average
    return 1 + int((WORK_PER_PLAIN_CALL if plain else WORK_PER_CALL) / _work_per_row(X, n_models))


def _n_threads(X, order, state):
    work = _work_per_row(X, len(state.active)) * len(order)
    return effective_n_threads() if work >= 2 * MIN_WORK_PER_THREAD else 1


def _work_per_row(X, n_models):
    n_values = len(X.data) / max(1, X.shape[0]) if isinstance(X, CSR) else X.shape[1]
    return (n_values + WORK_PER_STEP) * n_models
