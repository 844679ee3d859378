"""From products of rows to kernel values, in one pass over the block: specialised to a kernel, a dtype and a storage.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b loses the digits in which the norms agree. Where that would show in the value, and
where the rows may be equal, whose value is to be exactly 1, the distance is taken from the rows' differences instead.
In other pairs, nearly all of most data, it is not computed.
"""

import math
from functools import lru_cache

import numpy as np
from numba import cuda, float64, from_dtype

from fastml.kernels.cuda._warp import device_function

# How far rounding of a.b may move exp(-gamma |a - b|^2), above which differences are taken.
TOLERANCE = {np.dtype("f4"): 1e-5, np.dtype("f8"): 3e-10}

DENSE, SPARSE = "dense", "sparse"


@device_function
def _dense_distance(rows_a, i, rows_b, j):
    """|a_i - b_j|^2 from two matrices, of each (data, indices, indptr); the last two are empty."""
    a, b = rows_a[0][i], rows_b[0][j]
    total = 0.0
    for feature in range(len(a)):
        difference = float64(a[feature]) - float64(b[feature])
        total += difference * difference
    return total


@device_function
def _sparse_distance(rows_a, i, rows_b, j):
    """The same from CSR rows, whose columns increase."""
    data_a, indices_a, indptr_a = rows_a
    data_b, indices_b, indptr_b = rows_b
    k, end_k, m, end_m = indptr_a[i], indptr_a[i + 1], indptr_b[j], indptr_b[j + 1]
    total = 0.0
    while k < end_k or m < end_m:
        difference = 0.0
        from_a = m >= end_m or (k < end_k and indices_a[k] <= indices_b[m])
        from_b = k >= end_k or (m < end_m and indices_b[m] <= indices_a[k])
        if from_a:
            difference += float64(data_a[k])
            k += 1
        if from_b:
            difference -= float64(data_b[m])
            m += 1
        total += difference * difference
    return total


_DISTANCES = {DENSE: _dense_distance, SPARSE: _sparse_distance}


@lru_cache(maxsize=16)
def values_kernel(name, dtype, storage):
    """The kernel that turns products into values."""
    return cuda.jit(values_function(name, dtype, storage))


def values_function(name, dtype, storage):
    """The kernel's Python function, not yet bound to a compiler."""
    number, tolerance = from_dtype(dtype), TOLERANCE[dtype]
    distance_of_rows = _DISTANCES[storage]

    @device_function
    def rbf(product, sq_a, sq_b, gamma, most, typical, rows_a, i, rows_b, j):
        norms = sq_a + sq_b
        distance = norms - 2.0 * product
        off = typical * norms
        is_sure = most * norms < distance < math.inf  # not so where the product has overflown
        if is_sure and gamma * off > tolerance:
            is_sure = gamma * off * math.exp(-gamma * (distance - off)) <= tolerance
        if not is_sure:
            distance = distance_of_rows(rows_a, i, rows_b, j)
        return math.exp(number(-gamma * distance))

    @device_function
    def power(base, degree):
        """base^degree by squaring, in float64: pow takes several times as long."""
        result = 1.0
        while degree > 0:
            if degree & 1:
                result *= base
            base *= base
            degree >>= 1
        return result

    def gram_values(
        products, data_a, indices_a, indptr_a, sq_a, data_b, indices_b, indptr_b, sq_b,
        gamma, coef0, degree, most, typical, out,
    ):  # fmt: skip
        rows_a, rows_b = (data_a, indices_a, indptr_a), (data_b, indices_b, indptr_b)
        n_a, n_b = products.shape
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(cuda.blockIdx.y, n_a, cuda.gridDim.y):
            for j in range(start, n_b, cuda.gridDim.x * cuda.blockDim.x):
                product = float64(products[i, j])
                if name == "linear":
                    value = product
                elif name == "poly":
                    value = power(gamma * product + coef0, degree)
                elif name == "sigmoid":
                    value = math.tanh(number(gamma * product + coef0))
                else:
                    value = rbf(product, sq_a[i], sq_b[j], gamma, most, typical, rows_a, i, rows_b, j)
                out[i, j] = value

    return gram_values
