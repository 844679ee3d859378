"""A kernel of the user's own, compiled into the loop over pairs of rows: a thread for each pair."""

from functools import lru_cache

from numba import cuda

from fastml.kernels.cuda._ufuncs import fill_up
from fastml.kernels.cuda._warp import SIMULATOR, device_function


@lru_cache(maxsize=64)
def custom_kernel(function):
    """The kernel around a ``fastml.Kernel``."""
    return cuda.jit(custom_function(function))


def custom_function(function):
    """The kernel's Python function, not yet bound to a compiler."""
    if not SIMULATOR:
        fill_up()
    value = device_function(function.f.py_func)

    def gram_custom(rows_a, rows_b, out):
        n_a, n_b = out.shape
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(cuda.blockIdx.y, n_a, cuda.gridDim.y):
            for j in range(start, n_b, cuda.gridDim.x * cuda.blockDim.x):
                out[i, j] = value(rows_a[i], rows_b[j])

    return gram_custom
