"""Binding of the coordinate descent kernels: models in, one C struct for each, shared among threads."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml.kernels.cpu._runtime import LEVEL
from fastml._csr import CSR
from fastml.kernels.dual_cd_state import MODEL
from fastml.kernels.linear_data import PADDING

cnp.import_array()

include "../linear/linear_binding.pxi"

cdef extern from "dual_cd.h":
    ctypedef struct cd_record:
        double intercept

    ctypedef struct cd_model:
        cd_record *record
        int32_t *order
        double *coef
        double *dual
        Py_ssize_t n_classes
        const double *class_cost
        int32_t *class_order
        int32_t *n_active_classes
        double *scratch
        double *residual
        const double *signed_cost
        const double *curvature
        double *samples
        double *features

    ctypedef void (*cd_advance)(const linear_data *, cd_model *, double work) noexcept nogil

    enum:
        CD_HINGE, CD_SQUARED_HINGE, CD_SVR, CD_SQUARED_SVR, CD_CRAMMER_SINGER, CD_L1, CD_LOGISTIC_DUAL, CD_LOGISTIC_L1
        CD_N_LOOPS

    ctypedef struct cd_variant:
        cd_advance loops[CD_N_LOOPS]
        void (*sq_norms)(const linear_data *, double *) noexcept nogil

    ctypedef struct cd_kernels:
        const cd_variant *variants[6]

    const cd_kernels *CD_KERNELS(int level) nogil

if MODEL.itemsize != sizeof(cd_record):
    raise ImportError("The compiled kernels are not of this version of fastml.kernels.dual_cd_state; build again.")

cdef const cd_kernels *KERNELS = CD_KERNELS(LEVEL)


cdef struct Shared:
    cd_advance run
    const linear_data *data
    cd_model *models
    double work
    linear_queue queue


cdef void run_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Shared *shared = <Shared *> context
    cdef Py_ssize_t k = linear_queue_take(&shared.queue)
    while k >= 0:
        shared.run(shared.data, &shared.models[k], shared.work)
        k = linear_queue_take(&shared.queue)


cdef void point_common(model, cd_model *c_model, Py_ssize_t n_coordinates) except *:
    if model.record.dtype != MODEL:
        raise TypeError("record must be of the dtype MODEL.")
    c_model.record = <cd_record *> cnp.PyArray_DATA(<cnp.ndarray> model.record)
    c_model.order = <int32_t *> checked(model.order, cnp.NPY_INT32, int(model.record["n_coordinates"][0]), "order")
    if len(model.order) > n_coordinates:
        raise ValueError(f"order has {len(model.order)} coordinates, but there are {n_coordinates}.")


cdef void point_dual(model, cd_model *c_model, linear_data *data, int per_row) except *:
    point_common(model, c_model, data.n_rows)
    c_model.coef = <double *> checked(
        model.coef, cnp.NPY_FLOAT64, (data.n_features + PADDING - 1) // PADDING * PADDING, "coef")
    c_model.dual = <double *> checked(model.dual, cnp.NPY_FLOAT64, per_row * data.n_rows, "dual")


cdef void point_multi_class(model, cd_model *c_model, linear_data *data) except *:
    cdef Py_ssize_t n_classes = len(model.class_cost)
    point_common(model, c_model, data.n_rows)
    c_model.n_classes = n_classes
    c_model.coef = <double *> checked(model.coef, cnp.NPY_FLOAT64, (data.n_features + 1) * n_classes, "coef")
    c_model.dual = <double *> checked(model.dual, cnp.NPY_FLOAT64, data.n_rows * n_classes, "dual")
    c_model.class_cost = <double *> checked(model.class_cost, cnp.NPY_FLOAT64, n_classes, "class_cost")
    c_model.class_order = <int32_t *> checked(
        model.class_order, cnp.NPY_INT32, data.n_rows * n_classes, "class_order")
    c_model.n_active_classes = <int32_t *> checked(
        model.n_active_classes, cnp.NPY_INT32, data.n_rows, "n_active_classes")


cdef void point_l1(model, cd_model *c_model, linear_data *data) except *:
    cdef Py_ssize_t n_samples = (data.n_features + PADDING - 1) // PADDING * PADDING
    point_common(model, c_model, data.n_rows)
    c_model.coef = <double *> checked(model.coef, cnp.NPY_FLOAT64, data.n_rows, "coef")
    c_model.residual = <double *> checked(model.residual, cnp.NPY_FLOAT64, n_samples, "residual")
    c_model.signed_cost = <double *> checked(model.signed_cost, cnp.NPY_FLOAT64, n_samples, "signed_cost")
    c_model.curvature = <double *> checked(model.curvature, cnp.NPY_FLOAT64, data.n_rows, "curvature")


cdef void point_logistic_l1(model, cd_model *c_model, linear_data *data) except *:
    cdef Py_ssize_t n_samples = (data.n_features + PADDING - 1) // PADDING * PADDING
    point_common(model, c_model, data.n_rows)
    c_model.coef = <double *> checked(model.coef, cnp.NPY_FLOAT64, data.n_rows, "coef")
    c_model.signed_cost = <double *> checked(model.signed_cost, cnp.NPY_FLOAT64, n_samples, "signed_cost")
    c_model.samples = <double *> checked(model.samples, cnp.NPY_FLOAT64, 5 * n_samples, "samples")
    c_model.features = <double *> checked(model.features, cnp.NPY_FLOAT64, 3 * data.n_rows, "features")


cdef void advance(int loop, Variant variant, linear_data *data, list models, double work, int n_threads) except *:
    cdef Shared shared
    cdef Py_ssize_t n_models = len(models), k
    cdef int n_shares = <int> min(n_threads, n_models), reserved
    scratch = None
    shared.run = KERNELS.variants[<int> variant].loops[loop]
    shared.data = data
    shared.work = work
    shared.models = <cd_model *> malloc(n_models * sizeof(cd_model))
    if shared.models == NULL and n_models:
        raise MemoryError(f"{n_models * sizeof(cd_model)} bytes for {n_models} models")
    try:
        for k in range(n_models):
            if loop == CD_CRAMMER_SINGER:
                point_multi_class(models[k], &shared.models[k], data)
                scratch = np.empty(3 * shared.models[k].n_classes)  # one such model at a time
                shared.models[k].scratch = <double *> cnp.PyArray_DATA(<cnp.ndarray> scratch)
            elif loop == CD_L1:
                point_l1(models[k], &shared.models[k], data)
            elif loop == CD_LOGISTIC_L1:
                point_logistic_l1(models[k], &shared.models[k], data)
            else:
                point_dual(models[k], &shared.models[k], data, 2 if loop == CD_LOGISTIC_DUAL else 1)
        with nogil:
            linear_queue_fill(&shared.queue, n_models)
            reserved = _runtime.reserve(n_shares, n_threads)
            _runtime.fork_join(run_share, &shared, n_shares, reserved)
            _runtime.release(reserved)
    finally:
        free(shared.models)


def svc(data, models, bint squared, double work, int n_threads):
    """See ``fastml.kernels.reference.dual_cd.svc``."""
    cdef linear_data c_data
    cdef Variant variant = all_data(data, &c_data)
    if c_data.sq_norm == NULL:
        raise TypeError("data.sq_norm is missing.")
    advance(CD_SQUARED_HINGE if squared else CD_HINGE, variant, &c_data, models, work, n_threads)


def svr(data, models, bint squared, double work, int n_threads):
    """See ``fastml.kernels.reference.dual_cd.svr``."""
    cdef linear_data c_data
    cdef Variant variant = all_data(data, &c_data)
    if c_data.sq_norm == NULL or c_data.value == NULL:
        raise TypeError("data.sq_norm is missing, or data.target is not float64.")
    advance(CD_SQUARED_SVR if squared else CD_SVR, variant, &c_data, models, work, n_threads)


def crammer_singer(data, model, double work):
    """See ``fastml.kernels.reference.dual_cd.crammer_singer``."""
    cdef linear_data c_data
    cdef Variant variant = all_data(data, &c_data)
    if c_data.sq_norm == NULL or c_data.label == NULL:
        raise TypeError("data.sq_norm is missing, or data.target is not int32.")
    advance(CD_CRAMMER_SINGER, variant, &c_data, [model], work, 1)


def l1(X_transposed, models, double work, int n_threads):
    """See ``fastml.kernels.reference.dual_cd.l1``."""
    cdef linear_data c_data
    cdef Variant variant = matrix(X_transposed, &c_data)
    advance(CD_L1, variant, &c_data, models, work, n_threads)


def logistic_dual(data, models, double work, int n_threads):
    """See ``fastml.kernels.reference.dual_cd.logistic_dual``."""
    cdef linear_data c_data
    cdef Variant variant = all_data(data, &c_data)
    if c_data.sq_norm == NULL or c_data.label == NULL:
        raise TypeError("data.sq_norm is missing, or data.target is not int32.")
    advance(CD_LOGISTIC_DUAL, variant, &c_data, models, work, n_threads)


def logistic_l1(X_transposed, models, double work, int n_threads):
    """See ``fastml.kernels.reference.dual_cd.logistic_l1``."""
    cdef linear_data c_data
    cdef Variant variant = matrix(X_transposed, &c_data)
    advance(CD_LOGISTIC_L1, variant, &c_data, models, work, n_threads)


def sq_norms(X, double bias):
    """See ``fastml.kernels.reference.dual_cd.sq_norms``."""
    cdef linear_data c_data
    cdef Variant variant = matrix(X, &c_data)
    norms = np.empty(c_data.n_rows)
    cdef double *c_norms = <double *> cnp.PyArray_DATA(<cnp.ndarray> norms)
    c_data.bias = bias
    with nogil:
        KERNELS.variants[<int> variant].sq_norms(&c_data, c_norms)
    return norms


cdef fused index_type:
    int32_t
    int64_t

cdef fused real_type:
    float
    double


def _scatter(const real_type[::1] data, const index_type[::1] indices, const index_type[::1] indptr,
             real_type[::1] new_data, index_type[::1] new_indices, index_type[::1] next_of_column):
    """Move each entry to the next free place of its column."""
    cdef Py_ssize_t i, e, n_rows = indptr.shape[0] - 1
    cdef index_type place
    with nogil:
        for i in range(n_rows):
            for e in range(indptr[i], indptr[i + 1]):
                place = next_of_column[indices[e]]
                next_of_column[indices[e]] = place + 1
                new_data[place] = data[e]
                new_indices[place] = <index_type> i


def transposed_csr(X, double bias):
    """See ``fastml.kernels.reference.dual_cd.transposed``."""
    n_rows, n_columns = X.shape
    n_values = int(X.indptr[n_rows])
    n_all = n_values + (n_rows if bias else 0)
    index = X.indptr.dtype if n_all <= np.iinfo(X.indptr.dtype).max else np.dtype(np.int64)
    indices, old_indptr = X.indices.astype(index, copy=False), X.indptr.astype(index, copy=False)
    new_data = np.empty(n_all, X.data.dtype)
    new_indices = np.empty(n_all, index)
    new_indptr = np.zeros(n_columns + 1 + (bias != 0.0), index)
    np.cumsum(np.bincount(indices, minlength=n_columns), out=new_indptr[1 : n_columns + 1])
    _scatter(X.data, indices, old_indptr, new_data, new_indices, new_indptr[:n_columns].copy())
    if bias:
        new_indptr[n_columns + 1] = n_all
        new_data[n_values:] = bias
        new_indices[n_values:] = np.arange(n_rows)
    return CSR(new_data, new_indices, new_indptr, (len(new_indptr) - 1, n_rows))
