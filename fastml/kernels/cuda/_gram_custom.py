"""A kernel of the user's own, compiled into the loop over pairs of rows: a thread for each pair."""

from functools import lru_cache

from numba import cuda

from fastml.kernels.cuda._ufuncs import fill_up
from fastml.kernels.cuda._warp import SIMULATOR, device_function
from fastml.kernels.single_precision import in_single_precision


@lru_cache(maxsize=64)
def custom_kernel(function, dtype):
    """The kernel around a ``fastml.Kernel``, for rows of "float32" or "float64"."""
    return cuda.jit(custom_function(function, dtype))


def custom_function(function, dtype):
    """The kernel's Python function, not yet bound to a compiler."""
    if not SIMULATOR:
        fill_up()
    python = function.f.py_func
    value = device_function(in_single_precision(python) if dtype == "float32" else python)

    def gram_custom(rows_a, rows_b, out):
        n_a, n_b = out.shape
        start = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        for i in range(cuda.blockIdx.y, n_a, cuda.gridDim.y):
            for j in range(start, n_b, cuda.gridDim.x * cuda.blockDim.x):
                out[i, j] = value(rows_a[i], rows_b[j])

    return gram_custom
