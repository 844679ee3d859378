"""NumPy's scalar functions in kernels, where Numba-CUDA lacks them: for functions of the user's.

Numba-CUDA (0.30) has the trigonometric functions, the logarithms and the comparisons; a loss written with
``np.exp`` compiles for the CPU and fails here. Its table of ufuncs is filled up with scalar functions of our
own; what the table has already is left alone.
"""

import math
from functools import cache

import numpy as np

_FLOAT_LOOPS = {1: ("f->f", "d->d"), 2: ("ff->f", "dd->d")}


def _exp(x):
    return math.exp(x)


def _expm1(x):
    return math.expm1(x)


def _log1p(x):
    return math.log1p(x)


def _sqrt(x):
    return math.sqrt(x)


def _floor(x):
    return np.float64(math.floor(x))


def _ceil(x):
    return np.float64(math.ceil(x))


def _absolute(x):
    return math.fabs(x)


def _square(x):
    return x * x


def _negative(x):
    return -x


def _reciprocal(x):
    return 1.0 / x


def _sign(x):
    if x > 0.0:
        return 1.0
    return -1.0 if x < 0.0 else x  # NaN stays


def _power(x, y):
    return x**y


def _logaddexp(x, y):
    larger = x if x > y else y
    if x == y:  # infinities, whose difference is none
        return x + math.log(2.0)
    return larger + math.log1p(math.exp(-math.fabs(x - y)))


_FUNCTIONS = {
    np.exp: _exp,
    np.expm1: _expm1,
    np.log1p: _log1p,
    np.sqrt: _sqrt,
    np.floor: _floor,
    np.ceil: _ceil,
    np.absolute: _absolute,
    np.fabs: _absolute,
    np.square: _square,
    np.negative: _negative,
    np.reciprocal: _reciprocal,
    np.sign: _sign,
    np.power: _power,
    np.logaddexp: _logaddexp,
}


@cache
def fill_up():
    """Register the missing functions with Numba-CUDA, once per process."""
    from numba.cuda.ufuncs import ufunc_db

    for ufunc, function in _FUNCTIONS.items():
        lower = _lowering(function)
        ufunc_db().setdefault(ufunc, dict.fromkeys(_FLOAT_LOOPS[ufunc.nin], lower))


def _lowering(function):
    def lower(context, builder, signature, arguments):
        return context.compile_internal(builder, function, signature, arguments)

    return lower
