# Blocks of values of the user's kernel, by a loop that Numba has compiled.

ctypedef int32_t (*custom_block)(
    const void *a, const void *b, int64_t n_a, int64_t first, int64_t last, int64_t n_features, void *out,
    int64_t out_stride, void *scratch
) noexcept nogil

cdef struct SharedCustom:
    gram_job *job
    custom_block block
    Py_ssize_t lanes
    int32_t *failed
    char *scratch
    size_t scratch_bytes


cdef void run_custom_share(void *context, int share, int n_shares) noexcept nogil:
    cdef SharedCustom *shared = <SharedCustom *> context
    cdef gram_job *job = shared.job
    cdef Py_ssize_t n = job.b.rows.n_rows, n_vectors = (n + shared.lanes - 1) // shared.lanes
    cdef Py_ssize_t first = n_vectors * share // n_shares * shared.lanes
    cdef Py_ssize_t last = min(n_vectors * (share + 1) // n_shares * shared.lanes, n)
    shared.failed[share] = shared.block(
        job.a.data, job.b.rows.data, job.a.n_rows, first, last, job.a.n_features, job.out, job.out_stride,
        shared.scratch + share * shared.scratch_bytes)


def custom(A, B, uintptr_t address, Py_ssize_t lanes, double work, size_t scratch_bytes, out, n_threads=None):
    """out[i, j] = f(A[i], B[j]) for dense rows.

    Parameters
    ----------
    address, lanes, work, scratch_bytes
        The compiled loop, a ``_gram_custom_block.Block``.

    Returns
    -------
    bool
        False where f raised an exception.
    """
    cdef gram_job job
    cdef SharedCustom shared
    cdef int32_t failed[256]
    cdef int limit, n_shares, real = real_type(B, "B")
    job.b.rows = rows_of(B, real, -1, "B")
    job.a = rows_of(A, real, -1, "A")
    if job.a.n_features != job.b.rows.n_features:
        raise ValueError(f"A has {job.a.n_features} features, but B has {job.b.rows.n_features}.")
    set_out(&job, out, real)
    limit = threads_for(work * job.a.n_rows * job.b.rows.n_rows * (job.a.n_features + WORK_PER_VALUE), n_threads)
    n_shares = <int> max(1, min(<Py_ssize_t> min(limit, 256), (job.b.rows.n_rows + lanes - 1) // lanes))
    shared.job = &job
    shared.block = <custom_block> address
    shared.lanes = lanes
    shared.failed = failed
    shared.scratch_bytes = gram_aligned(scratch_bytes)
    shared.scratch = <char *> allocated(shared.scratch_bytes * n_shares, "rows laid out by features")
    with nogil:
        run_shares(run_custom_share, &shared, n_shares, limit)
        free(shared.scratch)
    return not any([failed[share] for share in range(n_shares)])
