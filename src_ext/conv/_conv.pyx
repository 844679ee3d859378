"""Binding of convolutions: geometry checked and laid out, operations made."""

cimport numpy as cnp
from libc.stdint cimport int32_t, uint8_t
from fastml.kernels.cpu cimport _runtime
from fastml.kernels.cpu._runtime cimport Operation

from fastml.kernels.cpu._runtime import LEVEL

cnp.import_array()

cdef extern from "conv.h":
    cdef enum conv_method:
        CONV_DIRECT, CONV_IMPLICIT, CONV_DEPTHWISE

    ctypedef struct conv_tap:
        int32_t y, x

    ctypedef struct conv_class:
        Py_ssize_t grid_h, grid_w, step_y, step_x, first_y, first_x, each_y, each_x, n_taps
        const conv_tap *taps
        const int32_t *tap_numbers
        Py_ssize_t packed_at

    ctypedef struct conv_job:
        Py_ssize_t n, h, w, c, oh, ow, m
        Py_ssize_t kh, kw, stride_y, stride_x, top, left, dilation_y, dilation_x, groups
        bint pooled
        Py_ssize_t window_h, window_w
        const void *x
        const void *filters
        const void *bias
        const void *dout
        void *out
        void *dx
        void *dfilters
        void *dbias
        uint8_t *argmax
        bint relu
        conv_method method
        const conv_class *classes
        Py_ssize_t n_classes
        const void *zeros
        Py_ssize_t n_parts, n_packed, n_sum_parts
        size_t packed_bytes, partial_bytes, scratch_bytes
        void *packed
        void *partial

    ctypedef struct conv_methods:
        void (*plan_forward)(conv_job *) noexcept nogil
        void (*pack_forward)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*forward)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*plan_input)(conv_job *) noexcept nogil
        void (*pack_input)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*input)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*plan_maxima_input)(conv_job *) noexcept nogil
        void (*pack_maxima_input)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*maxima_input)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*plan_filters)(conv_job *) noexcept nogil
        void (*filters)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*sum_filters)(const void *, Py_ssize_t, void *) noexcept nogil

    ctypedef struct conv_kernels:
        conv_methods f32, f64
        Py_ssize_t panel_f32, panel_f64

    const conv_kernels *CONV_KERNELS(int level) nogil

cdef const conv_kernels *KERNELS = CONV_KERNELS(LEVEL)

# Input channels up to which they are laid out one by one: more are packed faster, many pixels' at a time.
cdef Py_ssize_t MAX_DIRECT_CHANNELS = 4

include "geometry.pxi"


cdef const conv_methods *methods(int real) noexcept:
    return &KERNELS.f32 if real == cnp.NPY_FLOAT32 else &KERNELS.f64


cdef int schedule_forward(Operation operation, conv_job *job, int real) except -1:
    cdef const conv_methods *kernels = methods(real)
    if job.oh == 0 or job.ow == 0 or job.m == 0:
        return 0  # there is nothing to set
    kernels.plan_forward(job)
    job.packed = operation.owned(job.packed_bytes, "packed filters")
    operation.needs_scratch(job.scratch_bytes)
    operation.work = work_of(job, real)
    operation.add_phase(kernels.pack_forward, job, job.n_packed)
    operation.add_phase(kernels.forward, job, job.n_parts)
    return 0


cdef int schedule_filters(Operation operation, conv_job *job, int real) except -1:
    cdef const conv_methods *kernels = methods(real)
    kernels.plan_filters(job)
    job.partial = operation.owned(job.partial_bytes, "gradients to filters")
    operation.needs_scratch(job.scratch_bytes)
    operation.work = work_of_maxima(job, real)
    operation.add_phase(kernels.filters, job, job.n_parts)
    operation.add_phase(kernels.sum_filters, job, job.n_sum_parts)
    return 0


def forward(X, W, bias, out, geometry, activation="linear"):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    cdef conv_job *job = new_job(operation, real, X.shape, W.shape, out.shape, geometry, None)
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    job.relu = activation == "relu"
    set_layer(operation, job, real, X, W, bias)
    job.out = operation.writes(out, real, "out", (job.n, job.oh, job.ow, job.m))
    set_forward_class(operation, job)
    schedule_forward(operation, job, real)
    return operation


def forward_max_pooled(X, W, bias, out, argmax, geometry, window):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    cdef conv_job *job = new_job(operation, real, X.shape, W.shape, out.shape, geometry, window)
    set_layer(operation, job, real, X, W, bias)
    pooled = (job.n, job.oh // job.window_h, job.ow // job.window_w, job.m)
    job.out = operation.writes(out, real, "out", pooled)
    job.argmax = <uint8_t *> operation.writes(argmax, cnp.NPY_UINT8, "argmax", pooled)
    set_forward_class(operation, job)
    schedule_forward(operation, job, real)
    return operation


def gradient_input(dout, W, dX, geometry):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(dout, "dout")
    cdef conv_job *job = new_job(operation, real, dX.shape, W.shape, dout.shape, geometry, None)
    cdef const conv_methods *kernels = methods(real)
    job.dout = operation.reads(dout, real, "dout", (job.n, job.oh, job.ow, job.m))
    job.filters = operation.reads(W, real, "W", (job.kh, job.kw, job.c // job.groups, job.m))
    job.dx = operation.writes(dX, real, "dX", (job.n, job.h, job.w, job.c))
    if job.method == CONV_DIRECT:
        job.method = CONV_IMPLICIT
    set_gradient_classes(operation, job, KERNELS.panel_f32 if real == cnp.NPY_FLOAT32 else KERNELS.panel_f64)
    kernels.plan_input(job)
    job.packed = operation.owned(job.packed_bytes, "packed filters")
    operation.needs_scratch(job.scratch_bytes)
    operation.work = work_of(job, real)
    operation.add_phase(kernels.pack_input, job, job.n_packed)
    operation.add_phase(kernels.input, job, job.n_parts)
    return operation


def gradient_input_max_pooled(dout, out, argmax, W, dX, geometry, window):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(dout, "dout")
    cdef conv_job *job = new_job(operation, real, dX.shape, W.shape, dout.shape, geometry, window)
    cdef const conv_methods *kernels = methods(real)
    set_maxima(operation, job, real, dout, out, argmax)
    job.filters = operation.reads(W, real, "W", (job.kh, job.kw, job.c // job.groups, job.m))
    job.dx = operation.writes(dX, real, "dX", (job.n, job.h, job.w, job.c))
    kernels.plan_maxima_input(job)
    job.packed = operation.owned(job.packed_bytes, "packed filters")
    operation.needs_scratch(job.scratch_bytes)
    operation.work = work_of_maxima(job, real)
    operation.add_phase(kernels.pack_maxima_input, job, job.n_packed)
    operation.add_phase(kernels.maxima_input, job, job.n_parts)
    return operation


def gradient_filters(X, dout, dW, dbias, geometry):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    cdef conv_job *job = new_job(operation, real, X.shape, dW.shape, dout.shape, geometry, None)
    set_gradients(operation, job, real, X, dW, dbias)
    job.dout = operation.reads(dout, real, "dout", (job.n, job.oh, job.ow, job.m))
    schedule_filters(operation, job, real)
    return operation


def gradient_filters_max_pooled(X, dout, out, argmax, dW, dbias, geometry, window):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    cdef conv_job *job = new_job(operation, real, X.shape, dW.shape, dout.shape, geometry, window)
    set_gradients(operation, job, real, X, dW, dbias)
    set_maxima(operation, job, real, dout, out, argmax)
    schedule_filters(operation, job, real)
    return operation
