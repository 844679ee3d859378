"""Elementwise activations and their derivatives as device functions ``f(x, a, b, c) -> float64``.

x is float64; a, b and c are the parameters, in the order of ``fastml.kernels.activation_names``. Formulas and papers:
``fastml.kernels.reference._activation_formulas``.
"""

from math import inf, pi
from math import sqrt as root_of

from fastml.kernels.activation_names import GELU_CUBIC, SELU_ALPHA, SELU_SCALE
from fastml.kernels.cuda._elements import erfc, exp, expm1, hypot, log1p, sqrt, tanh
from fastml.kernels.cuda._warp import device_function

ROOT_HALF = root_of(0.5)
ROOT_2_OVER_PI = root_of(2.0 / pi)
DENSITY = 1.0 / root_of(2.0 * pi)


@device_function
def _logistic(x):
    """1 / (1 + exp(-x)), by an exponential of at most 1."""
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    decay = exp(x)
    return decay / (1.0 + decay)


@device_function
def _log_of_one_plus_exp(x):
    return (x if x > 0.0 else 0.0) + log1p(exp(-abs(x)))


@device_function
def _clipped(x, low, high):
    """A NaN stays one."""
    return low if x < low else (high if x > high else x)


@device_function
def celu(x, alpha, b, c):
    return x if x > 0.0 else alpha * expm1(x / alpha)


@device_function
def celu_slope(x, alpha, b, c):
    return 1.0 if x > 0.0 else exp(x / alpha)


@device_function
def elu(x, alpha, b, c):
    return x if x > 0.0 else alpha * expm1(x)


@device_function
def elu_slope(x, alpha, b, c):
    return 1.0 if x > 0.0 else alpha * exp(x)


@device_function
def exponential(x, a, b, c):
    return exp(x)


@device_function
def gelu(x, approximate, b, c):
    if approximate != 0.0:
        return 0.5 * x * (1.0 + tanh(ROOT_2_OVER_PI * (x + GELU_CUBIC * x * x * x)))
    return x * 0.5 * erfc(-x * ROOT_HALF)


@device_function
def gelu_slope(x, approximate, b, c):
    if approximate != 0.0:
        inner = tanh(ROOT_2_OVER_PI * (x + GELU_CUBIC * x * x * x))
        slope = ROOT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x)
        return 0.5 * (1.0 + inner) + 0.5 * x * (1.0 - inner * inner) * slope
    return 0.5 * erfc(-x * ROOT_HALF) + x * exp(-0.5 * x * x) * DENSITY


@device_function
def hard_shrink(x, threshold, b, c):
    return 0.0 if abs(x) <= threshold else x


@device_function
def shrink_slope(x, threshold, b, c):
    return 1.0 if abs(x) > threshold else 0.0


@device_function
def hard_sigmoid(x, a, b, c):
    return _clipped((x + 3.0) / 6.0, 0.0, 1.0)


@device_function
def hard_sigmoid_slope(x, a, b, c):
    return 1.0 / 6.0 if abs(x) < 3.0 else 0.0


@device_function
def hard_silu(x, a, b, c):
    return x * _clipped((x + 3.0) / 6.0, 0.0, 1.0)


@device_function
def hard_silu_slope(x, a, b, c):
    if abs(x) < 3.0:
        return (2.0 * x + 3.0) / 6.0
    return 1.0 if x >= 3.0 else 0.0


@device_function
def hard_tanh(x, a, b, c):
    return _clipped(x, -1.0, 1.0)


@device_function
def hard_tanh_slope(x, a, b, c):
    return 1.0 if abs(x) <= 1.0 else 0.0


@device_function
def leaky_relu(x, negative_slope, b, c):
    return x if x > 0.0 else negative_slope * x


@device_function
def leaky_relu_slope(x, negative_slope, b, c):
    return 1.0 if x > 0.0 else negative_slope


@device_function
def linear(x, a, b, c):
    return x


@device_function
def one(x, a, b, c):
    return 1.0


@device_function
def log_sigmoid(x, a, b, c):
    return -_log_of_one_plus_exp(-x)


@device_function
def log_sigmoid_slope(x, a, b, c):
    return _logistic(-x)


@device_function
def mish(x, a, b, c):
    return x * tanh(_log_of_one_plus_exp(x))


@device_function
def mish_slope(x, a, b, c):
    inner = tanh(_log_of_one_plus_exp(x))
    return inner + x * (1.0 - inner * inner) * _logistic(x)


@device_function
def relu(x, negative_slope, max_value, threshold):
    if x <= threshold:
        return negative_slope * (x - threshold) if negative_slope > 0.0 else 0.0  # 0 times -inf is none
    return max_value if x > max_value else x


@device_function
def relu_slope(x, negative_slope, max_value, threshold):
    if x > threshold:
        return 1.0 if x < max_value or max_value == inf else 0.0
    return negative_slope


@device_function
def selu(x, a, b, c):
    return SELU_SCALE * (x if x > 0.0 else SELU_ALPHA * expm1(x))


@device_function
def selu_slope(x, a, b, c):
    return SELU_SCALE * (1.0 if x >= 0.0 else SELU_ALPHA * exp(x))


@device_function
def sigmoid(x, a, b, c):
    return _logistic(x)


@device_function
def sigmoid_slope(x, a, b, c):
    return _logistic(x) * _logistic(-x)


@device_function
def silu(x, a, b, c):
    return x * _logistic(x)


@device_function
def silu_slope(x, a, b, c):
    return _logistic(x) * (1.0 + x * _logistic(-x))


@device_function
def soft_shrink(x, threshold, b, c):
    if abs(x) <= threshold:
        return 0.0
    return x - threshold if x > 0.0 else x + threshold


@device_function
def softplus(x, a, b, c):
    return _log_of_one_plus_exp(x)


@device_function
def softsign(x, a, b, c):
    return x / (1.0 + abs(x))


@device_function
def softsign_slope(x, a, b, c):
    root = 1.0 / (1.0 + abs(x))
    return root * root


@device_function
def sparse_plus(x, a, b, c):
    if x <= -1.0:
        return 0.0
    return 0.25 * (x + 1.0) * (x + 1.0) if x < 1.0 else x


@device_function
def sparse_sigmoid(x, a, b, c):
    return _clipped(0.5 * (x + 1.0), 0.0, 1.0)


@device_function
def sparse_sigmoid_slope(x, a, b, c):
    return 0.5 if abs(x) < 1.0 else 0.0


@device_function
def squareplus(x, curve, b, c):
    """(x + sqrt(x^2 + curve)) / 2, so written that no digits cancel below 0."""
    root = hypot(x, sqrt(curve))
    return 0.5 * (x + root) if x >= 0.0 else 0.5 * curve / (root - x)


@device_function
def squareplus_slope(x, curve, b, c):
    return 0.5 * (1.0 + x / hypot(x, sqrt(curve)))


@device_function
def hyperbolic_tangent(x, a, b, c):
    return tanh(x)


@device_function
def tanh_slope(x, a, b, c):
    value = tanh(x)
    return 1.0 - value * value


@device_function
def tanh_shrink(x, a, b, c):
    return x - tanh(x)


@device_function
def tanh_shrink_slope(x, a, b, c):
    value = tanh(x)
    return value * value


@device_function
def threshold(x, least, default, c):
    return default if x <= least else x


@device_function
def threshold_slope(x, least, default, c):
    return 1.0 if x > least else 0.0


# name -> the function and its derivative.
FORMULAS = {
    "celu": (celu, celu_slope),
    "elu": (elu, elu_slope),
    "exponential": (exponential, exponential),
    "gelu": (gelu, gelu_slope),
    "hard_shrink": (hard_shrink, shrink_slope),
    "hard_sigmoid": (hard_sigmoid, hard_sigmoid_slope),
    "hard_silu": (hard_silu, hard_silu_slope),
    "hard_tanh": (hard_tanh, hard_tanh_slope),
    "leaky_relu": (leaky_relu, leaky_relu_slope),
    "linear": (linear, one),
    "log_sigmoid": (log_sigmoid, log_sigmoid_slope),
    "mish": (mish, mish_slope),
    "relu": (relu, relu_slope),
    "selu": (selu, selu_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
    "silu": (silu, silu_slope),
    "soft_shrink": (soft_shrink, shrink_slope),
    "softplus": (softplus, sigmoid),
    "softsign": (softsign, softsign_slope),
    "sparse_plus": (sparse_plus, sparse_sigmoid),
    "sparse_sigmoid": (sparse_sigmoid, sparse_sigmoid_slope),
    "squareplus": (squareplus, squareplus_slope),
    "tanh": (hyperbolic_tangent, tanh_slope),
    "tanh_shrink": (tanh_shrink, tanh_shrink_slope),
    "threshold": (threshold, threshold_slope),
}
