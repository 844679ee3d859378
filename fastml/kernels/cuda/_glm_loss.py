"""Losses of one column, their first two derivatives, as device functions: ``f(y, margin, epsilon) -> float64``."""

import math
from functools import lru_cache

from fastml.kernels.cuda._sgd_loss import loss_functions as sgd_functions
from fastml.kernels.cuda._ufuncs import fill_up
from fastml.kernels.cuda._warp import SIMULATOR, device_function


@device_function
def _poisson(y, z, epsilon):
    return math.exp(z) - y * z


@device_function
def _poisson_derivative(y, z, epsilon):
    return math.exp(z) - y


@device_function
def _one(y, z, epsilon):
    return 1.0


@device_function
def _huber_curvature(y, z, epsilon):
    return 1.0 if abs(z - y) <= epsilon else 0.0


@device_function
def _squared_epsilon_insensitive_curvature(y, z, epsilon):
    return 2.0 if abs(z - y) > epsilon else 0.0


@device_function
def _poisson_curvature(y, z, epsilon):
    return math.exp(z)


@device_function
def _log_loss_curvature(y, z, epsilon):
    decay = math.exp(-abs(z))
    return decay / ((1.0 + decay) * (1.0 + decay))


@device_function
def _squared_hinge_curvature(y, z, epsilon):
    return 2.0 if y * z < 1.0 else 0.0


@device_function
def _modified_huber_curvature(y, z, epsilon):
    return 2.0 if -1.0 <= y * z < 1.0 else 0.0


_CURVATURES = {
    "squared_error": _one,
    "huber": _huber_curvature,
    "squared_epsilon_insensitive": _squared_epsilon_insensitive_curvature,
    "poisson": _poisson_curvature,
    "log_loss": _log_loss_curvature,
    "squared_hinge": _squared_hinge_curvature,
    "modified_huber": _modified_huber_curvature,
}


def value_and_derivative(loss):
    """Of a loss by its name, or of a ``fastml.Loss``."""
    return (_poisson, _poisson_derivative) if loss == "poisson" else sgd_functions(loss)


@lru_cache(maxsize=256)
def curvature(loss):
    """The second derivative of a loss by its name, or of a ``fastml.Loss``."""
    if isinstance(loss, str):
        return _CURVATURES[loss]
    if not SIMULATOR:
        fill_up()
    function = device_function(loss.second_derivative.py_func)

    @device_function
    def of_margin(y, z, epsilon):
        return function(y, z)

    return of_margin
