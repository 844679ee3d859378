"""Passes for generalised linear models on the CPU; the contract is ``fastml.kernels.reference.glm``."""

import numpy as np

import fastml.kernels.cpu._glm as _glm
from fastml._config import effective_n_threads
from fastml._csr import CSR

__all__ = ["evaluate", "hessian", "hessian_product", "margins", "moments", "prediction_like"]

# Multiply-adds under which waking a second thread costs more than it saves (some 15 us).
MIN_WORK_PER_THREAD = 500_000

# What a row costs besides its multiply-adds, for each column: its loss, and sums over lanes.
WORK_PER_ROW = 50


def evaluate(data, rule, models, weights, value, gradient, prediction=None):
    _glm.evaluate(data, rule, models, weights, value, gradient, prediction, _n_threads(data.X, len(weights)))


def prediction_like(data, rule, n_models):
    return np.empty((n_models * rule.n_columns, data.X.shape[0]), dtype=data.X.dtype)


def hessian_product(data, rule, models, prediction, vectors, out):
    _glm.hessian_product(data, rule, models, prediction, vectors, out, _n_threads(data.X, len(vectors)))


def hessian(data, rule, models, prediction, out):
    _glm.hessian(data, rule, models, prediction, out, _n_threads(data.X, len(out)))


def margins(X, weights, out):
    _glm.margins(X, weights, out, _n_threads(X, len(weights)))


def moments(data, shift, out, weighting=-1, rows=None, exact=False):
    _glm.moments(data, shift, out, weighting, rows, exact, _n_threads(data.X, len(out) // 4 + 1))


def _n_threads(X, n_columns):
    n_values = len(X.data) if isinstance(X, CSR) else X.size
    work = (2 * n_values + WORK_PER_ROW * X.shape[0]) * n_columns
    return max(1, min(effective_n_threads(), int(work // MIN_WORK_PER_THREAD)))
