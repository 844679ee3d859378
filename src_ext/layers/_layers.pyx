"""Binding of the families of a layer's smaller operations, each of which has its own file, in one extension.

A builder checks shapes and types, fills the C job that the operation's parts read, and says what the phases are.
"""

cimport numpy as cnp
from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from fastml.kernels.cpu cimport _runtime
from fastml.kernels.cpu._runtime cimport Operation

import numpy as np

from fastml.kernels.activation_names import resolved
from fastml.kernels.cpu._runtime import LEVEL

cnp.import_array()

# What an element costs, in Operation.work's multiply-adds: one that is read and written; its exp besides.
cdef double STREAM = 20.0, TRANSCENDENTAL = 40.0

# Elements that a part of some rows has at least.
cdef Py_ssize_t ELEMENTS_PER_PART = 8192


cdef Py_ssize_t parts_of(Py_ssize_t n, Py_ssize_t per_part) noexcept:
    return (n + per_part - 1) // per_part


cdef Py_ssize_t rows_per_part(Py_ssize_t width) noexcept:
    """How many rows of so many elements make a part."""
    return max(1, ELEMENTS_PER_PART // max(1, width))


cdef tuple matrix(array, str name):
    """Rows and columns."""
    if array.ndim != 2:
        raise ValueError(f"{name} must have two dimensions; got shape {array.shape}.")
    return array.shape


cdef double real(value, str name) except? -1.0:
    cdef double number = value
    if not isfinite(number):
        raise ValueError(f"{name} must be finite; got {value}.")
    return number


include "../gather/gather.pxi"
include "../pool/pool.pxi"
include "../activation/activation.pxi"
include "../normalization/normalization.pxi"
include "../optimizer/optimizer.pxi"
