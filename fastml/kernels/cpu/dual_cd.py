"""Coordinate descent on the CPU; the contract is ``fastml.kernels.reference.dual_cd``."""

import numpy as np

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml.kernels.cpu import _dual_cd as compiled  # type: ignore[attr-defined]

__all__ = ["crammer_singer", "l1", "logistic_dual", "logistic_l1", "sq_norms", "svc", "svr", "transposed"]

# Multiply-adds of a sweep over all models from which on a second thread (some 15 us) pays: tens of sweeps follow.
MIN_WORK_TO_FORK = 20_000


def svc(data, models, squared, work):
    compiled.svc(data, models, squared, work, _n_threads(data.X, models))


def svr(data, models, squared, work):
    compiled.svr(data, models, squared, work, _n_threads(data.X, models))


def crammer_singer(data, model, work):
    compiled.crammer_singer(data, model, work)


def l1(X_transposed, models, work):
    compiled.l1(X_transposed, models, work, _n_threads(X_transposed, models))


def logistic_dual(data, models, work):
    compiled.logistic_dual(data, models, work, _n_threads(data.X, models))


def logistic_l1(X_transposed, models, work):
    compiled.logistic_l1(X_transposed, models, work, _n_threads(X_transposed, models))


def sq_norms(X, bias):
    return compiled.sq_norms(X, bias)


def transposed(X, bias):
    if not isinstance(X, CSR):
        result = np.empty((X.shape[1] + (bias != 0.0), X.shape[0]), X.dtype)
        result[: X.shape[1]] = X.T
        result[X.shape[1] :] = bias
        return result
    return compiled.transposed_csr(X, bias)


def _n_threads(X, models):
    n_values = len(X.data) if isinstance(X, CSR) else X.size
    if len(models) == 1 or n_values * len(models) < MIN_WORK_TO_FORK:
        return 1
    return effective_n_threads()
