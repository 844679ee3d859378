"""Sums over the columns of a matrix, of its elements or of what is made of them: deterministic, in float64.

A matrix is cut into lines of rows s, s + S, s + 2 S, …; neighbouring threads sum neighbouring columns of a line. Then a
block adds up the S sums of a column. S depends on the shape alone, and no addition is atomic.
"""

from functools import lru_cache

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._operation import launch
from fastml.kernels.cuda._warp import SLOTS, collect, deposit, device_function

# Sums that a GPU is to have at once, rows of a line at least, lines at most.
THREADS = 2**16
ROWS = 32
LINES = 2**13


@device_function
def _element(a, b, mean, scale):
    return a


@device_function
def _square(a, b, mean, scale):
    return a * a


@device_function
def _deviation_square(a, b, mean, scale):
    return (a - mean) * (a - mean)


@device_function
def _product_with_standardised(a, b, mean, scale):
    return a * ((b - mean) * scale)


TERMS = {
    "element": _element,
    "square": _square,
    "deviation square": _deviation_square,
    "product with standardised": _product_with_standardised,
}


def sums(term, A, out, B=None, mean=None, scale=None, by_row=False, divisor=1.0):
    """Calls that set out[j] to the sum over i of a term of A[i, j] and B[i, j], divided.

    Parameters
    ----------
    term : str
        Of ``TERMS``.
    A : array of shape (n, m)
    out : array of shape (m,)
    B : array like A, or None
    mean, scale : arrays of shape (m,), or of (n,) with ``by_row``, or None
    """
    n, m = A.shape
    if m == 0:
        return []
    if n == 0:
        return [lambda: out.fill(0)]
    n_lines = max(1, min(LINES, THREADS // m, -(-n // ROWS)))
    partial = _device.empty((n_lines, m), np.float64)
    # The empty vectors are not read.
    none = _device.empty(0, A.dtype)
    second = none.reshape(0, 0) if B is None else B
    vectors = [none if vector is None else vector for vector in (mean, scale)]
    lines = launch(lines_kernel(term, by_row), *_device.elements(n_lines * m), A, second, *vectors, partial)
    columns = launch(total_kernel, _device.grid(m, 2**16), _device.team(n_lines), partial, divisor, out)
    return [lines, columns]


@lru_cache(maxsize=16)
def lines_kernel(term, by_row):
    return cuda.jit(lines_function(term, by_row))


def lines_function(term, by_row):
    """The kernel's Python function."""
    value = TERMS[term]
    has_second = term == "product with standardised"
    has_mean, has_scale = term in ("deviation square", "product with standardised"), has_second

    def columns_lines(A, B, mean, scale, partial):
        n_lines, m = partial.shape
        for i in range(cuda.grid(1), n_lines * m, cuda.gridsize(1)):
            line, j = i // m, i % m
            total, b, own_mean, own_scale = 0.0, 0.0, 0.0, 1.0
            if has_mean and not by_row:
                own_mean = float64(mean[j])
            if has_scale and not by_row:
                own_scale = float64(scale[j])
            for row in range(line, A.shape[0], n_lines):
                if has_second:
                    b = float64(B[row, j])
                if has_mean and by_row:
                    own_mean = float64(mean[row])
                if has_scale and by_row:
                    own_scale = float64(scale[row])
                total += value(float64(A[row, j]), b, own_mean, own_scale)
            partial[line, j] = total

    return columns_lines


def total_function():
    """The kernel's Python function: a block for each column."""

    def columns_total(partial, divisor, out):
        slots = cuda.shared.array(SLOTS, float64)
        turn = 0
        for j in range(cuda.blockIdx.x, partial.shape[1], cuda.gridDim.x):
            total = 0.0
            for line in range(cuda.threadIdx.x, partial.shape[0], cuda.blockDim.x):
                total += partial[line, j]
            deposit(total, slots, turn, 0)
            cuda.syncthreads()
            if cuda.threadIdx.x == 0:
                out[j] = collect(slots, turn, 0) / divisor
            turn = 1 - turn

    return columns_total


total_kernel = cuda.jit(total_function())
