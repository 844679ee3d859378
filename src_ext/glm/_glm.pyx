"""Binding of the passes for generalised linear models: arrays in, one C job out, its rows shared among threads."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free
from posix.stdlib cimport posix_memalign
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cpu._runtime import LEVEL
from fastml.kernels.glm_data import LOSSES, MODEL

cnp.import_array()

include "../linear/linear_binding.pxi"

ctypedef double (*custom_function)(double, double) noexcept nogil

cdef extern from "glm.h":
    ctypedef struct glm_model:
        int64_t positive_class

    ctypedef struct glm_job:
        linear_data x
        const double *target
        const double *weight
        const glm_model *models
        const int64_t *active
        Py_ssize_t n_active
        int loss, n_columns
        int pass_ "pass"
        double epsilon
        custom_function custom_value
        custom_function custom_derivative
        custom_function custom_second_derivative
        const double *weights
        double *gradient
        double *value
        void *prediction
        void *margins
        double *hessian
        int n_shares
        void *scratch

    ctypedef struct glm_passes:
        size_t (*scratch)(const glm_job *) noexcept nogil
        void (*pack)(const glm_job *) noexcept nogil
        void (*run)(const glm_job *, int share) noexcept nogil
        void (*reduce)(const glm_job *) noexcept nogil
        size_t (*hessian_scratch)(const glm_job *) noexcept nogil
        void (*hessian_run)(const glm_job *, int share) noexcept nogil

    ctypedef struct glm_kernels:
        const glm_passes *passes[6]

    ctypedef struct glm_queue:
        pass

    void glm_begin(glm_queue *queue, const glm_passes *passes, const glm_job *job) nogil
    void glm_work(glm_queue *queue) noexcept nogil

    const glm_kernels *GLM_KERNELS(int level) nogil

cdef enum Pass:
    EVALUATE
    HESSIAN_PRODUCT
    MARGINS

if MODEL.itemsize != sizeof(glm_model):
    raise ImportError("The compiled kernels are not of this version of fastml.kernels.glm_data; build them again.")

cdef const glm_kernels *KERNELS = GLM_KERNELS(LEVEL)

cdef dict LOSS_CODES = {name: code for code, name in enumerate(LOSSES)}
cdef int CUSTOM = len(LOSSES)
cdef int MULTINOMIAL = LOSS_CODES["multinomial"]
cdef int SQUARED_ERROR = LOSS_CODES["squared_error"]


# Shares of dense rows for each thread, if each has so many rows: its sums are as many numbers as a few rows'.
cdef int SHARES_PER_THREAD = 4
cdef Py_ssize_t LEAST_ROWS_PER_SHARE = 1000


cdef void work(void *queue, int thread, int n_threads) noexcept nogil:
    glm_work(<glm_queue *> queue)


cdef int shares_of(const glm_job *job, int n_threads) noexcept:
    if job.hessian != NULL or job.x.indptr != NULL:
        return n_threads
    return n_threads * <int> max(1, min(SHARES_PER_THREAD, job.x.n_rows // (LEAST_ROWS_PER_SHARE * n_threads)))


cdef void *matrix_of(array, int type_number, Py_ssize_t n_rows, Py_ssize_t n_columns, str name) except? NULL:
    """Data of a matrix of that shape, as ``checked``."""
    if array.shape != (n_rows, n_columns):
        raise ValueError(f"{name} must be of shape ({n_rows}, {n_columns}); got {array.shape}.")
    return checked(array, type_number, n_rows * n_columns, name)


cdef int take_rows(data, models, glm_job *job) except -1:
    """Targets, weights and models; every row of a table that a model names is there."""
    cdef Py_ssize_t n_rows = job.x.n_rows
    cdef cnp.ndarray target = data.target
    if cnp.PyArray_TYPE(target) == cnp.NPY_INT32:
        if data.target.shape != (n_rows,):
            raise ValueError(f"target must have one code for each of the {n_rows} rows; got shape {data.target.shape}.")
        job.x.label = <const int32_t *> checked(target, cnp.NPY_INT32, n_rows, "target")
    else:
        if target.ndim != 2:
            raise ValueError(f"target must be a table with a row per target; got {target.ndim}-d.")
        job.target = <const double *> matrix_of(target, cnp.NPY_FLOAT64, len(target), n_rows, "target")
        if len(models) and not 0 <= models["target"].min() <= models["target"].max() < len(target):
            raise ValueError(f"A model's target must be in [0, {len(target)}).")
    n_weightings = 0
    if data.weight is not None:
        n_weightings = len(data.weight)
        job.weight = <const double *> matrix_of(data.weight, cnp.NPY_FLOAT64, n_weightings, n_rows, "weight")
    if len(models) and not -1 <= models["weighting"].min() <= models["weighting"].max() < n_weightings:
        raise ValueError(f"A model's weighting must be -1 or in [0, {n_weightings}).")
    return 0


cdef int take_rule(rule, glm_job *job, bint curvature) except -1:
    job.n_columns = rule.n_columns
    job.epsilon = rule.epsilon
    if isinstance(rule.loss, str):
        job.loss = LOSS_CODES[rule.loss]
    else:
        job.loss = CUSTOM
        if curvature:
            job.custom_second_derivative = <custom_function> <uintptr_t> rule.loss.second_derivative_address
        else:
            job.custom_value = <custom_function> <uintptr_t> rule.loss.value_address
            job.custom_derivative = <custom_function> <uintptr_t> rule.loss.derivative_address
    if job.n_columns < 1 or (job.loss != MULTINOMIAL and job.n_columns != 1):
        raise ValueError(f"n_columns must be 1, or at least 1 for 'multinomial'; got {rule.n_columns}.")
    if job.loss == MULTINOMIAL and job.x.label == NULL:
        raise TypeError("The targets of 'multinomial' must be int32 class codes.")
    return 0


cdef int run(const glm_passes *passes, glm_job *job, int n_threads) except -1:
    """Allocate, and pass over the rows."""
    cdef glm_queue queue
    cdef int reserved
    cdef size_t size
    job.n_shares = shares_of(job, n_threads)
    glm_begin(&queue, passes, job)
    size = passes.scratch(job) if job.hessian == NULL else passes.hessian_scratch(job)
    if posix_memalign(&job.scratch, 64, size):
        raise MemoryError(f"{size} bytes for the sums of {job.n_active} models")
    with nogil:
        if job.hessian == NULL:
            passes.pack(job)
        reserved = _runtime.reserve(n_threads, n_threads)
        _runtime.fork_join(work, &queue, n_threads, reserved)
        _runtime.release(reserved)
        if job.hessian == NULL:
            passes.reduce(job)
        free(job.scratch)
    return 0


cdef const glm_passes *begin(glm_job *job, X) except NULL:
    """A job with X and nothing else."""
    job.target = job.weight = NULL
    job.models = NULL
    job.loss = SQUARED_ERROR
    job.n_columns = 1
    job.epsilon = 0.0
    job.custom_value = job.custom_derivative = job.custom_second_derivative = NULL
    job.weights = NULL
    job.gradient = job.value = job.hessian = NULL
    job.prediction = job.margins = NULL
    return KERNELS.passes[<int> matrix(X, &job.x)]


cdef int type_of(X) noexcept:
    return cnp.PyArray_TYPE(<cnp.ndarray> (X.data if isinstance(X, CSR) else X))


cdef cnp.ndarray take_models(data, rule, models, prediction, int which, glm_job *job):
    """All that is not weights; returns the numbers of the active models, which the job points to."""
    cdef cnp.ndarray active
    if models.dtype != MODEL or models.ndim != 1 or not models.flags.c_contiguous:
        raise TypeError("models must be a contiguous table of the dtype MODEL.")
    take_rows(data, models, job)
    take_rule(rule, job, which == HESSIAN_PRODUCT)
    job.pass_ = which
    job.models = <const glm_model *> cnp.PyArray_DATA(<cnp.ndarray> models)
    if prediction is not None:
        job.prediction = matrix_of(
            prediction, type_of(data.X), len(models) * job.n_columns, job.x.n_rows, "prediction")
    elif which == HESSIAN_PRODUCT and job.loss != SQUARED_ERROR:
        raise ValueError("Only the Hessian of 'squared_error' needs no prediction.")
    active = np.flatnonzero(models["active"]).astype(np.int64)
    job.active = <const int64_t *> cnp.PyArray_DATA(active)
    job.n_active = len(active)
    return active


def evaluate(data, rule, models, weights, value, gradient, prediction, int n_threads):
    """See ``fastml.kernels.reference.glm.evaluate``."""
    cdef glm_job job
    cdef const glm_passes *passes = begin(&job, data.X)
    active = take_models(data, rule, models, prediction, EVALUATE, &job)
    n_columns, n_weights = len(models) * job.n_columns, job.x.n_features + 1
    job.weights = <const double *> matrix_of(weights, cnp.NPY_FLOAT64, n_columns, n_weights, "weights")
    if gradient is not None:
        job.gradient = <double *> matrix_of(gradient, cnp.NPY_FLOAT64, n_columns, n_weights, "gradient")
    job.value = <double *> checked(value, cnp.NPY_FLOAT64, len(models), "value")
    run(passes, &job, n_threads)


def hessian_product(data, rule, models, prediction, vectors, out, int n_threads):
    """See ``fastml.kernels.reference.glm.hessian_product``."""
    cdef glm_job job
    cdef const glm_passes *passes = begin(&job, data.X)
    active = take_models(data, rule, models, prediction, HESSIAN_PRODUCT, &job)
    n_columns, n_weights = len(models) * job.n_columns, job.x.n_features + 1
    job.weights = <const double *> matrix_of(vectors, cnp.NPY_FLOAT64, n_columns, n_weights, "vectors")
    job.gradient = <double *> matrix_of(out, cnp.NPY_FLOAT64, n_columns, n_weights, "out")
    run(passes, &job, n_threads)


def hessian(data, rule, models, prediction, out, int n_threads):
    """See ``fastml.kernels.reference.glm.hessian``."""
    cdef glm_job job
    cdef const glm_passes *passes = begin(&job, data.X)
    if len(models) != 1:
        raise ValueError(f"The Hessian is one model's; got {len(models)} models.")
    active = take_models(data, rule, models, prediction, HESSIAN_PRODUCT, &job)
    size = job.n_columns * (job.x.n_features + 1)
    job.hessian = <double *> matrix_of(out, cnp.NPY_FLOAT64, size, size, "out")
    out.fill(0.0)
    run(passes, &job, n_threads)


def margins(X, weights, out, int n_threads):
    """See ``fastml.kernels.reference.glm.margins``."""
    cdef glm_job job
    cdef const glm_passes *passes = begin(&job, X)
    cdef cnp.ndarray active = np.arange(len(weights), dtype=np.int64)
    job.pass_ = MARGINS
    job.weights = <const double *> matrix_of(
        weights, cnp.NPY_FLOAT64, len(weights), job.x.n_features + 1, "weights")
    job.margins = matrix_of(out, type_of(X), job.x.n_rows, len(weights), "out")
    job.active = <const int64_t *> cnp.PyArray_DATA(active)
    job.n_active = len(active)
    run(passes, &job, n_threads)


include "moments.pxi"
