# A call's memory and threads.

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

# Multiply-adds under which a second thread is taken to cost more than it saves, some 60 us: estimated, not calibrated.
cdef double MIN_WORK_PER_THREAD = 4e6


cdef void *allocated(size_t n_bytes, str purpose) except NULL:
    """Memory aligned for any vector, uninitialised."""
    cdef void *memory = NULL
    if posix_memalign(&memory, 64, n_bytes + 1) != 0:
        raise MemoryError(f"{n_bytes} bytes for {purpose} could not be allocated.")
    return memory


cdef int threads_for(double work, n_threads) except -1:
    """How many threads a call of so many multiply-adds is worth; n_threads: at most, None for the configured."""
    cdef double worth = work / MIN_WORK_PER_THREAD
    if worth < 2.0:
        return 1
    return min(<int> min(worth, 1024.0), effective_n_threads() if n_threads is None else n_threads)


cdef void run_shares(_runtime.fastml_share work, void *context, int n_shares, int limit) noexcept nogil:
    """All shares, on as many threads as there are to be had; limit: the call's, whose own thread is one of them."""
    cdef int reserved
    if n_shares == 1:
        work(context, 0, 1)
        return
    reserved = _runtime.reserve(n_shares, limit)
    _runtime.fork_join(work, context, n_shares, reserved)
    _runtime.release(reserved)
