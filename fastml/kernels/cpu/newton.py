"""The trust-region Newton method on the CPU; the contract is ``fastml.kernels.reference.newton``."""

import numpy as np

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml.kernels.cpu._newton import advance as advance_compiled

__all__ = ["advance", "block_starts"]

# Multiply-adds of a pass over the rows, from which on threads (some 15 us each) share it.
MIN_WORK_PER_BLOCK = 100_000

# The same of all models' passes together, some tens of which follow.
MIN_WORK_TO_FORK = 40_000

MAX_BLOCKS = 64


def advance(data, models, work):
    many = len(models) > 1 and _n_values(data.X) * len(models) >= MIN_WORK_TO_FORK
    shared = len(models) == 1 and len(models[0].block_start) > 2
    advance_compiled(data, models, work, effective_n_threads() if many or shared else 1)


def block_starts(X, n_models):
    n_blocks = 1
    if n_models == 1 and _n_values(X) >= 2 * MIN_WORK_PER_BLOCK:
        n_blocks = min(effective_n_threads(), MAX_BLOCKS, X.shape[0], _n_values(X) // MIN_WORK_PER_BLOCK)
    shares = np.arange(n_blocks + 1) / n_blocks
    if not isinstance(X, CSR) or n_blocks == 1:
        return (shares * X.shape[0]).astype(np.int64)
    starts = np.searchsorted(X.indptr, shares * X.indptr[-1]).astype(np.int64)
    starts[0], starts[-1] = 0, X.shape[0]
    return starts


def _n_values(X):
    return len(X.data) if isinstance(X, CSR) else X.size
