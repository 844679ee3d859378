# Binding of the moments.

cdef extern from "moments.h":
    ctypedef struct moments_job:
        linear_data x
        const double *target
        Py_ssize_t n_targets
        const double *weight
        const double *shift
        const int64_t *rows
        Py_ssize_t n_taken
        double *out
        int n_shares
        void *scratch

    ctypedef struct moments_pass:
        size_t (*scratch)(const moments_job *) noexcept nogil
        void (*run)(const moments_job *, int share) noexcept nogil
        void (*reduce)(const moments_job *) noexcept nogil

    ctypedef struct moments_kernels:
        const moments_pass *passes[2][6]

    const moments_kernels *MOMENTS_KERNELS(int level) nogil

cdef const moments_kernels *MOMENTS = MOMENTS_KERNELS(LEVEL)


cdef struct SharedMoments:
    const moments_pass *kernel
    const moments_job *job


cdef void run_moments_share(void *context, int share, int n_shares) noexcept nogil:
    cdef SharedMoments *shared = <SharedMoments *> context
    shared.kernel.run(shared.job, share)


def moments(data, shift, out, weighting, rows, bint exact, int n_threads):
    """See ``fastml.kernels.reference.glm.moments``."""
    cdef moments_job job
    cdef SharedMoments shared
    cdef int reserved
    cdef size_t size
    shared.kernel = MOMENTS.passes[exact][<int> matrix(data.X, &job.x)]
    shared.job = &job
    job.n_targets = take_target_table(data, out, &job)
    job.out = <double *> matrix_of(
        out, cnp.NPY_FLOAT64, job.x.n_features + 1 + job.n_targets, job.x.n_features + 1, "out")
    job.shift = <const double *> checked(shift, cnp.NPY_FLOAT64, job.x.n_features + job.n_targets, "shift")
    job.weight = NULL
    if weighting >= 0:
        job.weight = <const double *> matrix_of(
            data.weight, cnp.NPY_FLOAT64, len(data.weight), job.x.n_rows, "weight")
        if weighting >= len(data.weight):
            raise ValueError(f"weighting must be -1 or in [0, {len(data.weight)}); got {weighting}.")
        job.weight += <Py_ssize_t> weighting * job.x.n_rows
    job.rows = NULL
    job.n_taken = job.x.n_rows
    if rows is not None:
        job.rows = <const int64_t *> checked(rows, cnp.NPY_INT64, 0, "rows")
        job.n_taken = rows.size
        if job.n_taken and not 0 <= rows.min() <= rows.max() < job.x.n_rows:
            raise ValueError(f"rows must be in [0, {job.x.n_rows}).")
    job.n_shares = n_threads
    size = shared.kernel.scratch(&job)
    if posix_memalign(&job.scratch, 64, size):
        raise MemoryError(f"{size} bytes for the moments of {job.x.n_features} features")
    with nogil:
        reserved = _runtime.reserve(n_threads, n_threads)
        _runtime.fork_join(run_moments_share, &shared, n_threads, reserved)
        _runtime.release(reserved)
        shared.kernel.reduce(&job)
        free(job.scratch)


cdef Py_ssize_t take_target_table(data, out, moments_job *job) except -1:
    """Targets; how many. Of codes, ``out`` tells for how many classes."""
    cdef cnp.ndarray target = data.target
    job.target = NULL
    if cnp.PyArray_TYPE(target) == cnp.NPY_INT32:
        job.x.label = <const int32_t *> checked(target, cnp.NPY_INT32, job.x.n_rows, "target")
        return max(0, len(out) - job.x.n_features - 1)
    job.target = <const double *> matrix_of(target, cnp.NPY_FLOAT64, len(target), job.x.n_rows, "target")
    return len(target)
