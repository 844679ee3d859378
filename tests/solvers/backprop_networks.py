"""Networks for tests: layers of Keras' names as nodes, in float64, without Keras."""

import numpy as np

from fastml.solvers.backprop import (
    Activation,
    BatchNormalization,
    Conv,
    Dense,
    LayerNormalization,
    Parameter,
    Window,
)


def weights(rng, *shape):
    return Parameter(rng.standard_normal(shape) / max(1.0, np.prod(shape[:-1])) ** 0.5)


def dense(rng, n_inputs, n_outputs):
    return Dense(weights(rng, n_inputs, n_outputs), weights(rng, n_outputs))


def conv(rng, channels, n_outputs, size=(3, 3), groups=1, **window):
    filters = weights(rng, *size, channels // groups, n_outputs)
    return Conv(filters, weights(rng, n_outputs), Window(size, **window), groups)


def batch_normalization(rng, channels):
    gamma, beta = weights(rng, channels), weights(rng, channels)
    moving = Parameter(np.zeros(channels)), Parameter(np.ones(channels))
    return BatchNormalization(gamma, beta, *moving, momentum=0.9, epsilon=1e-3)


def layer_normalization(rng, *shape):
    return LayerNormalization(weights(rng, *shape), weights(rng, *shape), len(shape), 1e-3)


def relu():
    return Activation("relu")
