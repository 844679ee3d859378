# Binding of gather.h.

cdef extern from "gather.h":
    ctypedef struct gather_job:
        const void *x
        const int64_t *rows
        void *out
        Py_ssize_t n, width, rows_per_part
        double scale, offset

    ctypedef struct gather_kernels:
        _runtime.part_function copy
        _runtime.part_function convert[3][2]

    const gather_kernels *GATHER_KERNELS(int level) nogil

cdef const gather_kernels *GATHER = GATHER_KERNELS(LEVEL)

# In the order of gather_kernels.convert.
_CONVERTED = [np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)]


def rows(X, rows, out, scale=1.0, offset=0.0):
    cdef Operation operation = Operation()
    cdef gather_job *job = <gather_job *> operation.owned(sizeof(gather_job), "a job")
    cdef bint copies = X.dtype == out.dtype and scale == 1.0 and offset == 0.0
    cdef Py_ssize_t width = 1
    if X.dtype.hasobject or not copies and (X.dtype not in _CONVERTED or out.dtype not in _CONVERTED[1:]):
        raise TypeError(f"Elements of {X.dtype} can't be converted to {out.dtype}.")
    if X.ndim == 0:
        raise ValueError("X must have rows; it is a scalar.")
    for size in X.shape[1:]:
        width *= size
    job.n, job.width = len(rows), width * X.itemsize if copies else width
    job.rows_per_part = rows_per_part(width)
    job.scale, job.offset = real(scale, "scale"), real(offset, "offset")
    job.x = operation.reads(X, cnp.PyArray_TYPE(<cnp.ndarray?> X), "X", X.shape)
    job.rows = <const int64_t *> operation.reads(rows, cnp.NPY_INT64, "rows", (job.n,))
    job.out = operation.writes(out, cnp.PyArray_TYPE(<cnp.ndarray?> out), "out", (job.n, *X.shape[1:]))
    operation.work = STREAM * job.n * width
    operation.add_phase(
        GATHER.copy if copies
        else GATHER.convert[<int> _CONVERTED.index(X.dtype)][<int> _CONVERTED.index(out.dtype) - 1],
        job,
        parts_of(job.n, job.rows_per_part),
    )
    return operation
