"""Stochastic gradient descent on the CPU; the contract is ``fastml.kernels.reference.sgd``."""

from fastml._config import effective_n_threads
from fastml.kernels.cpu import _sgd
from fastml.kernels.cpu._sgd import fold, shuffle

__all__ = ["epoch", "fold", "shuffle"]

# Multiply-adds under which starting a second thread costs more than it saves (some 15 us).
MIN_WORK_PER_THREAD = 500_000


def epoch(X, target, sample_weight, order, state, rule):
    n_values = len(X.data) / max(1, X.shape[0]) if hasattr(X, "indptr") else X.shape[1]
    work = n_values * len(order) * len(state.active)
    n_threads = effective_n_threads() if work >= 2 * MIN_WORK_PER_THREAD else 1
    _sgd.epoch(X, target, sample_weight, order, state, rule, n_threads)
