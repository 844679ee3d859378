"""Binding of the trust-region Newton method: several models share threads, or one model's blocks do."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml.kernels.cpu._runtime import LEVEL
from fastml._csr import CSR
from fastml.kernels.linear_data import PADDING
from fastml.kernels.newton_state import MODEL, VECTORS

cnp.import_array()

include "../linear/linear_binding.pxi"

cdef extern from "newton.h":
    ctypedef struct nt_record:
        int64_t logistic
        int64_t done

    ctypedef struct nt_model:
        nt_record *record
        Py_ssize_t n_vector
        double *vectors
        Py_ssize_t n_blocks
        const int64_t *block_start
        double *partial
        int32_t *active[2]
        int64_t *n_active
        double *curvature[2]
        double *hessian
        uint8_t *in_hessian

    ctypedef struct nt_passes:
        pass

    int MAX_BLOCKS

    ctypedef struct nt_kernels:
        const nt_passes *passes[6]
        void (*advance)(const nt_passes *, const linear_data *, nt_model *, double work,
                        _runtime.fork_join_function, int n_threads) noexcept nogil

    const nt_kernels *NT_KERNELS(int level) nogil

if MODEL.itemsize != sizeof(nt_record):
    raise ImportError("The compiled kernels are not of this version of fastml.kernels.newton_state; build again.")

cdef const nt_kernels *KERNELS = NT_KERNELS(LEVEL)


cdef struct Shared:
    const nt_passes *passes
    const linear_data *data
    nt_model *models
    double work
    linear_queue queue


cdef void run_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Shared *shared = <Shared *> context
    cdef Py_ssize_t k = linear_queue_take(&shared.queue)
    while k >= 0:
        KERNELS.advance(shared.passes, shared.data, &shared.models[k], shared.work, _runtime.fork_join, 1)
        k = linear_queue_take(&shared.queue)


cdef void point(model, nt_model *c_model, linear_data *data) except *:
    cdef Py_ssize_t n_blocks = len(model.block_start) - 1, n_rows = data.n_rows
    cdef Py_ssize_t n_vector = model.vectors.shape[1]
    if model.record.dtype != MODEL:
        raise TypeError("record must be of the dtype MODEL.")
    if n_vector < data.n_features + (data.bias != 0.0) or n_vector % PADDING or not 1 <= n_blocks <= MAX_BLOCKS:
        raise ValueError(f"vectors of {n_vector} elements, {n_blocks} blocks: does not suit {data.n_features} features.")
    starts = model.block_start
    if starts[0] != 0 or starts[n_blocks] != n_rows or (np.diff(starts) < 0).any():
        raise ValueError(f"block_start must increase from 0 to {n_rows}.")
    c_model.record = <nt_record *> cnp.PyArray_DATA(<cnp.ndarray> model.record)
    c_model.n_vector = n_vector
    c_model.n_blocks = n_blocks
    c_model.vectors = <double *> checked(model.vectors, cnp.NPY_FLOAT64, len(VECTORS) * n_vector, "vectors")
    c_model.block_start = <const int64_t *> checked(starts, cnp.NPY_INT64, n_blocks + 1, "block_start")
    c_model.partial = <double *> checked(model.partial, cnp.NPY_FLOAT64, n_blocks * n_vector, "partial")
    c_model.active[0] = <int32_t *> checked(model.active, cnp.NPY_INT32, 2 * n_rows, "active")
    c_model.active[1] = c_model.active[0] + n_rows
    c_model.n_active = <int64_t *> checked(model.n_active, cnp.NPY_INT64, 2 * n_blocks, "n_active")
    c_model.in_hessian = <uint8_t *> checked(model.in_hessian, cnp.NPY_UINT8, n_rows, "in_hessian")
    c_model.curvature[0] = c_model.curvature[1] = NULL
    if c_model.record.logistic:
        if data.label == NULL:
            raise TypeError("The logistic loss is of labels: data.target must be int32.")
        c_model.curvature[0] = <double *> checked(model.curvature, cnp.NPY_FLOAT64, 2 * n_rows, "curvature")
        c_model.curvature[1] = c_model.curvature[0] + n_rows
    c_model.hessian = NULL
    if model.hessian is not None and not c_model.record.logistic:
        c_model.hessian = <double *> checked(
            model.hessian, cnp.NPY_FLOAT64, n_blocks * n_vector * n_vector, "hessian")


def advance(data, models, double work, int n_threads):
    """See ``fastml.kernels.reference.newton.advance``."""
    cdef linear_data c_data
    cdef Shared shared
    cdef Py_ssize_t n_models = len(models), k
    cdef int n_shares = <int> min(n_threads, n_models), reserved
    shared.passes = KERNELS.passes[<int> all_data(data, &c_data)]
    shared.data = &c_data
    shared.work = work
    shared.models = <nt_model *> malloc(n_models * sizeof(nt_model))
    if shared.models == NULL and n_models:
        raise MemoryError(f"{n_models * sizeof(nt_model)} bytes for {n_models} models")
    try:
        for k in range(n_models):
            point(models[k], &shared.models[k], &c_data)
        with nogil:
            if n_models == 1:
                reserved = _runtime.reserve(<int> min(<Py_ssize_t> n_threads, shared.models[0].n_blocks), n_threads)
                KERNELS.advance(shared.passes, &c_data, shared.models, work, _runtime.fork_join, reserved)
            else:
                linear_queue_fill(&shared.queue, n_models)
                reserved = _runtime.reserve(n_shares, n_threads)
                _runtime.fork_join(run_share, &shared, n_shares, reserved)
            _runtime.release(reserved)
    finally:
        free(shared.models)
