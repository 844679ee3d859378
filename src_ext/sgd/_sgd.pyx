"""Binding of the SGD kernels: arrays in, one C job out, its models shared among threads."""

cimport numpy as cnp
from libc.math cimport fmin, isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uintptr_t
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml.kernels.cpu._runtime import LEVEL
from fastml._csr import CSR
from fastml.kernels.sgd_state import LOSSES, MODEL, PENALTIES, PROGRESS, SCHEDULES

cnp.import_array()

ctypedef double (*custom_function)(double, double) noexcept nogil

cdef extern from "sgd.h":
    ctypedef struct sgd_model:
        int64_t positive_class

    ctypedef struct sgd_progress:
        double intercept, loss, objective, finite

    ctypedef struct sgd_job:
        const void *data
        const void *indices
        const void *indptr
        Py_ssize_t n_features
        const int32_t *label
        const double *value
        const double *sample_weight
        const int32_t *order
        Py_ssize_t n_steps
        Py_ssize_t segment
        const int32_t *ahead_order
        int share, n_shares
        Py_ssize_t coef_stride
        void *coef
        void *average_coef
        void *applied_l1
        const sgd_model *models
        sgd_progress *progress
        int loss, penalty, schedule, fit_intercept, one_class, record
        double average, intercept_decay
        custom_function custom_value
        custom_function custom_derivative

    ctypedef void (*sgd_run)(const sgd_job *, const int32_t *, Py_ssize_t) noexcept nogil
    ctypedef void (*sgd_fold)(const sgd_job *, Py_ssize_t) noexcept nogil

    ctypedef struct sgd_kernels:
        sgd_run dense_f32, dense_f64, csr_f32_i32, csr_f32_i64, csr_f64_i32, csr_f64_i64
        sgd_fold fold_f32, fold_f64

    const sgd_kernels *SGD_KERNELS(int level) nogil
    void sgd_shuffle(int32_t *order, Py_ssize_t n, uint32_t seed) noexcept nogil

cdef extern from "stream.h":
    ctypedef struct sgd_layout:
        size_t real_size, index_size
        Py_ssize_t n_rows, n_values

    Py_ssize_t sgd_segment(const sgd_job *, const sgd_layout *) noexcept nogil
    bint sgd_stream_pays(const sgd_job *, const sgd_layout *) noexcept nogil
    void sgd_run_streamed(
        sgd_run run, const sgd_job *, const sgd_layout *, const int32_t *active, Py_ssize_t n_active,
        _runtime.fork_join_function fork_join
    ) noexcept nogil

# The C structs are these dtypes, field by field.
if MODEL.itemsize != sizeof(sgd_model) or PROGRESS.itemsize != sizeof(sgd_progress):
    raise ImportError("The compiled kernels are not of this version of fastml.kernels.sgd_state; build them again.")

cdef const sgd_kernels *KERNELS = SGD_KERNELS(LEVEL)

cdef dict LOSS_CODES = {name: code for code, name in enumerate(LOSSES)}
cdef dict PENALTY_CODES = {name: code for code, name in enumerate(PENALTIES)}
cdef dict SCHEDULE_CODES = {name: code for code, name in enumerate(SCHEDULES)}
cdef int CUSTOM = len(LOSSES)


cdef cnp.ndarray checked(array, int type_number, str name):
    """The array, if it is C-contiguous and of the type that the C code will read it as."""
    cdef cnp.ndarray checked_array = array
    if (
        not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked_array), type_number)
        or not cnp.PyArray_IS_C_CONTIGUOUS(checked_array)
    ):
        expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
        raise TypeError(f"{name} must be C-contiguous of {expected}; got {checked_array.dtype}.")
    return checked_array


cdef void *records(array, dtype, Py_ssize_t n_models, str name) except? NULL:
    """Data of a table that has a record for each model."""
    if array.dtype != dtype or array.shape != (n_models,) or not array.flags.c_contiguous:
        raise TypeError(f"{name} must hold {n_models} records of its dtype, contiguous; got shape {array.shape}.")
    return cnp.PyArray_DATA(<cnp.ndarray> array)


cdef struct Shared:
    sgd_run run
    const sgd_job *job
    const int32_t *active
    Py_ssize_t n_active


cdef void run_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Shared *shared = <Shared *> context
    cdef Py_ssize_t first = shared.n_active * share // n_shares
    cdef Py_ssize_t last = shared.n_active * (share + 1) // n_shares
    cdef sgd_job job = shared.job[0]
    job.share = share
    job.n_shares = n_shares
    shared.run(&job, shared.active + first, last - first)


cdef void *weights(array, cnp.ndarray coef, str name) except? NULL:
    """Data of an array that is laid out as coef is, each row contiguous."""
    cdef cnp.ndarray like_coef = array
    if (
        cnp.PyArray_TYPE(like_coef) != cnp.PyArray_TYPE(coef)
        or like_coef.ndim != 2
        or like_coef.shape[0] != coef.shape[0]
        or like_coef.shape[1] != coef.shape[1]
        or (like_coef.shape[1] > 1 and like_coef.strides[1] != like_coef.itemsize)
        or (like_coef.shape[0] > 1 and like_coef.strides[0] != coef.strides[0])
    ):
        raise TypeError(f"{name} must be laid out as coef is, and coef by contiguous rows.")
    return cnp.PyArray_DATA(like_coef)


cdef sgd_job state_job(state) except *:
    """The part of a job that the state's arrays make up."""
    cdef sgd_job job
    cdef cnp.ndarray coef = state.coef
    if cnp.PyArray_TYPE(coef) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64) or coef.ndim != 2:
        raise TypeError(f"coef must be a matrix of float32 or float64; got {coef.dtype}, {coef.ndim}-d.")
    job.n_features = coef.shape[1]
    job.coef_stride = coef.strides[0] // coef.itemsize
    job.coef = weights(coef, coef, "coef")
    job.average_coef = job.applied_l1 = NULL
    if state.average_coef is not None:
        job.average_coef = weights(state.average_coef, coef, "average_coef")
    if state.applied_l1 is not None:
        job.applied_l1 = weights(state.applied_l1, coef, "applied_l1")
    job.models = <const sgd_model *> records(state.models, MODEL, coef.shape[0], "models")
    job.progress = <sgd_progress *> records(state.progress, PROGRESS, coef.shape[0], "progress")
    return job


cdef struct Call:
    sgd_job job
    sgd_layout layout
    Shared shared


cdef int set_up(Call *call, X, target, sample_weight, order, state, rule) except -1:
    """Fill in the call, which must stay where it is, with pointers into the arrays, once these are checked."""
    cdef sgd_job *job = &call.job
    cdef Shared *shared = &call.shared
    cdef int real = cnp.PyArray_TYPE(<cnp.ndarray> state.coef)
    cdef bint single = real == cnp.NPY_FLOAT32
    cdef int index = cnp.NPY_INT32

    job[0] = state_job(state)
    if X.shape[1] != job.n_features:
        raise ValueError(f"X has {X.shape[1]} features, but the models have {job.n_features}.")
    if target.shape != X.shape[:1] or (sample_weight is not None and sample_weight.shape != X.shape[:1]):
        raise ValueError(f"target and sample_weight must have one element for each of the {X.shape[0]} rows of X.")
    if isinstance(X, CSR):
        index = cnp.PyArray_TYPE(<cnp.ndarray> X.indices)
        job.data = cnp.PyArray_DATA(checked(X.data, real, "X.data"))
        job.indices = cnp.PyArray_DATA(checked(X.indices, index, "X.indices"))
        job.indptr = cnp.PyArray_DATA(checked(X.indptr, index, "X.indptr"))
        if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT32):
            shared.run = KERNELS.csr_f32_i32 if single else KERNELS.csr_f64_i32
        elif cnp.PyArray_EquivTypenums(index, cnp.NPY_INT64):
            shared.run = KERNELS.csr_f32_i64 if single else KERNELS.csr_f64_i64
        else:
            raise TypeError(f"X.indices must be int32 or int64; got {X.indices.dtype}.")
    else:
        job.data = cnp.PyArray_DATA(checked(X, real, "X"))
        job.indices = job.indptr = NULL
        shared.run = KERNELS.dense_f32 if single else KERNELS.dense_f64

    job.label = NULL
    job.value = NULL
    if cnp.PyArray_TYPE(<cnp.ndarray> target) == cnp.NPY_INT32:
        job.label = <const int32_t *> cnp.PyArray_DATA(checked(target, cnp.NPY_INT32, "target"))
    else:
        job.value = <const double *> cnp.PyArray_DATA(checked(target, cnp.NPY_FLOAT64, "target"))
    job.sample_weight = NULL
    if sample_weight is not None:
        job.sample_weight = <const double *> cnp.PyArray_DATA(
            checked(sample_weight, cnp.NPY_FLOAT64, "sample_weight"))
    job.order = <const int32_t *> cnp.PyArray_DATA(checked(order, cnp.NPY_INT32, "order"))
    job.n_steps = (<cnp.ndarray> order).shape[0]
    job.ahead_order = NULL
    job.share = 0
    job.n_shares = 1

    job.custom_value = job.custom_derivative = NULL
    if isinstance(rule.loss, str):
        job.loss = LOSS_CODES[rule.loss]
    else:
        job.loss = CUSTOM
        job.custom_value = <custom_function> <uintptr_t> rule.loss.value_address
        job.custom_derivative = <custom_function> <uintptr_t> rule.loss.derivative_address
    job.penalty = PENALTY_CODES[rule.penalty]
    job.schedule = SCHEDULE_CODES[rule.schedule]
    job.average = rule.average
    job.fit_intercept = rule.fit_intercept
    job.one_class = rule.one_class
    job.intercept_decay = rule.intercept_decay
    job.record = rule.record

    shared.job = job
    shared.active = <const int32_t *> cnp.PyArray_DATA(checked(state.active, cnp.NPY_INT32, "active"))
    shared.n_active = (<cnp.ndarray> state.active).shape[0]
    call.layout.real_size = 4 if single else 8
    call.layout.index_size = 0 if job.indices == NULL else X.indices.itemsize
    call.layout.n_rows = X.shape[0]
    call.layout.n_values = call.layout.n_rows * job.n_features if job.indices == NULL else (<cnp.ndarray> X.data).shape[0]
    job.segment = sgd_segment(job, &call.layout)
    return 0


cdef void take_steps(Call *call, int n_threads) noexcept nogil:
    cdef Shared *shared = &call.shared
    # One model is one chain of steps: the second thread can only bring its rows.
    cdef bint streams = shared.n_active == 1 and n_threads > 1 and sgd_stream_pays(&call.job, &call.layout)
    cdef int n_shares = <int> min(<Py_ssize_t> n_threads, shared.n_active)
    cdef int reserved = _runtime.reserve(2 if streams else n_shares, n_threads)
    if streams and reserved == 2:
        sgd_run_streamed(shared.run, &call.job, &call.layout, shared.active, 1, _runtime.fork_join)
    else:
        _runtime.fork_join(run_share, shared, n_shares, reserved)
    _runtime.release(reserved)


def epoch(X, target, sample_weight, order, state, rule, int n_threads):
    """See ``fastml.kernels.reference.sgd.epoch``; ``n_threads`` share the models."""
    cdef Call call
    set_up(&call, X, target, sample_weight, order, state, rule)
    with nogil:
        take_steps(&call, n_threads)


cdef bint all_finite(const sgd_job *job, Py_ssize_t n_models, bint single) noexcept nogil:
    cdef const sgd_progress *progress
    cdef Py_ssize_t k, j
    for k in range(n_models):
        progress = &job.progress[k]
        if not (isfinite(progress.intercept) and isfinite(progress.finite) and isfinite(progress.objective)):
            return False
        if single:
            for j in range(job.n_features):
                if not isfinite((<const float *> job.coef)[k * job.coef_stride + j]):
                    return False
        else:
            for j in range(job.n_features):
                if not isfinite((<const double *> job.coef)[k * job.coef_stride + j]):
                    return False
    return True


cdef struct Watched:
    double *best
    int64_t *no_improvement
    double tol
    int64_t n_iter_no_change


cdef bint may_have_learned(const Call *call, const Watched *watched) noexcept nogil:
    """Whether an active model is to be decided upon; if none is, what is watched is brought up to date."""
    cdef double n_rows = <double> call.job.n_steps
    cdef double figure
    cdef Py_ssize_t i
    cdef int32_t k
    for i in range(call.shared.n_active):
        k = call.shared.active[i]
        if (
            call.job.progress[k].objective / n_rows > watched.best[k] - watched.tol
            and watched.no_improvement[k] + 1 >= watched.n_iter_no_change
        ):
            return True
    for i in range(call.shared.n_active):
        k = call.shared.active[i]
        figure = call.job.progress[k].objective / n_rows
        watched.no_improvement[k] = (
            watched.no_improvement[k] + 1 if figure > watched.best[k] - watched.tol else 0
        )
        watched.best[k] = fmin(watched.best[k], figure)
    return False


def epochs(
    X, target, sample_weight, order, state, rule, Py_ssize_t n_epochs, seed, watch, int n_threads
):
    """See ``fastml.kernels.reference.sgd.epochs``; ``n_threads`` share the models."""
    cdef Call call
    cdef Watched watched
    cdef Py_ssize_t n_models = (<cnp.ndarray> state.coef).shape[0]
    cdef bint single = cnp.PyArray_TYPE(<cnp.ndarray> state.coef) == cnp.NPY_FLOAT32
    cdef bint shuffles = seed is not None
    cdef uint32_t permutation = seed if shuffles else 0
    cdef Py_ssize_t taken = 0, k

    set_up(&call, X, target, sample_weight, order, state, rule)
    if watch.best.shape != (n_models,) or watch.no_improvement.shape != (n_models,):
        raise ValueError(f"best and no_improvement must have one element for each of the {n_models} models.")
    watched.best = <double *> cnp.PyArray_DATA(checked(watch.best, cnp.NPY_FLOAT64, "best"))
    watched.no_improvement = <int64_t *> cnp.PyArray_DATA(
        checked(watch.no_improvement, cnp.NPY_INT64, "no_improvement"))
    watched.tol = watch.tol
    watched.n_iter_no_change = watch.n_iter_no_change
    with nogil:
        while True:
            if shuffles:
                sgd_shuffle(<int32_t *> call.job.order, call.job.n_steps, permutation)
            take_steps(&call, n_threads)
            taken += 1
            if taken >= n_epochs or not all_finite(&call.job, n_models, single):
                break
            if may_have_learned(&call, &watched):
                break
            for k in range(n_models):
                call.job.progress[k].loss = call.job.progress[k].objective = 0.0
    return taken


def fold(state):
    """See ``fastml.kernels.reference.sgd.fold``."""
    cdef sgd_job job = state_job(state)
    cdef sgd_fold fold_model = (
        KERNELS.fold_f32 if cnp.PyArray_TYPE(<cnp.ndarray> state.coef) == cnp.NPY_FLOAT32 else KERNELS.fold_f64
    )
    cdef Py_ssize_t n_models = (<cnp.ndarray> state.coef).shape[0]
    for k in range(n_models):
        fold_model(&job, k)


def shuffle(cnp.ndarray order, uint32_t seed):
    """See ``fastml.kernels.reference.sgd.shuffle``."""
    cdef int32_t *rows = <int32_t *> cnp.PyArray_DATA(checked(order, cnp.NPY_INT32, "order"))
    cdef Py_ssize_t n = order.shape[0]
    with nogil:
        sgd_shuffle(rows, n, seed)
