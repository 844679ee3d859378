"""Rows of a batch on the GPU; the contract is ``fastml.kernels.reference.gather``.

A block copies a row at a time, its threads neighbouring elements.
"""

import math
from functools import lru_cache

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._operation import REAL, as_function, checked, launch

__all__ = ["rows"]


@as_function
def rows(X, rows, out, scale=1.0, offset=0.0):
    if not (math.isfinite(scale) and math.isfinite(offset)):
        raise ValueError(f"scale and offset must be finite; got {scale} and {offset}.")
    n = len(rows)
    checked(rows, np.int64, "rows", (n,))
    checked(X, X.dtype, "X", X.shape)
    checked(out, out.dtype, "out", (n, *X.shape[1:]))
    width = math.prod(X.shape[1:])
    source, target = X.reshape(len(X), width), out.reshape(n, width)
    copies = X.dtype == out.dtype and scale == 1.0 and offset == 0.0
    if copies and X.dtype.kind in "biuf":
        # By their bits: elements of one size share a kernel.
        bits = np.dtype(f"u{X.dtype.itemsize}")
        source, target = source.view(bits), target.view(bits)
    elif X.dtype not in (*REAL, np.dtype(np.uint8)) or out.dtype not in REAL:
        raise TypeError(f"Rows of {X.dtype} can't be gathered as {out.dtype}.")
    if n == 0 or width == 0:
        return []
    arguments = (source, rows, target) if copies else (source, rows, float(scale), float(offset), target)
    return [launch(rows_kernel(copies), _device.grid(n), _device.team(width), *arguments)]


@lru_cache(maxsize=2)
def rows_kernel(copies):
    return cuda.jit(copy_function() if copies else rescale_function())


def copy_function():
    """The kernel's Python function."""

    def gather_copy(X, rows, out):
        for i in range(cuda.blockIdx.x, out.shape[0], cuda.gridDim.x):
            row = rows[i]
            for j in range(cuda.threadIdx.x, out.shape[1], cuda.blockDim.x):
                out[i, j] = X[row, j]

    return gather_copy


def rescale_function():
    """The kernel's Python function."""

    def gather_rescale(X, rows, scale, offset, out):
        for i in range(cuda.blockIdx.x, out.shape[0], cuda.gridDim.x):
            row = rows[i]
            for j in range(cuda.threadIdx.x, out.shape[1], cuda.blockDim.x):
                out[i, j] = float64(X[row, j]) * scale + offset

    return gather_rescale
