"""CSR rows on the device: made dense, taken, multiplied.

The product of sparse rows goes by 32 rows of A at a time. These are made dense, feature by feature side by side; then
a warp walks the non-zeros of a row of B, and each lane multiplies with its own row of A: all loads are shared by the
warp or lie next to each other, and no lane waits for another.
"""

import numpy as np
from numba import cuda

from fastml.kernels.cuda._warp import LANES


def scatter_function():
    """The kernel's Python function: CSR rows into a matrix of zeros, of any strides; a warp or more for a row."""

    def gram_scatter(data, indices, indptr, first, out):
        for i in range(cuda.blockIdx.x, out.shape[0], cuda.gridDim.x):
            for k in range(
                indptr[first + i] + cuda.threadIdx.x, np.int64(indptr[first + i + 1]), cuda.blockDim.x
            ):
                out[i, indices[k]] = data[k]

    return gram_scatter


def take_function():
    """The kernel's Python function: rows of a CSR to where ``taken_indptr`` says."""

    def gram_take(data, indices, indptr, rows, taken_data, taken_indices, taken_indptr):
        for i in range(cuda.blockIdx.x, rows.size, cuda.gridDim.x):
            source, target = indptr[rows[i]], taken_indptr[i]
            for k in range(cuda.threadIdx.x, np.int64(taken_indptr[i + 1] - target), cuda.blockDim.x):
                taken_data[target + k] = data[source + k]
                taken_indices[target + k] = indices[source + k]

    return gram_take


def squares_function():
    """The kernel's Python function: squared norms of CSR rows, a thread for each."""

    def gram_squares(data, indptr, out):
        for i in range(
            cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, out.size, cuda.gridDim.x * cuda.blockDim.x
        ):
            total = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                value = np.float64(data[k])
                total += value * value
            out[i] = total

    return gram_squares


def product_function():
    """The kernel's Python function: up to 32 rows of A, by features, times CSR rows of B, a warp for each."""

    def gram_product(by_feature, data, indices, indptr, out):
        lane, n_warps = cuda.threadIdx.x % LANES, cuda.blockDim.x // LANES
        warp = cuda.blockIdx.x * n_warps + cuda.threadIdx.x // LANES
        for j in range(warp, out.shape[1], cuda.gridDim.x * n_warps):
            total = 0.0
            for k in range(indptr[j], indptr[j + 1]):
                total += np.float64(data[k]) * np.float64(by_feature[indices[k], lane])
            if lane < out.shape[0]:
                out[lane, j] = total

    return gram_product


scatter_kernel = cuda.jit(scatter_function())
take_kernel = cuda.jit(take_function())
squares_kernel = cuda.jit(squares_function())
product_kernel = cuda.jit(product_function())
