"""Binding of the Gram kernels: rows laid out once, blocks of the kernel matrix by ranges of columns on threads."""

cimport numpy as cnp
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint16_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml._kernel import KERNELS
from fastml.kernels.cpu._runtime import LEVEL

include "declarations.pxi"

cdef const gram_kernels *KERNELS_OF_LEVEL = GRAM_KERNELS(LEVEL)

cdef dict KERNEL_CODES = {name: code for code, name in enumerate(KERNELS) if name != "custom"}
cdef int RBF = KERNEL_CODES["rbf"]

include "resources.pxi"
include "checks.pxi"
include "rows.pxi"
include "prepared.pxi"
include "product.pxi"
include "expansions.pxi"
include "pairs.pxi"
include "custom.pxi"


def elementwise(str function, cnp.ndarray x):
    """``exp`` or ``tanh`` of every element, as the kernels compute it: for tests and benchmarks."""
    cdef cnp.ndarray y = np.empty_like(x)
    cdef int real = cnp.PyArray_TYPE(x)
    cdef Py_ssize_t n = x.size
    cdef const void *source = cnp.PyArray_DATA(checked(x, real, "x"))
    cdef void *target = cnp.PyArray_DATA(y)
    cdef bint is_exp = {"exp": True, "tanh": False}[function]
    if real == cnp.NPY_FLOAT32:
        (KERNELS_OF_LEVEL.exp_f32 if is_exp else KERNELS_OF_LEVEL.tanh_f32)(<const float *> source, <float *> target, n)
    elif real == cnp.NPY_FLOAT64:
        (KERNELS_OF_LEVEL.exp_f64 if is_exp else KERNELS_OF_LEVEL.tanh_f64)(
            <const double *> source, <double *> target, n)
    else:
        raise TypeError(f"x must be of float32 or float64; got {x.dtype}.")
    return y
