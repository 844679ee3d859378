# Binding of normalization.h.

cdef extern from "normalization.h":
    enum:
        N_COLUMNS

    ctypedef struct norm_job:
        const void *x
        const void *dout
        void *result
        const void *gamma
        const void *beta
        void *mean
        void *inverse_std
        void *moving_mean
        void *moving_variance
        void *dgamma
        void *dbeta
        double *sums
        double *columns
        double momentum, epsilon
        Py_ssize_t n, c, rows_per_part, n_parts

    ctypedef struct norm_functions:
        _runtime.part_function batch_moments, batch_statistics, apply
        _runtime.part_function infer_columns
        _runtime.part_function gradient_sums, gradient_columns, gradient_apply
        _runtime.part_function layer_forward, layer_gradient, layer_parameters

    ctypedef struct norm_kernels:
        norm_functions f32, f64

    const norm_kernels *NORM_KERNELS(int level) nogil

cdef const norm_kernels *NORM = NORM_KERNELS(LEVEL)

# Blocks of rows have sums of their own: no more than so many, nor of fewer elements than a part.
cdef Py_ssize_t MAX_SUM_BLOCKS = 64


cdef const norm_functions *norm_of(int type_number) noexcept:
    return &NORM.f32 if type_number == cnp.NPY_FLOAT32 else &NORM.f64


cdef norm_job *normalised(Operation operation, X, str name) except NULL:
    """The job of rows in blocks, its arrays not yet set."""
    cdef norm_job *job = <norm_job *> operation.owned(sizeof(norm_job), "a job")
    job.n, job.c = matrix(X, name)
    job.rows_per_part = max(rows_per_part(job.c), parts_of(job.n, MAX_SUM_BLOCKS))
    job.n_parts = parts_of(job.n, job.rows_per_part)
    operation.work = STREAM * job.n * job.c
    return job


cdef const void *given(Operation operation, array, int type_number, str name, Py_ssize_t size) except? NULL:
    if array is None:
        return <const void *> NULL
    return operation.reads(array, type_number, name, (size,))


cdef void *wanted(Operation operation, array, int type_number, str name, tuple shape) except? NULL:
    return NULL if array is None else operation.writes(array, type_number, name, shape)


cdef int own_sums(Operation operation, norm_job *job) except -1:
    job.sums = <double *> operation.owned(2 * job.n_parts * job.c * sizeof(double), "sums")
    job.columns = <double *> operation.owned(N_COLUMNS * job.c * sizeof(double), "columns")
    return 0


def batch_train(X, gamma, beta, out, mean, inverse_std, moving_mean, moving_variance, momentum, epsilon):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef norm_job *job = normalised(operation, X, "X")
    cdef const norm_functions *functions = norm_of(type_number)
    if job.n < 1:
        raise ValueError("A batch of no rows has no mean.")
    job.momentum, job.epsilon = real(momentum, "momentum"), real(epsilon, "epsilon")
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.gamma = given(operation, gamma, type_number, "gamma", job.c)
    job.beta = given(operation, beta, type_number, "beta", job.c)
    job.result = operation.writes(out, type_number, "out", X.shape)
    job.mean = operation.writes(mean, type_number, "mean", (job.c,))
    job.inverse_std = operation.writes(inverse_std, type_number, "inverse_std", (job.c,))
    job.moving_mean = operation.writes(moving_mean, type_number, "moving_mean", (job.c,))
    job.moving_variance = operation.writes(moving_variance, type_number, "moving_variance", (job.c,))
    own_sums(operation, job)
    operation.work *= 2.0
    operation.add_phase(functions.batch_moments, job, job.n_parts)
    operation.add_phase(functions.batch_statistics, job, 1)
    operation.add_phase(functions.apply, job, job.n_parts)
    return operation


def batch_infer(X, gamma, beta, moving_mean, moving_variance, epsilon, out):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef norm_job *job = normalised(operation, X, "X")
    job.epsilon = real(epsilon, "epsilon")
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.gamma = given(operation, gamma, type_number, "gamma", job.c)
    job.beta = given(operation, beta, type_number, "beta", job.c)
    job.moving_mean = <void *> operation.reads(moving_mean, type_number, "moving_mean", (job.c,))
    job.moving_variance = <void *> operation.reads(moving_variance, type_number, "moving_variance", (job.c,))
    job.result = operation.writes(out, type_number, "out", X.shape)
    own_sums(operation, job)
    operation.add_phase(norm_of(type_number).infer_columns, job, 1)
    operation.add_phase(norm_of(type_number).apply, job, job.n_parts)
    return operation


cdef norm_job *normalised_gradient(
    Operation operation, X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta, bint by_row
) except NULL:
    """The job of a gradient; mean and inverse_std have an element for each row, or for each column."""
    cdef int type_number = _runtime.real_type(X, "X")
    cdef norm_job *job = normalised(operation, X, "X")
    shape = X.shape
    of_what = (job.n if by_row else job.c,)
    job.x = operation.reads(X, type_number, "X", shape)
    job.dout = operation.reads(dout, type_number, "dout", shape)
    job.gamma = given(operation, gamma, type_number, "gamma", job.c)
    job.mean = <void *> operation.reads(mean, type_number, "mean", of_what)
    job.inverse_std = <void *> operation.reads(inverse_std, type_number, "inverse_std", of_what)
    job.result = wanted(operation, dX, type_number, "dX", shape)
    job.dgamma = wanted(operation, dgamma, type_number, "dgamma", (job.c,))
    job.dbeta = wanted(operation, dbeta, type_number, "dbeta", (job.c,))
    own_sums(operation, job)
    operation.work *= 2.0
    return job


def batch_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    cdef Operation operation = Operation()
    cdef const norm_functions *functions = norm_of(_runtime.real_type(X, "X"))
    cdef norm_job *job = normalised_gradient(
        operation, X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta, False)
    if job.n < 1:
        raise ValueError("A batch of no rows has no mean.")
    operation.add_phase(functions.gradient_sums, job, job.n_parts)
    operation.add_phase(functions.gradient_columns, job, 1)
    if dX is not None:
        operation.add_phase(functions.gradient_apply, job, job.n_parts)
    return operation


def layer_forward(X, gamma, beta, out, mean, inverse_std, epsilon):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef norm_job *job = normalised(operation, X, "X")
    if job.c < 1:
        raise ValueError("Rows of no columns have no mean.")
    job.epsilon = real(epsilon, "epsilon")
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.gamma = given(operation, gamma, type_number, "gamma", job.c)
    job.beta = given(operation, beta, type_number, "beta", job.c)
    job.result = operation.writes(out, type_number, "out", X.shape)
    job.mean = operation.writes(mean, type_number, "mean", (job.n,))
    job.inverse_std = operation.writes(inverse_std, type_number, "inverse_std", (job.n,))
    operation.add_phase(norm_of(type_number).layer_forward, job, job.n_parts)
    return operation


def layer_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    cdef Operation operation = Operation()
    cdef const norm_functions *functions = norm_of(_runtime.real_type(X, "X"))
    cdef norm_job *job = normalised_gradient(
        operation, X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta, True)
    operation.add_phase(functions.layer_gradient, job, job.n_parts)
    operation.add_phase(functions.layer_parameters, job, 1)
    return operation
