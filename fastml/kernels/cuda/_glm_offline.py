"""The kernels of generalised linear models, for the compile check that needs no GPU (``tools/compile_cuda.py``)."""

import math

import numba
from numba import types

from fastml._loss import Loss
from fastml.kernels.cuda._glm_kernel import (
    Specialisation,
    columns_function,
    curve_function,
    evaluate_function,
    rows_function,
)
from fastml.kernels.glm_data import LOSSES, REGRESSION_LOSSES


@numba.njit
def _user_value(y, margin):
    return math.log(math.cosh(margin - y))


@numba.njit
def _user_derivative(y, margin):
    return math.tanh(margin - y)


@numba.njit
def _user_second_derivative(y, margin):
    return 1.0 - math.tanh(margin - y) ** 2


def kernels_to_compile():
    """Yields (name, Python function, signature): every loss and storage in both precisions."""
    user = Loss(_user_value, _user_derivative, second_derivative=_user_second_derivative)
    for number in (types.float32, types.float64):
        for loss in (*LOSSES, user):
            specialisation = Specialisation(loss, coded=loss not in REGRESSION_LOSSES)
            evaluate, curve = _signatures(number)
            yield f"glm_evaluate {loss} {number}", evaluate_function(specialisation), evaluate
            yield f"glm_curve {loss} {number}", curve_function(specialisation), curve
        matrix, values = _array(number, 2), _array(number)
        for index in (types.int32, types.int64):
            signature = types.void(values, _array(index), _array(index), matrix, types.int64, matrix)
            yield f"glm_rows {number} {index}", rows_function(), signature
        rows, starts, out = _array(types.int32), _array(types.int64), _array(types.float64, 2)
        signature = types.void(values, rows, starts, matrix, out)
        yield f"glm_columns {number}", columns_function(), signature


def _array(element, ndim=1, layout="C"):
    return types.Array(element, ndim, layout)


def _signatures(number):
    """Of the kernels that make derivatives of margins, and changes of them."""
    doubles, table = _array(types.float64), _array(types.float64, 2)
    common = (
        _array(number, 2), doubles, _array(types.int32), table, table, _array(types.int64, 2),
        types.int64, types.float64, types.int64,
    )  # fmt: skip
    prediction = _array(number, 2, "A")
    return types.void(*common, types.boolean, prediction, table), types.void(*common, prediction)
