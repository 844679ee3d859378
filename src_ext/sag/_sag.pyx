"""Binding of the SAG and SAGA kernels: models in, one C struct for each, shared among threads."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free, malloc
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cpu._runtime import LEVEL
from fastml.kernels.glm_data import LOSSES
from fastml.kernels.linear_data import PADDING
from fastml.kernels.sag_state import RECORD

cnp.import_array()

include "../linear/linear_binding.pxi"

ctypedef double (*custom_function)(double, double) noexcept nogil

cdef extern from "sag.h":
    int LOSS_POISSON, LOSS_MULTINOMIAL, LOSS_CUSTOM

    ctypedef struct sag_rule:
        int loss
        Py_ssize_t n_columns
        double epsilon
        custom_function custom_derivative

    ctypedef struct sag_record:
        int64_t positive_class

    ctypedef struct sag_model:
        sag_record *record
        const int32_t *rows
        const double *value
        const double *weight
        Py_ssize_t stride
        double *coef
        double *gradient_sum
        double *previous
        double *intercept
        double *intercept_gradient
        double *memory
        double *columns
        double *scratch

    Py_ssize_t sag_columns_size(Py_ssize_t n_features, Py_ssize_t n_columns) nogil
    Py_ssize_t sag_scratch_size(Py_ssize_t n_columns) nogil

    ctypedef void (*sag_advance)(const linear_data *, const sag_rule *, sag_model *, double work) noexcept nogil

    ctypedef struct sag_kernels:
        sag_advance dense_f32

    const sag_kernels *SAG_KERNELS(int level) nogil

if RECORD.itemsize != sizeof(sag_record):
    raise ImportError("The compiled kernels are not of this version of fastml.kernels.sag_state; build them again.")

# In the order of linear_binding's Variant.
cdef const sag_advance *ADVANCE = <const sag_advance *> SAG_KERNELS(LEVEL)
cdef dict LOSS_CODES = {name: code for code, name in enumerate(LOSSES)}


cdef struct Shared:
    sag_advance run
    const linear_data *data
    const sag_rule *rule
    sag_model *models
    double work
    linear_queue queue


cdef void run_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Shared *shared = <Shared *> context
    cdef Py_ssize_t k = linear_queue_take(&shared.queue)
    while k >= 0:
        shared.run(shared.data, shared.rule, &shared.models[k], shared.work)
        k = linear_queue_take(&shared.queue)


cdef sag_rule c_rule(rule) except *:
    cdef sag_rule converted
    converted.n_columns = rule.n_columns
    converted.epsilon = rule.epsilon
    converted.custom_derivative = NULL
    if isinstance(rule.loss, str):
        converted.loss = LOSS_CODES[rule.loss]
    else:
        converted.loss = LOSS_CUSTOM
        converted.custom_derivative = <custom_function> <uintptr_t> rule.loss.derivative_address
    if converted.loss == LOSS_POISSON:
        raise ValueError("poisson has no step size: its slope is not Lipschitz.")
    if rule.n_columns < 1 or (rule.n_columns > 1 and converted.loss != LOSS_MULTINOMIAL):
        raise ValueError(f"{rule.loss} has one column; got n_columns={rule.n_columns}.")
    return converted


cdef void point_targets(data, rule, linear_data *c_data) except *:
    """Class codes for all models, checked: C indexes by them."""
    target = data.target
    if cnp.PyArray_TYPE(<cnp.ndarray> target) == cnp.NPY_INT32:
        c_data.label = <const int32_t *> checked(target, cnp.NPY_INT32, c_data.n_rows, "target")
        if rule.loss == "multinomial" and target.size and not 0 <= target.min() <= target.max() < rule.n_columns:
            raise ValueError(f"target must be class codes from 0 to {rule.n_columns - 1}.")
    elif rule.loss == "multinomial":
        raise TypeError("multinomial needs int32 class codes as target.")
    else:
        checked(target, cnp.NPY_FLOAT64, 0, "target")
    if target.shape[target.ndim - 1] != c_data.n_rows:
        raise ValueError(f"target must have an element for each of the {c_data.n_rows} rows of X.")


cdef const double *row_of(table, Py_ssize_t row, Py_ssize_t n_rows, str name) except NULL:
    """Data of one row of a float64 table with a column for each row of X."""
    if table.ndim != 2 or table.shape[1] != n_rows or not 0 <= row < table.shape[0]:
        raise ValueError(f"{name} has no row {row} of {n_rows} elements: its shape is {table.shape}.")
    return <const double *> checked(table, cnp.NPY_FLOAT64, 0, name) + row * n_rows


cdef void point(model, sag_model *c_model, data, linear_data *c_data, Py_ssize_t K) except *:
    cdef Py_ssize_t stride = (c_data.n_features + PADDING - 1) // PADDING * PADDING
    if model.record.dtype != RECORD or model.record.shape != (1,):
        raise TypeError("record must be one record of the dtype RECORD.")
    record = model.record[0]
    c_model.record = <sag_record *> cnp.PyArray_DATA(<cnp.ndarray> model.record)
    c_model.rows = NULL
    n_draws = int(record["n_draws"])
    if not 0 < n_draws <= c_data.n_rows:
        raise ValueError(f"n_draws must be from 1 to the {c_data.n_rows} rows of X; got {n_draws}.")
    if model.rows is not None:
        c_model.rows = <const int32_t *> checked(model.rows, cnp.NPY_INT32, n_draws, "rows")
        if not 0 <= model.rows.min() <= model.rows.max() < c_data.n_rows:
            raise ValueError(f"rows must be of the {c_data.n_rows} rows of X.")
    c_model.value = c_model.weight = NULL
    if c_data.label == NULL:
        c_model.value = row_of(data.target, record["target"], c_data.n_rows, "target")
    if record["weighting"] >= 0:
        c_model.weight = row_of(data.weight, record["weighting"], c_data.n_rows, "weight")
    c_model.stride = stride
    c_model.coef = <double *> checked(model.coef, cnp.NPY_FLOAT64, K * stride, "coef")
    c_model.gradient_sum = <double *> checked(model.gradient_sum, cnp.NPY_FLOAT64, K * stride, "gradient_sum")
    c_model.previous = <double *> checked(model.previous, cnp.NPY_FLOAT64, K * stride, "previous")
    c_model.intercept = <double *> checked(model.intercept, cnp.NPY_FLOAT64, K, "intercept")
    c_model.intercept_gradient = <double *> checked(
        model.intercept_gradient, cnp.NPY_FLOAT64, K, "intercept_gradient")
    c_model.memory = <double *> checked(model.memory, cnp.NPY_FLOAT64, c_data.n_rows * K, "memory")


cdef cnp.ndarray aligned(Py_ssize_t n_doubles):
    """Uninitialised, on a cache line's boundary."""
    array = np.empty(n_doubles + 8)
    offset = -array.ctypes.data % 64 // 8
    return array[offset : offset + n_doubles]


def advance(data, rule, list models, double work, int n_threads):
    """See ``fastml.kernels.reference.sag.advance``; ``n_threads`` share the models."""
    cdef linear_data c_data
    cdef Variant variant = matrix(data.X, &c_data)
    cdef sag_rule c_rule_ = c_rule(rule)
    cdef Shared shared
    cdef Py_ssize_t n_models = len(models), k
    cdef int n_shares = <int> min(<Py_ssize_t> n_threads, n_models), reserved
    cdef list kept = []
    point_targets(data, rule, &c_data)
    shared.run = ADVANCE[<int> variant]
    shared.data = &c_data
    shared.rule = &c_rule_
    shared.work = work
    shared.models = <sag_model *> malloc(n_models * sizeof(sag_model))
    if shared.models == NULL and n_models:
        raise MemoryError(f"{n_models * sizeof(sag_model)} bytes for {n_models} models")
    try:
        for k in range(n_models):
            point(models[k], &shared.models[k], data, &c_data, rule.n_columns)
            scratch = aligned(sag_scratch_size(rule.n_columns))
            columns = aligned(
                sag_columns_size(c_data.n_features, rule.n_columns) if isinstance(data.X, CSR) else 0)
            kept += [scratch, columns]
            shared.models[k].scratch = <double *> cnp.PyArray_DATA(scratch)
            shared.models[k].columns = <double *> cnp.PyArray_DATA(columns)
        with nogil:
            linear_queue_fill(&shared.queue, n_models)
            reserved = _runtime.reserve(n_shares, n_threads)
            _runtime.fork_join(run_share, &shared, n_shares, reserved)
            _runtime.release(reserved)
    finally:
        free(shared.models)
