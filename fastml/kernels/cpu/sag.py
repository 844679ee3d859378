"""SAG and SAGA on the CPU; the contract is ``fastml.kernels.reference.sag``."""

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml.kernels.cpu import _sag as compiled  # type: ignore[attr-defined]

__all__ = ["advance"]

# Multiply-adds of an epoch over all models from which on a second thread (some 15 us) pays: many epochs follow.
MIN_WORK_TO_FORK = 20_000


def advance(data, rule, models, work):
    n_values = len(data.X.data) if isinstance(data.X, CSR) else data.X.size
    alone = len(models) == 1 or n_values * rule.n_columns * len(models) < MIN_WORK_TO_FORK
    compiled.advance(data, rule, models, work, 1 if alone else effective_n_threads())
