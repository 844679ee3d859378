ctypedef void (*fastml_share)(void *context, int share, int n_shares) noexcept nogil
ctypedef void (*fork_join_function)(
    fastml_share work, void *context, int n_shares, int n_threads
) noexcept nogil

cdef int reserve(int wanted, int limit) noexcept nogil
cdef void release(int reserved) noexcept nogil
cdef void fork_join(fastml_share work, void *context, int n_shares, int n_threads) noexcept nogil
