# Binding of pool.h.

cdef extern from "pool.h":
    ctypedef struct pool_job:
        void *image
        void *pooled
        int32_t *argmax
        Py_ssize_t n, h, w, c, pooled_h, pooled_w
        Py_ssize_t window[2]
        Py_ssize_t strides[2]
        Py_ssize_t padding[2]
        Py_ssize_t rows_per_part

    ctypedef struct pool_functions:
        _runtime.part_function max_forward, max_gradient, average_forward, average_gradient

    ctypedef struct pool_kernels:
        pool_functions f32, f64

    const pool_kernels *POOL_KERNELS(int level) nogil

cdef const pool_kernels *POOL = POOL_KERNELS(LEVEL)


cdef const pool_functions *pool_of(int type_number) noexcept:
    return &POOL.f32 if type_number == cnp.NPY_FLOAT32 else &POOL.f64


cdef pool_job *pool_geometry(
    Operation operation, tuple image, tuple pooled, window, strides, padding
) except NULL:
    """The job, its arrays not yet set; checked: every window has an element of the image."""
    cdef pool_job *job = <pool_job *> operation.owned(sizeof(pool_job), "a job")
    cdef int axis
    if len(image) != 4 or len(pooled) != 4 or (image[0], image[3]) != (pooled[0], pooled[3]):
        raise ValueError(f"Images of shape {image} can't be pooled to shape {pooled}.")
    job.n, job.h, job.w, job.c = image
    job.pooled_h, job.pooled_w = pooled[1:3]
    for axis in range(2):
        job.window[axis], job.strides[axis], job.padding[axis] = window[axis], strides[axis], padding[axis]
        size, n_windows = image[1 + axis], pooled[1 + axis]
        if window[axis] < 1 or strides[axis] < 1 or not 0 <= padding[axis] < window[axis]:
            raise ValueError(
                f"window {window}, strides {strides}: must be positive; padding {padding}: smaller than the window."
            )
        if size < 1 or n_windows < 1 or (n_windows - 1) * strides[axis] - padding[axis] >= size:
            raise ValueError(
                f"Images of shape {image} don't have the windows of shape {pooled}: window {window}, "
                f"strides {strides}, padding {padding}."
            )
    if job.h * job.w * job.c >= 2**31:
        raise ValueError(f"An image of shape {image[1:]} has more elements than an int32 can count.")
    operation.work = STREAM * (
        job.n * job.c * (job.h * job.w + job.pooled_h * job.pooled_w * (1.0 + 0.2 * job.window[0] * job.window[1]))
    )
    return job


cdef int add_pooling(Operation operation, pool_job *job, _runtime.part_function part, bint gradient) except -1:
    job.rows_per_part = rows_per_part((job.w if gradient else job.pooled_w * job.window[0]) * job.c)
    return operation.add_phase(
        part, job, parts_of(job.n * (job.h if gradient else job.pooled_h), job.rows_per_part)
    )


def max_forward(X, out, argmax, window, strides, padding):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef pool_job *job = pool_geometry(operation, X.shape, out.shape, window, strides, padding)
    job.image = <void *> operation.reads(X, type_number, "X", X.shape)
    job.pooled = operation.writes(out, type_number, "out", out.shape)
    if argmax is not None:
        job.argmax = <int32_t *> operation.writes(argmax, cnp.NPY_INT32, "argmax", out.shape)
    add_pooling(operation, job, pool_of(type_number).max_forward, False)
    return operation


def max_gradient(dout, argmax, dX, window, strides, padding):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(dout, "dout")
    cdef pool_job *job = pool_geometry(operation, dX.shape, dout.shape, window, strides, padding)
    job.pooled = <void *> operation.reads(dout, type_number, "dout", dout.shape)
    job.argmax = <int32_t *> operation.reads(argmax, cnp.NPY_INT32, "argmax", dout.shape)
    job.image = operation.writes(dX, type_number, "dX", dX.shape)
    add_pooling(operation, job, pool_of(type_number).max_gradient, True)
    return operation


def average_forward(X, out, window, strides, padding):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef pool_job *job = pool_geometry(operation, X.shape, out.shape, window, strides, padding)
    job.image = <void *> operation.reads(X, type_number, "X", X.shape)
    job.pooled = operation.writes(out, type_number, "out", out.shape)
    add_pooling(operation, job, pool_of(type_number).average_forward, False)
    return operation


def average_gradient(dout, dX, window, strides, padding):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(dout, "dout")
    cdef pool_job *job = pool_geometry(operation, dX.shape, dout.shape, window, strides, padding)
    job.pooled = <void *> operation.reads(dout, type_number, "dout", dout.shape)
    job.image = operation.writes(dX, type_number, "dX", dX.shape)
    add_pooling(operation, job, pool_of(type_number).average_gradient, True)
    return operation
