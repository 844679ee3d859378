# Rows that become other rows: compressed, or some of them taken.

ctypedef fused real_number:
    float
    double


def compressed(rows):
    """Dense rows as a CSR matrix of their non-zeros."""
    cdef int real = real_type(rows, "rows")
    if rows.size > INT32_MAX:
        raise ValueError(f"rows of more than {INT32_MAX} values cannot be compressed; got {rows.size}.")
    checked(rows, real, "rows")
    indptr = np.zeros(len(rows) + 1, np.int32)
    cdef int32_t *starts = <int32_t *> cnp.PyArray_DATA(<cnp.ndarray> indptr)
    cdef const void *values = cnp.PyArray_DATA(<cnp.ndarray> rows)
    cdef Py_ssize_t n_rows = rows.shape[0], n_features = rows.shape[1]
    if real == cnp.NPY_FLOAT32:
        count_non_zeros[float](<const float *> values, n_rows, n_features, starts)
    else:
        count_non_zeros[double](<const double *> values, n_rows, n_features, starts)
    cdef Py_ssize_t n_kept = starts[n_rows]
    # One element more: each is written, and passed by if it is not zero.
    data, indices = np.empty(n_kept + 1, rows.dtype), np.empty(n_kept + 1, np.int32)
    cdef int32_t *columns = <int32_t *> cnp.PyArray_DATA(<cnp.ndarray> indices)
    cdef void *kept = cnp.PyArray_DATA(<cnp.ndarray> data)
    if real == cnp.NPY_FLOAT32:
        copy_non_zeros[float](<const float *> values, n_rows, n_features, <float *> kept, columns)
    else:
        copy_non_zeros[double](<const double *> values, n_rows, n_features, <double *> kept, columns)
    return CSR(data[:n_kept], indices[:n_kept], indptr, rows.shape)


cdef void count_non_zeros(
    const real_number *values, Py_ssize_t n_rows, Py_ssize_t n_features, int32_t *starts
) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef int32_t n
    for i in range(n_rows):
        n = 0
        for k in range(n_features):
            n += values[i * n_features + k] != 0
        starts[i + 1] = starts[i] + n


cdef void copy_non_zeros(
    const real_number *values, Py_ssize_t n_rows, Py_ssize_t n_features, real_number *kept, int32_t *columns
) noexcept nogil:
    cdef Py_ssize_t i, k, n = 0
    for i in range(n_rows):
        for k in range(n_features):
            kept[n] = values[i * n_features + k]
            columns[n] = <int32_t> k
            n += kept[n] != 0


def take_rows(X, rows):
    """See ``fastml.kernels.reference.gram.take_rows``."""
    cdef int index
    if not isinstance(X, CSR):
        return X.take(rows, axis=0)
    index = index_type(X)
    checked(rows, cnp.NPY_INT32, "rows")
    indptr = np.zeros(len(rows) + 1, X.indptr.dtype)
    np.cumsum(np.diff(X.indptr).take(rows), out=indptr[1:])
    n_values = int(indptr[len(rows)])
    data, indices = np.empty(n_values, X.data.dtype), np.empty(n_values, X.indices.dtype)
    taken = CSR(data, indices, indptr, (len(rows), X.shape[1]))
    cdef int real = real_type(X, "X")
    cdef gram_rows source = rows_of(X, real, index, "X"), target = rows_of(taken, real, index, "taken")
    cdef const int32_t *numbers = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> rows)
    cdef Py_ssize_t size = data.itemsize
    if index == cnp.NPY_INT32:
        copy_rows[int32_t](&source, &target, numbers, size, <int32_t> 0)
    else:
        copy_rows[int64_t](&source, &target, numbers, size, <int64_t> 0)
    return taken


cdef void copy_rows(
    const gram_rows *source, const gram_rows *target, const int32_t *numbers, Py_ssize_t size, integer zero
) noexcept nogil:
    cdef const integer *source_indptr = <const integer *> source.indptr
    cdef const integer *target_indptr = <const integer *> target.indptr
    cdef Py_ssize_t i, n, start, to
    for i in range(target.n_rows):
        start, to = source_indptr[numbers[i]], target_indptr[i]
        n = target_indptr[i + 1] - to
        memcpy(<char *> target.data + to * size, <const char *> source.data + start * size, n * size)
        memcpy(<char *> target.indices + to * sizeof(integer),
               <const char *> source.indices + start * sizeof(integer), n * sizeof(integer))
