"""The kernels around SMO's block solver: matrices of blocks, gathered values, sums of kernel rows."""

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda._warp import LANES

# Kernel rows that are added up side by side; then their sums, in this order.
PARTS = 8
SUM_THREADS = LANES * PARTS
SUM_SHARED_BYTES = 8 * SUM_THREADS


def pack_function():
    """The kernel's Python function: each block's matrix, in the order of its variables."""

    def smo_pack(K, index, starts, matrix_starts, out):
        k = cuda.blockIdx.x
        first = starts[k]
        n = starts[k + 1] - first
        for i in range(cuda.blockIdx.y, n, cuda.gridDim.y):
            row, at = index[first + i], matrix_starts[k] + i * n
            for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
                out[at + j] = K[row, index[first + j]]

    return smo_pack


def add_moves_function():
    """The kernel's Python function: a thread for a variable, of the moves of all in its block."""

    def smo_add_moves(K, index, starts, moves, gradient):
        first, end = starts[cuda.blockIdx.x], starts[cuda.blockIdx.x + 1]
        start = first + cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(start, end, cuda.gridDim.y * cuda.blockDim.x):
            column, total = index[i], 0.0
            for j in range(first, end):
                if moves[j] != 0.0:
                    total += moves[j] * float64(K[index[j], column])
            gradient[i] += total

    return smo_add_moves


def gather_function():
    """The kernel's Python function: a block for a row and a stretch of columns."""

    def smo_gather(K, slots, columns, out):
        for i in range(cuda.blockIdx.y, slots.size, cuda.gridDim.y):
            row = slots[i]
            start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
            for j in range(start, columns.size, cuda.gridDim.x * cuda.blockDim.x):
                out[i, j] = K[row, columns[j]]

    return smo_gather


def add_rows_function():
    """The kernel's Python function: a block for 32 columns, each warp for every ``PARTS``-th row."""

    def smo_add_rows(decision, K, slots, coefficients):
        lane, part = cuda.threadIdx.x % LANES, cuda.threadIdx.x // LANES
        sums = cuda.shared.array(0, float64)
        j = np.int64(cuda.blockIdx.x) * LANES + lane
        total = 0.0
        if j < decision.size:
            for k in range(part, coefficients.size, PARTS):
                total += coefficients[k] * float64(K[slots[k], j])
        sums[cuda.threadIdx.x] = total
        cuda.syncthreads()
        if part == 0 and j < decision.size:
            for other in range(1, PARTS):
                total += sums[other * LANES + lane]
            decision[j] += total

    return smo_add_rows


pack_kernel = cuda.jit(pack_function())
add_moves_kernel = cuda.jit(add_moves_function())
gather_kernel = cuda.jit(gather_function())
add_rows_kernel = cuda.jit(add_rows_function())
