# What the bindings of the linear families share: an array's checks, the C struct of a Data, and the
# queue of models.

cdef extern from "linear_data.h":
    ctypedef struct linear_data:
        const void *data
        const void *indices
        const void *indptr
        Py_ssize_t n_rows, n_features, n_values
        double bias
        const int32_t *label
        const double *value
        const double *sample_weight
        const double *sq_norm

cdef extern from "shares.h":
    ctypedef struct linear_queue:
        pass
    void linear_queue_fill(linear_queue *, Py_ssize_t n) noexcept nogil
    Py_ssize_t linear_queue_take(linear_queue *) noexcept nogil

# In the order of the C tables of kernels.
cdef enum Variant:
    DENSE_F32
    DENSE_F64
    CSR_F32_I32
    CSR_F32_I64
    CSR_F64_I32
    CSR_F64_I64


cdef void *checked(array, int type_number, Py_ssize_t at_least, str name) except? NULL:
    """Data of an array that is C-contiguous, of the type that C will read it as, and long enough."""
    cdef cnp.ndarray checked_array = array
    if (
        not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked_array), type_number)
        or not cnp.PyArray_IS_C_CONTIGUOUS(checked_array)
        or cnp.PyArray_SIZE(checked_array) < at_least
    ):
        expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
        raise TypeError(
            f"{name} must be C-contiguous {expected} of {at_least} elements at least; got {checked_array.dtype}, "
            f"shape {array.shape}."
        )
    return cnp.PyArray_DATA(checked_array)


cdef Variant matrix(X, linear_data *data) except *:
    """Point ``data`` to a dense or CSR X; which variant of the kernels reads it."""
    cdef int real = cnp.PyArray_TYPE(<cnp.ndarray> (X.data if isinstance(X, CSR) else X))
    cdef bint single = real == cnp.NPY_FLOAT32
    cdef int index
    if real not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise TypeError(f"X must be float32 or float64; got {X.dtype}.")
    data.n_rows, data.n_features = X.shape
    data.n_values = X.data.size if isinstance(X, CSR) else data.n_rows * data.n_features
    data.label = NULL
    data.value = data.sample_weight = data.sq_norm = NULL
    data.bias = 0.0
    data.indices = data.indptr = NULL
    if not isinstance(X, CSR):
        data.data = checked(X, real, data.n_values, "X")
        return DENSE_F32 if single else DENSE_F64
    index = cnp.PyArray_TYPE(<cnp.ndarray> X.indices)
    data.data = checked(X.data, real, 0, "X.data")
    data.indices = checked(X.indices, index, 0, "X.indices")
    data.indptr = checked(X.indptr, index, data.n_rows + 1, "X.indptr")
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT32):
        return CSR_F32_I32 if single else CSR_F64_I32
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT64):
        return CSR_F32_I64 if single else CSR_F64_I64
    raise TypeError(f"X.indices must be int32 or int64; got {X.indices.dtype}.")


cdef Variant all_data(given, linear_data *data) except *:
    """Point ``data`` to all of a Data."""
    cdef Variant variant = matrix(given.X, data)
    data.bias = given.bias
    if cnp.PyArray_TYPE(<cnp.ndarray> given.target) == cnp.NPY_INT32:
        data.label = <const int32_t *> checked(given.target, cnp.NPY_INT32, data.n_rows, "target")
    else:
        data.value = <const double *> checked(given.target, cnp.NPY_FLOAT64, data.n_rows, "target")
    if given.sample_weight is not None:
        data.sample_weight = <const double *> checked(
            given.sample_weight, cnp.NPY_FLOAT64, data.n_rows, "sample_weight")
    if given.sq_norm is not None:
        data.sq_norm = <const double *> checked(given.sq_norm, cnp.NPY_FLOAT64, data.n_rows, "sq_norm")
    return variant
