"""Normalisation on the GPU; the contract is ``fastml.kernels.reference.normalization``.

A batch's statistics take two passes, for means and for deviations from them, each deterministic (``_columns``).
"""

import functools
import math

import numpy as np

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._columns import sums
from fastml.kernels.cuda._normalization_kernel import (
    apply_kernel,
    batch_gradient_kernel,
    layer_gradient_kernel,
    layer_kernel,
    moving_statistics_kernel,
    train_statistics_kernel,
)
from fastml.kernels.cuda._operation import as_function, checked, elementwise, launch, optional, real_type

__all__ = [
    "batch_gradient",
    "batch_infer",
    "batch_train",
    "layer_forward",
    "layer_gradient",
]


@as_function
def batch_train(X, gamma, beta, out, mean, inverse_std, moving_mean, moving_variance, momentum, epsilon):
    kind, (n, c) = _matrix(X)
    if n == 0:
        raise ValueError("A batch of no rows has no mean.")
    checked(X, kind, "X", (n, c))
    scale, offset = optional(gamma, kind, "gamma", (c,)), optional(beta, kind, "beta", (c,))
    checked(out, kind, "out", (n, c))
    vectors = {
        "mean": mean,
        "inverse_std": inverse_std,
        "moving_mean": moving_mean,
        "moving_variance": moving_variance,
    }
    kept = [checked(vector, kind, name, (c,)) for name, vector in vectors.items()]
    rates = _finite(momentum, "momentum"), _finite(epsilon, "epsilon")
    statistics = _device.empty((2, c), np.float64)
    means, variances = statistics[0], statistics[1]
    return [
        *sums("element", X, means, divisor=float(n)),
        *sums("deviation square", X, variances, mean=means, divisor=float(n)),
        *elementwise(train_statistics_kernel, c, statistics, *rates, *kept),
        *_apply(X, statistics, scale, offset, out),
    ]


@as_function
def batch_infer(X, gamma, beta, moving_mean, moving_variance, epsilon, out):
    kind, (n, c) = _matrix(X)
    checked(X, kind, "X", (n, c))
    scale, offset = optional(gamma, kind, "gamma", (c,)), optional(beta, kind, "beta", (c,))
    checked(moving_mean, kind, "moving_mean", (c,))
    checked(moving_variance, kind, "moving_variance", (c,))
    checked(out, kind, "out", (n, c))
    statistics = _device.empty((2, c), np.float64)
    moving = moving_mean, moving_variance, _finite(epsilon, "epsilon"), statistics
    return [
        *elementwise(moving_statistics_kernel, c, *moving),
        *_apply(X, statistics, scale, offset, out),
    ]


@as_function
def batch_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    kind, (n, c) = _matrix(X)
    if n == 0:
        raise ValueError("A batch of no rows has no mean.")
    _check_gradients(kind, X, dout, dX, dgamma, dbeta)
    scale = optional(gamma, kind, "gamma", (c,))
    moments = checked(mean, kind, "mean", (c,)), checked(inverse_std, kind, "inverse_std", (c,))
    both = _device.empty((2, c), np.float64)
    calls = [
        *sums("element", dout, both[0]),
        *sums("product with standardised", dout, both[1], X, *moments),
    ]
    if dX is not None:
        arrays = X.reshape(-1), dout.reshape(-1), scale, *moments, both, dX.reshape(-1)
        calls += elementwise(batch_gradient_kernel, dX.size, *arrays)
    given = [(dgamma, both[1]), (dbeta, both[0])]
    return calls + [functools.partial(_set, out, values) for out, values in given if out is not None]


@as_function
def layer_forward(X, gamma, beta, out, mean, inverse_std, epsilon):
    kind, (n, c) = _matrix(X)
    if c == 0:
        raise ValueError("Rows of no columns have no mean.")
    checked(X, kind, "X", (n, c))
    scale, offset = optional(gamma, kind, "gamma", (c,)), optional(beta, kind, "beta", (c,))
    checked(out, kind, "out", (n, c))
    moments = checked(mean, kind, "mean", (n,)), checked(inverse_std, kind, "inverse_std", (n,))
    return _by_rows(layer_kernel, X, scale, offset, _finite(epsilon, "epsilon"), *moments, out)


@as_function
def layer_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    kind, (n, c) = _matrix(X)
    _check_gradients(kind, X, dout, dX, dgamma, dbeta)
    scale = optional(gamma, kind, "gamma", (c,))
    moments = checked(mean, kind, "mean", (n,)), checked(inverse_std, kind, "inverse_std", (n,))
    calls = []
    # Before dX, which may be dout.
    if dgamma is not None:
        calls += sums("product with standardised", dout, dgamma, X, *moments, by_row=True)
    if dbeta is not None:
        calls += sums("element", dout, dbeta)
    return calls if dX is None else calls + _by_rows(layer_gradient_kernel, X, dout, scale, *moments, dX)


def _matrix(X):
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions; got shape {X.shape}.")
    return real_type(X, "X"), X.shape


def _finite(number, name):
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {number}.")
    return float(number)


def _check_gradients(kind, X, dout, dX, dgamma, dbeta):
    checked(X, kind, "X", X.shape)
    checked(dout, kind, "dout", X.shape)
    for name, array, shape in [
        ("dX", dX, X.shape),
        ("dgamma", dgamma, X.shape[1:]),
        ("dbeta", dbeta, X.shape[1:]),
    ]:
        optional(array, kind, name, shape)


def _apply(X, statistics, scale, offset, out):
    return elementwise(apply_kernel, out.size, X.reshape(-1), statistics, scale, offset, out.reshape(-1))


def _by_rows(kernel, X, *arguments):
    n, c = X.shape
    return [launch(kernel, _device.grid(n, 2**16), _device.team(c), X, *arguments)] if n and c else []


def _set(out, values):
    out[...] = values
