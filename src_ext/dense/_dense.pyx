"""Binding of dense layers: operations that are products of matrices."""

cimport numpy as cnp
from fastml.kernels.cpu cimport _runtime
from fastml.kernels.cpu._runtime cimport Operation

from fastml._config import effective_n_threads
from fastml.kernels.cpu._runtime import LEVEL

cnp.import_array()

cdef extern from "dense.h":
    ctypedef struct product_operand:
        const void *data
        Py_ssize_t stride
        bint by_depth

    ctypedef struct product_job:
        product_operand a, b
        Py_ssize_t n_rows, n_columns, depth
        void *out
        const void *bias
        bint relu
        void *sums_of_b
        Py_ssize_t n_threads, row_unit, column_unit
        Py_ssize_t n_pack_parts, n_parts, n_sum_parts
        size_t packed_bytes, partial_bytes, scratch_bytes
        void *packed
        void *partial

    ctypedef struct product_kernels:
        void (*plan)(product_job *) noexcept nogil
        void (*pack)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*run)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*sum)(const void *, Py_ssize_t, void *) noexcept nogil

    ctypedef struct dense_peak:
        Py_ssize_t n
        void *out

    ctypedef struct dense_kernels:
        product_kernels f32, f64
        void (*peak_f32)(const void *, Py_ssize_t, void *) noexcept nogil
        void (*peak_f64)(const void *, Py_ssize_t, void *) noexcept nogil
        Py_ssize_t peak_width_f32, peak_width_f64

    const dense_kernels *DENSE_KERNELS(int level) nogil

cdef const dense_kernels *KERNELS = DENSE_KERNELS(LEVEL)

cdef bint BY_ROW = False, BY_DEPTH = True


cdef product_operand operand(const void *data, Py_ssize_t stride, bint by_depth) noexcept:
    cdef product_operand lying
    lying.data, lying.stride, lying.by_depth = data, stride, by_depth
    return lying


cdef int schedule(Operation operation, product_job *job, int real) except -1:
    """The phases of a product whose operands are set."""
    cdef const product_kernels *kernels = &KERNELS.f32 if real == cnp.NPY_FLOAT32 else &KERNELS.f64
    job.n_threads = effective_n_threads()
    kernels.plan(job)
    if job.partial_bytes:
        job.partial = operation.owned(job.partial_bytes, "partial products")
    if job.packed_bytes:
        job.packed = operation.owned(job.packed_bytes, "a packed operand")
    operation.needs_scratch(job.scratch_bytes)
    operation.work = <double> job.n_rows * job.n_columns * max(job.depth, 1) * (1 if real == cnp.NPY_FLOAT32 else 2)
    operation.add_phase(kernels.pack, job, job.n_pack_parts)
    operation.main = operation.n_phases
    operation.add_phase(kernels.run, job, job.n_parts)
    operation.add_phase(kernels.sum, job, job.n_sum_parts)
    return 0


cdef product_job *new_job(Operation operation, Py_ssize_t n_rows, Py_ssize_t n_columns, Py_ssize_t depth) except NULL:
    cdef product_job *job = <product_job *> operation.owned(sizeof(product_job), "a product")
    job.n_rows, job.n_columns, job.depth = n_rows, n_columns, depth
    return job


cdef tuple sizes(rows, weights, str names):
    """n, d, m of two matrices that share a size."""
    if rows.ndim != 2 or weights.ndim != 2:
        raise ValueError(f"{names} must be matrices; got shapes {rows.shape} and {weights.shape}.")
    return rows.shape + weights.shape


def forward(X, W, bias, out, activation="linear"):
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    n, d, _, m = sizes(X, W, "X and W")
    cdef product_job *job = new_job(operation, n, m, d)
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    job.a = operand(operation.reads(X, real, "X", (n, d)), d, BY_ROW)
    job.b = operand(operation.reads(W, real, "W", (d, m)), m, BY_DEPTH)
    if bias is not None:
        job.bias = operation.reads(bias, real, "bias", (m,))
    job.out = operation.writes(out, real, "out", (n, m))
    job.relu = activation == "relu"
    schedule(operation, job, real)
    return operation


def gradient_input(dout, W, dX, *, unit=0):
    """unit: of how many columns of dX each part is, for ``Operation.joined``; a multiple of 32. 0: any."""
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(dout, "dout")
    n, m, d, _ = sizes(dout, W, "dout and W")
    cdef product_job *job = new_job(operation, n, d, m)
    job.a = operand(operation.reads(dout, real, "dout", (n, m)), m, BY_ROW)
    job.b = operand(operation.reads(W, real, "W", (d, m)), m, BY_ROW)
    job.out = operation.writes(dX, real, "dX", (n, d))
    job.column_unit = unit
    schedule(operation, job, real)
    return operation


def gradient_weights(X, dout, dW, dbias, *, unit=0):
    """unit: of how many rows of dW each part is, for ``Operation.joined``. 0: any."""
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(X, "X")
    n, d, _, m = sizes(X, dout, "X and dout")
    cdef product_job *job = new_job(operation, d, m, n)
    job.a = operand(operation.reads(X, real, "X", (n, d)), d, BY_DEPTH)
    job.b = operand(operation.reads(dout, real, "dout", (n, m)), m, BY_DEPTH)
    job.out = operation.writes(dW, real, "dW", (d, m))
    job.row_unit = unit
    if dbias is not None:
        job.sums_of_b = operation.writes(dbias, real, "dbias", (m,))
    schedule(operation, job, real)
    return operation


def multiply_adds(Py_ssize_t n, out):
    """At least n independent multiply-adds in registers for each element of out, as fast as can be: for benchmarks."""
    cdef Operation operation = Operation()
    cdef int real = _runtime.real_type(out, "out")
    cdef dense_peak *job = <dense_peak *> operation.owned(sizeof(dense_peak), "multiply-adds")
    job.n = n // (KERNELS.peak_width_f32 if real == cnp.NPY_FLOAT32 else KERNELS.peak_width_f64) + 1
    job.out = operation.writes(out, real, "out", (len(out),))
    operation.work = <double> n * len(out)
    operation.add_phase(KERNELS.peak_f32 if real == cnp.NPY_FLOAT32 else KERNELS.peak_f64, job, len(out))
    return operation
