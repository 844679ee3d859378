"""Elementwise activations and their derivatives, of float64 arrays; the names and parameters are Keras'.

A NaN stays one, except in derivatives that are constant by pieces. At a kink the derivative is what automatic
differentiation of Keras' formulas gives on TensorFlow: that of the left piece, but for selu that of the right one, and
for hard_tanh 1. (celu's is 1 at 0, where TensorFlow adds up both pieces; relu's is 0 where it reaches ``max_value``,
which is known from the result alone.)

References
----------
D.-A. Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", ICLR 2016 (elu).
G. Klambauer et al., "Self-Normalizing Neural Networks", NIPS 2017 (selu).
D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", 2016 (gelu).
P. Ramachandran et al., "Searching for Activation Functions", 2017 (silu).
A. Howard et al., "Searching for MobileNetV3", ICCV 2019 (hard_silu).
D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019.
J. T. Barron, "Continuously Differentiable Exponential Linear Units", 2017 (celu).
J. T. Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", 2021.
M. Blondel et al., "Learning Classifiers with Fenchel-Young Losses", AISTATS 2019 (sparse_plus, sparse_sigmoid).
"""

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from scipy.special import expit, ndtr

from fastml.kernels.activation_names import GELU_CUBIC, SELU_ALPHA, SELU_SCALE


def _relu(x, negative_slope, max_value, threshold):
    below = negative_slope * (x - threshold) if negative_slope > 0.0 else 0.0  # 0 times -inf is none
    return np.where(x <= threshold, below, np.minimum(x, max_value))


def _relu_derivative(x, negative_slope, max_value, threshold):
    rises = (x < max_value) | (max_value == np.inf)
    return np.where(x > threshold, np.where(rises, 1.0, 0.0), negative_slope)


def _elu(x, alpha):
    return np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _elu_derivative(x, alpha):
    return np.where(x > 0.0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


def _gelu(x, approximate):
    if not approximate:
        return x * ndtr(x)
    return 0.5 * x * (1.0 + np.tanh(sqrt(2.0 / pi) * (x + GELU_CUBIC * x**3)))


def _gelu_derivative(x, approximate):
    if not approximate:
        return ndtr(x) + x * np.exp(-0.5 * x**2) / sqrt(2.0 * pi)
    inner = np.tanh(sqrt(2.0 / pi) * (x + GELU_CUBIC * x**3))
    slope = sqrt(2.0 / pi) * (1.0 + 3.0 * GELU_CUBIC * x**2)
    return 0.5 * (1.0 + inner) + 0.5 * x * (1.0 - inner**2) * slope


def _mish_derivative(x):
    inner = np.tanh(np.logaddexp(0.0, x))
    return inner + x * (1.0 - inner**2) * expit(x)


def _soft_shrink(x, threshold):
    return np.where(abs(x) <= threshold, 0.0, np.where(x > 0.0, x - threshold, x + threshold))


def _sparse_plus(x):
    return np.where(x <= -1.0, 0.0, np.where(x < 1.0, 0.25 * (x + 1.0) ** 2, x))


def _squareplus(x, b):
    """(x + sqrt(x^2 + b)) / 2, so written that no digits cancel below 0."""
    root = np.hypot(x, np.sqrt(b))
    return np.where(x >= 0.0, 0.5 * (x + root), 0.5 * b / (root - x))


def _indicator(condition):
    return np.where(condition, 1.0, 0.0)


# name -> the function and its derivative, each of x and the parameters.
FORMULAS: dict[str, tuple[Callable, Callable]] = {
    "celu": (
        lambda x, alpha: np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0) / alpha),
        lambda x, alpha: np.exp(np.minimum(x, 0.0) / alpha),
    ),
    "elu": (_elu, _elu_derivative),
    "exponential": (np.exp, np.exp),
    "gelu": (_gelu, _gelu_derivative),
    "hard_shrink": (
        lambda x, threshold: np.where(abs(x) <= threshold, 0.0, x),
        lambda x, threshold: _indicator(abs(x) > threshold),
    ),
    "hard_sigmoid": (
        lambda x: np.clip((x + 3.0) / 6.0, 0.0, 1.0),
        lambda x: _indicator(abs(x) < 3.0) / 6.0,
    ),
    "hard_silu": (
        lambda x: x * np.clip((x + 3.0) / 6.0, 0.0, 1.0),
        lambda x: np.where(abs(x) < 3.0, (2.0 * x + 3.0) / 6.0, _indicator(x >= 3.0)),
    ),
    "hard_tanh": (lambda x: np.clip(x, -1.0, 1.0), lambda x: _indicator(abs(x) <= 1.0)),
    "leaky_relu": (
        lambda x, negative_slope: np.where(x > 0.0, x, negative_slope * x),
        lambda x, negative_slope: np.where(x > 0.0, 1.0, negative_slope),
    ),
    "linear": (lambda x: x, np.ones_like),
    "log_sigmoid": (lambda x: -np.logaddexp(0.0, -x), lambda x: expit(-x)),
    "mish": (lambda x: x * np.tanh(np.logaddexp(0.0, x)), _mish_derivative),
    "relu": (_relu, _relu_derivative),
    "selu": (
        lambda x: SELU_SCALE * _elu(x, SELU_ALPHA),
        lambda x: SELU_SCALE * np.where(x >= 0.0, 1.0, _elu_derivative(x, SELU_ALPHA)),
    ),
    "sigmoid": (expit, lambda x: expit(x) * expit(-x)),
    "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1.0 + x * expit(-x))),
    "soft_shrink": (_soft_shrink, lambda x, threshold: _indicator(abs(x) > threshold)),
    "softplus": (lambda x: np.logaddexp(0.0, x), expit),
    "softsign": (lambda x: x / (1.0 + abs(x)), lambda x: 1.0 / (1.0 + abs(x)) ** 2),
    "sparse_plus": (_sparse_plus, lambda x: np.clip(0.5 * (x + 1.0), 0.0, 1.0)),
    "sparse_sigmoid": (
        lambda x: np.clip(0.5 * (x + 1.0), 0.0, 1.0),
        lambda x: 0.5 * _indicator(abs(x) < 1.0),
    ),
    "squareplus": (_squareplus, lambda x, b: 0.5 * (1.0 + x / np.hypot(x, np.sqrt(b)))),
    "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "tanh_shrink": (lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "threshold": (
        lambda x, threshold, default_value: np.where(x <= threshold, default_value, x),
        lambda x, threshold, default_value: _indicator(x > threshold),
    ),
}
