"""Activations on the GPU; the contract is ``fastml.kernels.reference.activation``.

Values are computed in float64 on the way from memory to memory: on cards that run it at half rate most activations
still take as long as their elements take to come. To be measured on a GPU: whether sigmoids and the like do.
"""

import functools

import numpy as np

from fastml.kernels.activation_names import resolved
from fastml.kernels.cuda import _device
from fastml.kernels.cuda._activation_kernel import (
    dropout_gradient_kernel,
    dropout_kernel,
    forward_kernel,
    gradient_kernel,
)
from fastml.kernels.cuda._activation_rows import (
    ROWWISE,
    ROWWISE_GRADIENTS,
    SHARED_BYTES,
    cross_entropy_kernel,
)
from fastml.kernels.cuda._operation import (
    as_function,
    checked,
    elementwise,
    flat,
    followed,
    launch,
    optional,
    real_type,
)

__all__ = [
    "dropout",
    "dropout_gradient",
    "forward",
    "gradient",
    "log_softmax",
    "log_softmax_gradient",
    "softmax",
    "softmax_cross_entropy",
    "softmax_gradient",
    "sparsemax",
    "sparsemax_gradient",
]


@as_function
def forward(X, out, name, parameters=()):
    name, settings = _settings(name, parameters)
    kind, shape = real_type(X, "X"), X.shape
    x, values = flat(X, kind, "X", shape), flat(out, kind, "out", shape)
    return elementwise(forward_kernel(name), values.size, x, *settings, values)


@as_function
def gradient(X, out, dout, dX, name, parameters=()):
    name, settings = _settings(name, parameters)
    kind, shape = real_type(X, "X"), X.shape
    given = {"X": X, "out": out, "dout": dout}
    arrays = [flat(array, kind, of, shape) for of, array in given.items()]
    result = flat(dX, kind, "dX", shape)
    return elementwise(gradient_kernel(name), result.size, *arrays, *settings, result)


@as_function
def softmax(X, out):
    return _by_rows(ROWWISE["softmax"], out, X=X, out=out)


@as_function
def softmax_gradient(out, dout, dX):
    return _by_rows(ROWWISE_GRADIENTS["softmax"], dX, out=out, dout=dout, dX=dX)


@as_function
def log_softmax(X, out):
    return _by_rows(ROWWISE["log_softmax"], out, X=X, out=out)


@as_function
def log_softmax_gradient(out, dout, dX):
    return _by_rows(ROWWISE_GRADIENTS["log_softmax"], dX, out=out, dout=dout, dX=dX)


@as_function
def sparsemax(X, out):
    return _by_rows(ROWWISE["sparsemax"], out, X=X, out=out)


@as_function
def sparsemax_gradient(out, dout, dX):
    return _by_rows(ROWWISE_GRADIENTS["sparsemax"], dX, out=out, dout=dout, dX=dX)


@as_function
def softmax_cross_entropy(logits, labels, weights, probabilities, dlogits, losses):
    kind, shape = _matrix(logits, "logits")
    n = shape[0]
    checked(logits, kind, "logits", shape)
    checked(labels, np.int32, "labels", (n,))
    checked(losses, np.float64, "losses", (n,))
    weight = optional(weights, kind, "weights", (n,))
    checked(probabilities, kind, "probabilities", shape)
    wanted = _device.empty((0, 0), kind) if dlogits is None else checked(dlogits, kind, "dlogits", shape)
    if n == 0:
        return []
    arrays = logits, labels, weight, losses, probabilities, wanted
    return [_launch_rows(cross_entropy_kernel, shape, *arrays)]


@as_function
def dropout(X, out, mask, rate, state):
    kind, shape = real_type(X, "X"), X.shape
    scale = _scale(rate)
    x, kept = flat(X, kind, "X", shape), flat(mask, np.uint8, "mask", shape)
    values = flat(out, kind, "out", shape)
    generator, copies = followed(state, np.uint64, "state", (2,))
    threshold = int(rate * 2.0**32)
    calls = elementwise(dropout_kernel, -(-x.size // 4), x, generator, threshold, scale, kept, values)
    return [*copies, *calls, functools.partial(_count, state)]


@as_function
def dropout_gradient(dout, mask, rate, dX):
    kind, shape = real_type(dout, "dout"), dout.shape
    scale = _scale(rate)
    arrays = flat(dout, kind, "dout", shape), flat(mask, np.uint8, "mask", shape)
    result = flat(dX, kind, "dX", shape)
    return elementwise(dropout_gradient_kernel, result.size, *arrays, scale, result)


def _settings(name, parameters):
    """The activation's name, and three numbers."""
    name, values = resolved(name, tuple(parameters))
    return name, (*values, 0.0, 0.0, 0.0)[:3]


def _scale(rate):
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate must be in [0, 1]; got {rate}.")
    return 1.0 / (1.0 - rate) if rate < 1.0 else 0.0


def _count(state):
    state[1:] += np.uint64(1)


def _matrix(array, name):
    kind, shape = real_type(array, name), array.shape
    if len(shape) != 2 or shape[1] < 1:
        raise ValueError(f"{name} must have 2 dimensions, and at least one column; got shape {shape}.")
    return kind, shape


def _by_rows(kernel, like, **arrays):
    kind, shape = _matrix(like, "X")
    given = [checked(array, kind, name, shape) for name, array in arrays.items()]
    return [_launch_rows(kernel, shape, *given)] if shape[0] else []


def _launch_rows(kernel, shape, *arrays):
    n, k = shape
    blocks, threads = _device.grid(n, 2**16), _device.team(k)
    return launch(kernel, blocks, threads, *arrays, shared_bytes=SHARED_BYTES)
