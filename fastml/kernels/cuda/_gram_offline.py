"""The kernels of the Gram family, for the compile check that needs no GPU (``tools/compile_cuda.py``)."""

import math

import numba
import numpy as np
from numba import types

from fastml._kernel import KERNELS
from fastml.kernels.cuda._gram_custom import custom_function
from fastml.kernels.cuda._gram_sparse import (
    product_function,
    scatter_function,
    squares_function,
    take_function,
)
from fastml.kernels.cuda._gram_values import DENSE, SPARSE, values_function
from fastml.kernels.user_kernel import Kernel

_NUMBERS = {np.dtype("f4"): types.float32, np.dtype("f8"): types.float64}


@numba.njit
def _distance(x, y):
    total = 0.0
    for i in range(len(x)):
        total += abs(x[i] - y[i])
    return total


@numba.njit
def _laplacian(x, y):
    return np.exp(-0.1 * _distance(x, y)) + math.tanh(0.0)


def kernels_to_compile():
    """Yields (name, Python function, signature): every kernel, dtype, storage and type of index."""
    for dtype, number in _NUMBERS.items():
        for name in KERNELS:
            if name == "custom":
                continue
            yield f"gram_values {name} dense {number}", *_values(name, dtype, DENSE, types.int32)
            for index in (types.int32, types.int64):
                yield f"gram_values {name} sparse {number} {index}", *_values(name, dtype, SPARSE, index)
        rows = _array(number, 2)
        yield (
            f"gram_custom {number}",
            custom_function(Kernel(_laplacian), str(number)),
            types.void(rows, rows, _array(number, 2, "A")),
        )
        for index in (types.int32, types.int64):
            yield from _sparse(number, index)


def _array(element, ndim=1, layout="C"):
    return types.Array(element, ndim, layout)


def _values(name, dtype, storage, index):
    number, squares = _NUMBERS[dtype], _array(types.float64)
    is_sparse = storage == SPARSE
    data, indices = _array(number, 1 if is_sparse else 2), _array(index)
    real = types.float64
    signature = types.void(
        _array(types.float64 if is_sparse else number, 2),
        data, indices, indices, squares, data, indices, indices, squares,
        real, real, types.int64, real, real, _array(number, 2, "A"),
    )  # fmt: skip
    return values_function(name, dtype, storage), signature


def _sparse(number, index):
    data, indices, rows = _array(number), _array(index), _array(types.int32)
    for layout in "CA":
        out = _array(number, 2, layout)
        signature = types.void(data, indices, indices, types.int64, out)
        yield f"gram_scatter {layout} {number} {index}", scatter_function(), signature
    signature = types.void(data, indices, indices, rows, data, indices, indices)
    yield f"gram_take {number} {index}", take_function(), signature
    yield (
        f"gram_squares {number} {index}",
        squares_function(),
        types.void(data, indices, _array(types.float64)),
    )
    signature = types.void(_array(number, 2), data, indices, indices, _array(types.float64, 2))
    yield f"gram_product {number} {index}", product_function(), signature
