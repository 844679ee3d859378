# Sums of kernel values times coefficients.

cdef int set_sums(
    gram_sums *sums, coef, starts, cnp.ndarray out, int real, Py_ssize_t n_rows, Py_ssize_t n_columns
) except -1:
    """Coefficients and segments, and the place of sums."""
    if coef.ndim != 2 or coef.shape[1] != n_columns:
        raise ValueError(f"coef must be of shape (n_sums, {n_columns}); got {coef.shape}.")
    if len(starts) == 0 or starts[0] != 0 or starts[len(starts) - 1] != n_columns or (np.diff(starts) < 0).any():
        raise ValueError(f"starts must rise from 0 to {n_columns}; got {starts}.")
    sums.coef = cnp.PyArray_DATA(checked(coef, real, "coef"))
    sums.starts = <const int64_t *> cnp.PyArray_DATA(checked(starts, cnp.NPY_INT64, "starts"))
    sums.n_columns, sums.n_sums, sums.n_segments = n_columns, coef.shape[0], len(starts) - 1
    sums.out = <double *> cnp.PyArray_DATA(checked(out, cnp.NPY_FLOAT64, "out"))
    sums.lanes = NULL
    shape = (n_rows, sums.n_segments, sums.n_sums)
    if (<object> out).shape != shape:
        raise ValueError(f"out must be of shape {shape}; got {(<object> out).shape}.")
    return 0


def expansions(A, Prepared prepared not None, kernel, coef, starts, out, n_threads=None):
    """See ``fastml.kernels.reference.gram.expansions``."""
    cdef gram_expansion expansion
    cdef int n_shares
    cdef bint single = prepared.real == cnp.NPY_FLOAT32
    cdef Py_ssize_t n_values, chunk, i
    cdef double *of_chunks = NULL
    cdef double *sums
    A = as_indexed(A, prepared)
    set_job(&expansion.job, A, prepared, kernel)
    set_sums(&expansion.sums, coef, starts, out, prepared.real, expansion.job.a.n_rows, expansion.job.b.rows.n_rows)
    sums = expansion.sums.out
    n_values = expansion.job.a.n_rows * expansion.sums.n_segments * expansion.sums.n_sums
    memset(sums, 0, n_values * sizeof(double))
    if n_values == 0 or expansion.job.b.rows.n_rows == 0:
        return
    n_shares = threads_for(prepared.work_per_row * expansion.job.a.n_rows, n_threads)
    expansion.method = prepared.method
    expansion.add_sums = KERNELS_OF_LEVEL.add_sums_f32 if single else KERNELS_OF_LEVEL.add_sums_f64
    expansion.value_bytes = 4 if single else 8
    expansion.index_bytes = 4 if prepared.index == cnp.NPY_INT32 else 8
    gram_plan(&expansion, n_shares)
    expansion.scratch = <char *> allocated(expansion.scratch_bytes * n_shares, "blocks of kernel values")
    if expansion.by_chunk:
        try:
            of_chunks = <double *> allocated(n_values * expansion.n_chunks * sizeof(double), "sums by chunks")
        except MemoryError:
            free(expansion.scratch)
            raise
        memset(of_chunks, 0, n_values * expansion.n_chunks * sizeof(double))
        expansion.sums.out = of_chunks
    with nogil:
        run_shares(gram_expand, &expansion, n_shares, n_shares)
        free(expansion.scratch)
        if expansion.by_chunk:
            for chunk in range(expansion.n_chunks):
                for i in range(n_values):
                    sums[i] += of_chunks[chunk * n_values + i]
            free(of_chunks)


def block_sums(K, coef, starts, out):
    """As ``expansions``, of kernel values that there are already: a C-contiguous matrix."""
    cdef int real = real_type(K, "K")
    cdef gram_sums sums
    checked(K, real, "K")
    set_sums(&sums, coef, starts, out, real, K.shape[0], K.shape[1])
    cdef const void *values = cnp.PyArray_DATA(<cnp.ndarray> K)
    cdef Py_ssize_t n_rows = K.shape[0], n_columns = K.shape[1]
    with nogil:
        memset(sums.out, 0, n_rows * sums.n_segments * sums.n_sums * sizeof(double))
        (KERNELS_OF_LEVEL.add_sums_f32 if real == cnp.NPY_FLOAT32 else KERNELS_OF_LEVEL.add_sums_f64)(
            &sums, values, n_columns, n_rows, 0, n_columns)
