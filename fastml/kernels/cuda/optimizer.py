"""Updates of parameters on the GPU; the contract is ``fastml.kernels.reference.optimizer``.

One kernel an update, in float64 on the way from memory to memory. Settings lie in host memory mostly, and are copied
before each run: some fifty bytes, which the launch takes along in the stream.
"""

import math

import numpy as np

from fastml.kernels.cuda._columns import sums
from fastml.kernels.cuda._operation import (
    as_function,
    checked,
    elementwise,
    flat,
    followed,
    optional,
    real_type,
)
from fastml.kernels.cuda._optimizer_kernel import (
    adagrad_kernel,
    adam_kernel,
    clip_kernel,
    ridge_kernel,
    rmsprop_kernel,
    scale_kernel,
    sgd_kernel,
)

__all__ = ["adagrad", "adam", "add_ridge", "clip", "rmsprop", "scale_by_norm", "sgd", "squared_norm"]


@as_function
def sgd(w, g, velocity, settings):
    kind, shape = _vector(w, "w")
    state = optional(velocity, kind, "velocity", shape)
    return _update(sgd_kernel, w, g, settings, 4, state)


@as_function
def rmsprop(w, g, v, mean_gradient, velocity, settings):
    kind, shape = _vector(w, "w")
    states = (
        _state(v, kind, "v", shape),
        optional(mean_gradient, kind, "mean_gradient", shape),
        optional(velocity, kind, "velocity", shape),
    )
    return _update(rmsprop_kernel, w, g, settings, 5, *states)


@as_function
def adagrad(w, g, accumulator, settings):
    kind, shape = _vector(w, "w")
    return _update(adagrad_kernel, w, g, settings, 3, _state(accumulator, kind, "accumulator", shape))


@as_function
def adam(w, g, m, v, vhat, settings):
    kind, shape = _vector(w, "w")
    states = _state(m, kind, "m", shape), _state(v, kind, "v", shape), optional(vhat, kind, "vhat", shape)
    return _update(adam_kernel, w, g, settings, 7, *states)


@as_function
def squared_norm(g, out):
    kind, shape = _vector(g, "g")
    flat(g, kind, "g", shape)
    checked(out, np.float64, "out", (1,))
    return sums("square", g.reshape(-1, 1), out)


@as_function
def scale_by_norm(g, squared, limit):
    kind, shape = _vector(g, "g")
    flat(g, kind, "g", shape)
    checked(squared, np.float64, "squared", (1,))
    return elementwise(scale_kernel, g.size, squared, _positive(limit), g)


@as_function
def add_ridge(w, g, strength, squared):
    kind, shape = _vector(w, "w")
    flat(w, kind, "w", shape)
    flat(g, kind, "g", shape)
    checked(squared, np.float64, "squared", (1,))
    factor, copies = followed(strength, np.float64, "strength", (1,))
    return [
        *copies,
        *sums("square", w.reshape(-1, 1), squared),
        *elementwise(ridge_kernel, w.size, w, factor, g),
    ]


@as_function
def clip(g, limit):
    kind, shape = _vector(g, "g")
    flat(g, kind, "g", shape)
    return elementwise(clip_kernel, g.size, _positive(limit), g)


def _vector(array, name):
    kind = real_type(array, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a vector; got shape {array.shape}.")
    return kind, array.shape


def _state(array, kind, name, shape):
    if array is None:
        raise TypeError(f"{name} must be given.")
    return flat(array, kind, name, shape)


def _positive(limit):
    if not limit > 0.0 or math.isinf(limit):
        raise ValueError(f"limit must be positive and finite; got {limit}.")
    return float(limit)


def _update(kernel, w, g, settings, n_settings, *states):
    kind, shape = _vector(w, "w")
    flat(w, kind, "w", shape)
    flat(g, kind, "g", shape)
    numbers, copies = followed(settings, np.float64, "settings", (n_settings,))
    return [*copies, *elementwise(kernel, w.size, g, numbers, *states, w)]
