"""The losses of stochastic gradient descent as device functions: ``f(y, margin, epsilon) -> float64``."""

import math
from functools import lru_cache

from fastml.kernels.cuda._ufuncs import fill_up
from fastml.kernels.cuda._warp import SIMULATOR, device_function


@device_function
def _positive(x):
    return x if x > 0.0 else 0.0


@device_function
def _sign(x):
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


@device_function
def _hinge(y, p, epsilon):
    return _positive(1.0 - y * p)


@device_function
def _hinge_derivative(y, p, epsilon):
    return -y if y * p <= 1.0 else 0.0


@device_function
def _perceptron(y, p, epsilon):
    return _positive(-y * p)


@device_function
def _perceptron_derivative(y, p, epsilon):
    return -y if y * p <= 0.0 else 0.0


@device_function
def _squared_hinge(y, p, epsilon):
    violation = _positive(1.0 - y * p)
    return violation * violation


@device_function
def _squared_hinge_derivative(y, p, epsilon):
    return -2.0 * y * _positive(1.0 - y * p)


@device_function
def _log_loss(y, p, epsilon):
    z = y * p
    return _positive(-z) + math.log1p(math.exp(-abs(z)))


@device_function
def _log_loss_derivative(y, p, epsilon):
    z = y * p
    decay = math.exp(-abs(z))  # never overflows
    return -y * (decay if z > 0.0 else 1.0) / (1.0 + decay)


@device_function
def _modified_huber(y, p, epsilon):
    z = y * p
    violation = _positive(1.0 - z)
    return violation * violation if z >= -1.0 else -4.0 * z


@device_function
def _modified_huber_derivative(y, p, epsilon):
    z = y * p
    return -2.0 * y * _positive(1.0 - z) if z >= -1.0 else -4.0 * y


@device_function
def _squared_error(y, p, epsilon):
    return 0.5 * (y - p) * (y - p)


@device_function
def _squared_error_derivative(y, p, epsilon):
    return p - y


@device_function
def _huber(y, p, epsilon):
    residual = abs(y - p)
    return 0.5 * residual * residual if residual <= epsilon else epsilon * (residual - 0.5 * epsilon)


@device_function
def _huber_derivative(y, p, epsilon):
    residual = p - y
    return residual if abs(residual) <= epsilon else epsilon * _sign(residual)


@device_function
def _epsilon_insensitive(y, p, epsilon):
    return _positive(abs(y - p) - epsilon)


@device_function
def _epsilon_insensitive_derivative(y, p, epsilon):
    residual = p - y
    return _sign(residual) if abs(residual) > epsilon else 0.0


@device_function
def _squared_epsilon_insensitive(y, p, epsilon):
    excess = _positive(abs(y - p) - epsilon)
    return excess * excess


@device_function
def _squared_epsilon_insensitive_derivative(y, p, epsilon):
    residual = p - y
    return 2.0 * _sign(residual) * _positive(abs(residual) - epsilon)


_BUILT_IN = {
    "hinge": (_hinge, _hinge_derivative),
    "perceptron": (_perceptron, _perceptron_derivative),
    "squared_hinge": (_squared_hinge, _squared_hinge_derivative),
    "log_loss": (_log_loss, _log_loss_derivative),
    "modified_huber": (_modified_huber, _modified_huber_derivative),
    "squared_error": (_squared_error, _squared_error_derivative),
    "huber": (_huber, _huber_derivative),
    "epsilon_insensitive": (_epsilon_insensitive, _epsilon_insensitive_derivative),
    "squared_epsilon_insensitive": (_squared_epsilon_insensitive, _squared_epsilon_insensitive_derivative),
}


@lru_cache(maxsize=256)
def loss_functions(loss):
    """Value and derivative of a loss: one of ``LOSSES`` by its name, or a ``fastml.Loss``."""
    if isinstance(loss, str):
        return _BUILT_IN[loss]
    if not SIMULATOR:
        fill_up()
    return _without_epsilon(loss.value), _without_epsilon(loss.derivative)


def _without_epsilon(dispatcher):
    function = device_function(dispatcher.py_func)

    @device_function
    def loss(y, p, epsilon):
        return function(y, p)

    return loss
