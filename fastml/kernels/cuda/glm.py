"""Passes for generalised linear models on the GPU; the contract is ``fastml.kernels.reference.glm``.

Dense rows go by in pieces: cuBLAS multiplies a piece with all active models' weights (in X's own precision), one
kernel of ours makes losses and derivatives of the margins where they lie (``_glm_kernel``), cuBLAS multiplies these
with the piece. What the contract calls a block of rows is a piece here, of some ten thousand, summed in cuBLAS' order.

CSR rows are multiplied by a block of threads each. The gradient is a sum over columns, and is taken column by column,
from X sorted by columns: atomic additions would come in another order each time. That copy is made at the first pass
over X, and is kept as long as X is.

To be measured on a GPU: the share of the losses' kernel beside cuBLAS; threads for a CSR row and column.
"""

import weakref
from typing import Any, NamedTuple

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cuda import _device, arrays
from fastml.kernels.cuda._glm_kernel import (
    Specialisation,
    columns_kernel,
    curve_kernel,
    evaluate_kernel,
    rows_kernel,
)
from fastml.kernels.cuda._gram_sparse import scatter_kernel
from fastml.kernels.cuda._warp import LANES

__all__ = ["evaluate", "hessian", "hessian_product", "margins", "moments", "prediction_like"]

# Margins and rows of a piece; a Hessian's rows, which are copied.
PIECE_ROWS = 2**16
PIECE_BYTES = 2**28

# Sums of losses that are left to be added up.
SUMS = 64


def evaluate(data, rule, models, weights, value, gradient, prediction=None):
    numbers = np.flatnonzero(models["active"])
    if len(numbers) == 0:
        return
    run = _Pass(data, rule, models, numbers, weights)
    kernel = evaluate_kernel(Specialisation(rule.loss, run.coded))
    predicts = prediction is not None
    out = prediction if predicts else _device.empty((0, 0), data.X.dtype)
    total = _zeros(len(numbers))
    for first, derivatives in run.pieces():
        n_blocks = min(SUMS, run.grid(derivatives)[0])
        sums = _device.empty((len(numbers), n_blocks), np.float64)
        kernel[(n_blocks, len(numbers)), run.threads, _device.stream()](
            derivatives, *run.arguments, first, predicts, _device.strided(out), sums
        )
        total += sums.sum(axis=1)
        if gradient is not None:
            run.add(first, derivatives)
    _put(value, numbers, total)
    if gradient is not None:
        _put(gradient, run.columns, run.gradient())


def prediction_like(data, rule, n_models):
    return _device.empty((n_models * rule.n_columns, data.X.shape[0]), data.X.dtype)


def hessian_product(data, rule, models, prediction, vectors, out):
    numbers = np.flatnonzero(models["active"])
    if len(numbers) == 0:
        return
    run = _Pass(data, rule, models, numbers, vectors)
    for first, changes in run.pieces():
        run.curve(changes, first, prediction)
        run.add(first, changes)
    _put(out, run.columns, run.gradient())


def hessian(data, rule, models, prediction, out):
    n, n_columns = data.X.shape[1] + 1, rule.n_columns
    out[...] = 0.0
    run = _Pass(data, rule, models, np.zeros(1, np.int64), _zeros((n_columns, n)))
    n_at_once = max(1, min(PIECE_ROWS, PIECE_BYTES // (8 * n)))
    for first in range(0, data.X.shape[0], n_at_once):
        end = min(first + n_at_once, data.X.shape[0])
        rows = _with_one(data.X, first, end)
        for a in range(n_columns):
            # The Hessian's product with a margin of 1 for the class a is its part of each class b.
            curvature = _zeros((n_columns, end - first), data.X.dtype)
            curvature[a] = 1.0
            run.curve(curvature, first, prediction)
            for b in range(a + 1):
                out[a * n : (a + 1) * n, b * n : (b + 1) * n] += (rows * curvature[b][:, None]).T @ rows
    _make_symmetric(out)


def margins(X, weights, out):
    if 0 in out.shape:
        return
    for first, end in _pieces_of(X, len(weights)):
        own = _margins(X, weights[:, :-1].astype(X.dtype), first, end)
        out[first:end] = (own + weights[:, -1:]).T.astype(X.dtype)


def moments(data, shift, out, weighting=-1, rows=None, exact=False):
    xp, X = _device.array_module(), data.X
    dtype = np.dtype(np.float64) if exact else X.dtype
    n, n_targets = X.shape[1], out.shape[0] - X.shape[1] - 1
    weight = None if weighting < 0 else data.weight[weighting]
    if rows is not None:  # a row's weight is how often it is taken
        times = arrays.send(np.bincount(rows, minlength=X.shape[0]).astype(np.float64))
        weight = times if weight is None else weight * times
    of_features = arrays.send(shift[:n].astype(dtype))
    of_targets = arrays.send(np.ascontiguousarray(shift[n:, None]))
    classes = arrays.send(
        (np.arange(n_targets) if n_targets > 1 else np.ones(n_targets)).astype(np.int32)[:, None]
    )
    out[...] = 0.0
    n_at_once = max(1, min(PIECE_ROWS, PIECE_BYTES // (16 * (n + 1 + n_targets))))
    for first in range(0, X.shape[0], n_at_once):
        end = min(first + n_at_once, X.shape[0])
        columns = _zeros((end - first, n + 1 + n_targets), dtype)
        columns[:, : n + 1] = _with_one(X, first, end)
        columns[:, :n] -= of_features
        if np.dtype(data.target.dtype) == np.int32:
            target = xp.where(data.target[first:end] == classes, 1.0, -1.0)
        else:
            target = data.target[:, first:end]
        columns[:, n + 1 :] = (target - of_targets).T
        weighted = columns[:, : n + 1]
        if weight is not None:
            own = weight[first:end, None]
            columns[:] = xp.where(own != 0.0, columns, 0.0)
            weighted = weighted * own.astype(dtype)
        with np.errstate(all="ignore"):
            out[...] += columns.T @ weighted
    _make_symmetric(out[: n + 1])


class _Pass:
    """The active models, packed, and the sums of their gradient."""

    def __init__(self, data, rule, models, numbers, weights):
        self.X, self.n_columns = data.X, rule.n_columns
        self.coded = np.dtype(data.target.dtype) == np.int32
        self.columns = (numbers[:, None] * rule.n_columns + np.arange(rule.n_columns)).reshape(-1)
        own = weights[arrays.send(self.columns)]
        self.weights, self.intercepts = own[:, :-1].astype(self.X.dtype), own[:, -1] + 0.0
        self.loss = rule.loss
        names = ("positive_class", "target", "weighting")
        table = np.column_stack([*(models[name][numbers] for name in names), numbers]).astype(np.int64)
        self.arguments = (
            self.intercepts,
            data.target if self.coded else _device.empty(0, np.int32),
            _device.empty((0, 0), np.float64) if self.coded else data.target,
            _device.empty((0, 0), np.float64) if data.weight is None else data.weight,
            arrays.send(table),
            int(rule.n_columns),
            float(rule.epsilon),
        )
        self.n_models = len(numbers)
        self.threads = _device.threads(self.X.shape[0])
        self.sums = _zeros(own.shape)
        self.derivatives = None

    def pieces(self):
        """First row and margins, less the intercepts, of each piece."""
        for first, end in _pieces_of(self.X, len(self.weights)):
            yield first, _margins(self.X, self.weights, first, end)

    def grid(self, margins):
        return _device.grid(-(-margins.shape[1] // self.threads)), self.n_models

    def curve(self, changes, first, prediction):
        """Margins of vectors times weights and curvatures, in their place."""
        kernel = curve_kernel(Specialisation(self.loss, self.coded))
        predicted = _device.empty((0, 0), self.X.dtype) if prediction is None else prediction
        kernel[self.grid(changes), self.threads, _device.stream()](
            changes, *self.arguments, first, _device.strided(predicted)
        )

    def add(self, first, derivatives):
        """A piece's part of the gradient; of CSR rows, for later."""
        self.sums[:, -1] += derivatives.sum(axis=1, dtype=np.float64)
        if not isinstance(self.X, CSR):
            with np.errstate(all="ignore"):
                self.sums[:, :-1] += derivatives @ self.X[first : first + derivatives.shape[1]]
            return
        if self.derivatives is None:
            self.derivatives = _device.empty((len(self.weights), self.X.shape[0]), self.X.dtype)
        self.derivatives[:, first : first + derivatives.shape[1]] = derivatives

    def gradient(self):
        if self.derivatives is not None and self.X.shape[1]:
            X, out = _by_columns(self.X), _device.empty((len(self.weights), self.X.shape[1]), np.float64)
            columns_kernel[_device.grid(out.shape[1], 2**20), LANES, _device.stream()](
                X.data, X.rows, X.starts, self.derivatives, out
            )
            self.sums[:, :-1] = out
        return self.sums


class _Columns(NamedTuple):
    """A CSR matrix by columns, the rows of each in their order."""

    data: Any
    rows: Any
    starts: Any


_KNOWN: dict[int, _Columns] = {}


def _by_columns(X):
    key = id(X.data)
    if key not in _KNOWN:
        xp = _device.array_module()
        order = xp.argsort(X.indices, kind="stable")
        lengths = (X.indptr[1:] - X.indptr[:-1]).astype(np.int64)
        rows = xp.repeat(xp.arange(X.shape[0], dtype=np.int32), arrays.fetch(lengths).tolist())
        starts = xp.searchsorted(X.indices[order], xp.arange(X.shape[1] + 1, dtype=X.indices.dtype))
        _KNOWN[key] = _Columns(X.data[order], rows[order], starts.astype(np.int64))
        weakref.finalize(X.data, _KNOWN.pop, key, None)
    return _KNOWN[key]


def _pieces_of(X, n_columns):
    n_at_once = max(1, min(PIECE_ROWS, PIECE_BYTES // (X.dtype.itemsize * max(1, n_columns))))
    for first in range(0, X.shape[0], n_at_once):
        yield first, min(first + n_at_once, X.shape[0])


def _margins(X, weights, first, end):
    """Column by column, without intercepts."""
    if not isinstance(X, CSR):
        with np.errstate(all="ignore"):
            return weights @ X[first:end].T
    out = _device.empty((len(weights), end - first), X.dtype)
    rows_kernel[_device.grid(end - first, 2**20), LANES, _device.stream()](
        X.data, X.indices, X.indptr, weights, first, out
    )
    return out


def _with_one(X, first, end):
    """Rows, made dense, with a column of ones."""
    rows = _zeros((end - first, X.shape[1] + 1), X.dtype)
    rows[:, -1] = 1.0
    if not isinstance(X, CSR):
        rows[:, :-1] = X[first:end]
    elif len(X.data):
        scatter_kernel[_device.grid(end - first, 2**20), LANES, _device.stream()](
            X.data, X.indices, X.indptr, first, _device.strided(rows[:, :-1])
        )
    return rows


def _make_symmetric(matrix):
    """From the lower triangle."""
    xp = _device.array_module()
    matrix[...] = xp.tril(matrix) + xp.tril(matrix, -1).T


def _zeros(shape, dtype=np.float64):
    zeros = _device.empty(shape, dtype)
    zeros[...] = 0
    return zeros


def _put(out, where, values):
    """Values into some rows of an array."""
    out[arrays.send(np.asarray(where, np.int64))] = values
