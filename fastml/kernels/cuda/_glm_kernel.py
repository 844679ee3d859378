"""What is made of margins, and the products with CSR rows: the kernels of the passes for generalised linear models.

Margins lie column by column, so that neighbouring threads, which have neighbouring rows, read neighbours. A block's
threads share a model's rows of a piece; each block leaves one sum of losses, which are added up in their order.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda._glm_loss import curvature, value_and_derivative
from fastml.kernels.cuda._warp import SLOTS, collect, deposit, device_function

# Columns of the table of active models.
POSITIVE_CLASS, TARGET, WEIGHTING, PLACE = range(4)


class Specialisation(NamedTuple):
    """What a kernel is compiled for.

    Attributes
    ----------
    loss : str or fastml.Loss
    coded : bool
        Whether targets are class codes.
    """

    loss: Any
    coded: bool


@lru_cache(maxsize=64)
def evaluate_kernel(specialisation):
    """Margins become weighted derivatives; losses are summed."""
    return cuda.jit(evaluate_function(specialisation))


@lru_cache(maxsize=64)
def curve_kernel(specialisation):
    """Margins of vectors are multiplied by weights and curvatures."""
    return cuda.jit(curve_function(specialisation))


def evaluate_function(specialisation):
    """The kernel's Python function, not yet bound to a compiler."""
    loss, coded = specialisation
    return _evaluate_multinomial() if loss == "multinomial" else _evaluate_column(loss, coded)


def curve_function(specialisation):
    """The kernel's Python function, not yet bound to a compiler."""
    loss, coded = specialisation
    return _curve_multinomial() if loss == "multinomial" else _curve_column(loss, coded)


@device_function
def _weight(weight, model, row):
    return weight[model[WEIGHTING], row] if model[WEIGHTING] >= 0 else 1.0


@device_function
def _code(codes, values, model, row):
    return 1.0 if codes[row] == model[POSITIVE_CLASS] else -1.0


@device_function
def _value(codes, values, model, row):
    return values[model[TARGET], row]


def _evaluate_column(loss, coded):
    value_of, derivative_of = value_and_derivative(loss)
    target_of = _code if coded else _value

    def glm_evaluate(
        margins,
        intercepts,
        codes,
        values,
        weight,
        models,
        n_columns,
        epsilon,
        first,
        predicts,
        prediction,
        sums,
    ):
        slots = cuda.shared.array(SLOTS, float64)
        m = cuda.blockIdx.y
        model, total = models[m], 0.0
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, margins.shape[1], cuda.gridDim.x * cuda.blockDim.x):
            z = float64(margins[m, i]) + intercepts[m]
            w, slope = _weight(weight, model, first + i), 0.0
            if predicts:
                prediction[model[PLACE], first + i] = z
            if w != 0.0:
                y = target_of(codes, values, model, first + i)
                total += w * value_of(y, z, epsilon) + (z - z)
                slope = w * derivative_of(y, z, epsilon)
            margins[m, i] = slope
        deposit(total, slots, 0, 0)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            sums[m, cuda.blockIdx.x] = collect(slots, 0, 0)

    return glm_evaluate


def _evaluate_multinomial():
    def glm_evaluate_multinomial(
        margins,
        intercepts,
        codes,
        values,
        weight,
        models,
        n_columns,
        epsilon,
        first,
        predicts,
        prediction,
        sums,
    ):
        slots = cuda.shared.array(SLOTS, float64)
        m = cuda.blockIdx.y
        model, total, column = models[m], 0.0, m * n_columns
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, margins.shape[1], cuda.gridDim.x * cuda.blockDim.x):
            w = _weight(weight, model, first + i)
            highest, own, nan = -math.inf, 0.0, 0.0
            for k in range(n_columns):
                z = float64(margins[column + k, i]) + intercepts[column + k]
                nan += z - z
                highest = max(highest, z)
                if k == codes[first + i]:
                    own = z
            of_all = 0.0
            for k in range(n_columns):
                of_all += math.exp(float64(margins[column + k, i]) + intercepts[column + k] - highest)
            if w != 0.0:
                total += w * (math.log(of_all) + (highest - own)) + nan
            for k in range(n_columns):
                z = float64(margins[column + k, i]) + intercepts[column + k]
                p = math.exp(z - highest) / of_all
                if predicts:
                    prediction[model[PLACE] * n_columns + k, first + i] = p
                slope = w * (p - (1.0 if k == codes[first + i] else 0.0))
                margins[column + k, i] = slope if w != 0.0 else 0.0
        deposit(total, slots, 0, 0)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            sums[m, cuda.blockIdx.x] = collect(slots, 0, 0)

    return glm_evaluate_multinomial


def _curve_column(loss, coded):
    curvature_of = curvature(loss)
    target_of = _code if coded else _value
    plain = loss == "squared_error"

    def glm_curve(margins, intercepts, codes, values, weight, models, n_columns, epsilon, first, prediction):
        m = cuda.blockIdx.y
        model = models[m]
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, margins.shape[1], cuda.gridDim.x * cuda.blockDim.x):
            w, change, z = _weight(weight, model, first + i), 0.0, 0.0
            if not plain:
                z = float64(prediction[model[PLACE], first + i])
            if w != 0.0:
                y = target_of(codes, values, model, first + i)
                change = w * curvature_of(y, z, epsilon) * (float64(margins[m, i]) + intercepts[m])
            margins[m, i] = change

    return glm_curve


def _curve_multinomial():
    def glm_curve_multinomial(
        margins, intercepts, codes, values, weight, models, n_columns, epsilon, first, prediction
    ):
        m = cuda.blockIdx.y
        model, column = models[m], m * n_columns
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, margins.shape[1], cuda.gridDim.x * cuda.blockDim.x):
            w, mean = _weight(weight, model, first + i), 0.0
            for k in range(n_columns):
                p = float64(prediction[model[PLACE] * n_columns + k, first + i])
                mean += p * (float64(margins[column + k, i]) + intercepts[column + k])
            for k in range(n_columns):
                p = float64(prediction[model[PLACE] * n_columns + k, first + i])
                change = float64(margins[column + k, i]) + intercepts[column + k]
                margins[column + k, i] = w * (p * (change - mean)) if w != 0.0 else 0.0

    return glm_curve_multinomial


def rows_function():
    """The kernel's Python function: margins of CSR rows, a block for each row, column after column."""

    def glm_rows(data, indices, indptr, weights, first, margins):
        slots = cuda.shared.array(SLOTS, float64)
        turn = 0
        for i in range(cuda.blockIdx.x, margins.shape[1], cuda.gridDim.x):
            begin, end = np.int64(indptr[first + i]), np.int64(indptr[first + i + 1])
            for c in range(margins.shape[0]):
                total = 0.0
                for k in range(begin + cuda.threadIdx.x, end, cuda.blockDim.x):
                    total += float64(data[k]) * float64(weights[c, indices[k]])
                deposit(total, slots, turn, 0)
                cuda.syncthreads()
                if cuda.threadIdx.x == 0:
                    margins[c, i] = collect(slots, turn, 0)
                turn = 1 - turn

    return glm_rows


def columns_function():
    """The kernel's Python function: derivatives times the columns of X, a block for each."""

    def glm_columns(data, rows, starts, slopes, out):
        slots = cuda.shared.array(SLOTS, float64)
        turn = 0
        for f in range(cuda.blockIdx.x, out.shape[1], cuda.gridDim.x):
            begin, end = np.int64(starts[f]), np.int64(starts[f + 1])
            for c in range(out.shape[0]):
                total = 0.0
                for k in range(begin + cuda.threadIdx.x, end, cuda.blockDim.x):
                    total += float64(data[k]) * float64(slopes[c, rows[k]])
                deposit(total, slots, turn, 0)
                cuda.syncthreads()
                if cuda.threadIdx.x == 0:
                    out[c, f] = collect(slots, turn, 0)
                turn = 1 - turn

    return glm_columns


rows_kernel = cuda.jit(rows_function())
columns_kernel = cuda.jit(columns_function())
