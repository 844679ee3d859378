ctypedef void (*fastml_share)(void *context, int share, int n_shares) noexcept nogil
ctypedef void (*fork_join_function)(
    fastml_share work, void *context, int n_shares, int n_threads
) noexcept nogil

cdef int reserve(int wanted, int limit) noexcept nogil
cdef void release(int reserved) noexcept nogil
cdef void fork_join(fastml_share work, void *context, int n_shares, int n_threads) noexcept nogil

ctypedef void (*part_function)(const void *job, Py_ssize_t part, void *scratch) noexcept nogil


cdef struct phase:
    part_function part
    const void *job
    Py_ssize_t n_parts


cdef class Operation:
    cdef phase phases[8]
    cdef int n_phases, main
    cdef void **memory
    cdef int n_memory
    cdef list arrays
    cdef size_t scratch_bytes
    cdef readonly double work

    cdef const void *reads(self, array, int type_number, str name, tuple shape) except? NULL
    cdef void *writes(self, array, int type_number, str name, tuple shape) except? NULL
    cdef void *owned(self, size_t n_bytes, str purpose) except NULL
    cdef int add_phase(self, part_function part, const void *job, Py_ssize_t n_parts) except -1
    cdef int needs_scratch(self, size_t n_bytes) except -1

cdef int real_type(array, str name) except -1
