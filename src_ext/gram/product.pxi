# Blocks of kernel values, by ranges of columns on threads.

cdef double LOG2_E = 1.4426950408889634


cdef as_indexed(A, Prepared prepared):
    """A, with indices of B's type."""
    if prepared.index >= 0 and isinstance(A, CSR) and index_type(A) != prepared.index:
        index = prepared.rows.indices.dtype
        return A._replace(indices=A.indices.astype(index), indptr=A.indptr.astype(index))
    return A


cdef int set_job(gram_job *job, A, Prepared prepared, kernel) except -1:
    """All but where values go; A is to outlive the job."""
    if KERNEL_CODES[kernel.name] != prepared.kernel:
        raise ValueError(f"B was prepared for another kernel than {kernel.name!r}.")
    job.b = prepared.layout
    job.a = rows_of(A, prepared.real, prepared.index, "A")
    if job.a.n_features != job.b.rows.n_features:
        raise ValueError(f"A has {job.a.n_features} features, but B has {job.b.rows.n_features}.")
    job.kernel = prepared.kernel
    job.degree = kernel.degree
    job.gamma = kernel.gamma
    job.coef0 = kernel.coef0
    job.rate = job.gamma * LOG2_E
    job.sums = NULL
    if job.degree < 0:
        raise ValueError(f"degree must not be negative; got {job.degree}.")
    return 0


cdef struct Shared:
    gram_job *job
    gram_method method
    char *scratch
    size_t scratch_bytes


cdef void run_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Shared *shared = <Shared *> context
    cdef Py_ssize_t n_columns = shared.job.b.rows.n_rows, granule = shared.method.granule
    cdef Py_ssize_t n_granules = (n_columns + granule - 1) // granule
    cdef Py_ssize_t first = n_granules * share // n_shares * granule
    cdef Py_ssize_t last = min(n_granules * (share + 1) // n_shares * granule, n_columns)
    shared.method.run(shared.job, first, last, shared.scratch + share * shared.scratch_bytes)


def gram(A, Prepared prepared not None, kernel, out, n_threads=None):
    """See ``fastml.kernels.reference.gram.gram``."""
    cdef gram_job job
    cdef Shared shared
    cdef int limit, n_shares
    A = as_indexed(A, prepared)
    set_job(&job, A, prepared, kernel)
    set_out(&job, out, prepared.real)
    if job.a.n_rows == 0 or job.b.rows.n_rows == 0:
        return
    limit = threads_for(prepared.work_per_row * job.a.n_rows, n_threads)
    shared.job = &job
    shared.method = prepared.method
    n_shares = <int> min(<Py_ssize_t> limit, (job.b.rows.n_rows + shared.method.granule - 1) // shared.method.granule)
    shared.scratch_bytes = gram_aligned(shared.method.scratch(&job))
    shared.scratch = <char *> allocated(shared.scratch_bytes * n_shares, "a block of packed rows")
    with nogil:
        run_shares(run_share, &shared, n_shares, limit)
        free(shared.scratch)
