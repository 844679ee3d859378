# Operations and programs of them: program.h.

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef extern from "program.h":
    ctypedef void fastml_part(const void *job, Py_ssize_t part, void *scratch) noexcept nogil

    ctypedef struct fastml_phase:
        part_function part
        const void *job
        Py_ssize_t n_parts

    ctypedef struct fastml_progress:
        pass

    ctypedef struct fastml_program:
        const fastml_phase *phases
        fastml_progress *progress
        Py_ssize_t n_phases
        char *scratch
        size_t scratch_bytes

    ctypedef struct fastml_joined:
        const fastml_phase *phases
        Py_ssize_t n

    void fastml_run_joined(const void *job, Py_ssize_t part, void *scratch) noexcept nogil
    void fastml_run_program(fastml_program *, int n_threads) noexcept nogil

# Multiply-adds (as Operation.work counts) under which a second thread costs more than it saves: some 40 us.
cdef double MIN_WORK_PER_THREAD = 4e6


cdef void *allocated(size_t n_bytes, str purpose) except NULL:
    """Memory aligned for any vector, uninitialised."""
    cdef void *memory = NULL
    if posix_memalign(&memory, 64, n_bytes + 1) != 0:
        raise MemoryError(f"{n_bytes} bytes for {purpose} could not be allocated.")
    return memory


cdef int real_type(array, str name) except -1:
    """float32's or float64's number, whichever the array is of."""
    cdef int real = cnp.PyArray_TYPE(<cnp.ndarray?> array)
    if real != cnp.NPY_FLOAT32 and real != cnp.NPY_FLOAT64:
        raise TypeError(f"{name} must be of float32 or float64; got {array.dtype}.")
    return real


cdef class Operation:
    """What a kernel call would compute, checked and laid out, to be run any number of times.

    A family's builder makes one, with a C struct for its parts to read (``owned``) and one or more phases of
    them. Arrays that it reads or writes stay alive with it; what they hold is read at each run.

    Attributes
    ----------
    work : float
        Its cost, in multiply-adds of a matrix product in float32 (some 1e11 a second and thread; an element
        that is read from memory and written counts some 20).
    """

    def __cinit__(self):
        self.arrays = []

    def __dealloc__(self):
        for i in range(self.n_memory):
            free(self.memory[i])
        free(self.memory)

    cdef const void *reads(self, array, int type_number, str name, tuple shape) except? NULL:
        """The elements of an array, which must be C-contiguous, of this type and shape."""
        cdef cnp.ndarray checked = <cnp.ndarray?> array
        if not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked), type_number) or not cnp.PyArray_ISCARRAY_RO(checked):
            expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
            raise TypeError(f"{name} must be C-contiguous and of {expected}; got {array.dtype}, strides {array.strides}.")
        if array.shape != shape:
            raise ValueError(f"{name} must be of shape {shape}; got {array.shape}.")
        self.arrays.append(array)
        return cnp.PyArray_DATA(checked)

    cdef void *writes(self, array, int type_number, str name, tuple shape) except? NULL:
        """The same of an array that will be written to."""
        cdef const void *data = self.reads(array, type_number, name, shape)
        if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> array):
            raise ValueError(f"{name} must be writeable.")
        return <void *> data

    cdef void *owned(self, size_t n_bytes, str purpose) except NULL:
        """Memory that lives as long as the operation: zeros, 64-byte aligned."""
        cdef void **all_memory = <void **> realloc(self.memory, (self.n_memory + 1) * sizeof(void *))
        if all_memory == NULL:
            raise MemoryError(f"{n_bytes} bytes for {purpose} could not be allocated.")
        self.memory = all_memory
        cdef void *memory = allocated(n_bytes, purpose)
        self.memory[self.n_memory] = memory
        self.n_memory += 1
        memset(memory, 0, n_bytes)
        return memory

    cdef int add_phase(self, part_function part, const void *job, Py_ssize_t n_parts) except -1:
        """Parts that may run at the same time, once those of earlier phases are done."""
        assert self.n_phases < 8
        if n_parts > 0:
            self.phases[self.n_phases] = phase(part, job, n_parts)
            self.n_phases += 1
        return 0

    cdef int needs_scratch(self, size_t n_bytes) except -1:
        """Of each thread, for any of the parts."""
        self.scratch_bytes = max(self.scratch_bytes, (n_bytes + 63) & ~<size_t> 63)
        return 0

    @staticmethod
    def joined(list operations):
        """Operations whose main phases have as many parts as each other, part by part: what one of them has made
        the next finds in the cache.

        That is theirs in order if a part of one needs nothing of the others' but the same part of those before it,
        and the phases that they have before their main ones nothing of the others' at all.
        """
        cdef Operation joint = Operation(), operation
        cdef fastml_phase *phases = <fastml_phase *> joint.owned(len(operations) * sizeof(fastml_phase), "phases")
        cdef fastml_joined *job = <fastml_joined *> joint.owned(sizeof(fastml_joined), "a job")
        cdef int i
        job.phases, job.n = phases, len(operations)
        for operation in operations:
            for i in range(operation.main):
                joint.add_phase(operation.phases[i].part, operation.phases[i].job, operation.phases[i].n_parts)
            phases[0].part = operation.phases[operation.main].part
            phases[0].job = operation.phases[operation.main].job
            phases[0].n_parts = operation.phases[operation.main].n_parts
            if phases[0].n_parts != job.phases[0].n_parts:
                raise ValueError(f"Joined phases are of {job.phases[0].n_parts} and {phases[0].n_parts} parts.")
            phases += 1
            joint.needs_scratch(operation.scratch_bytes)
            joint.work += operation.work
            joint.arrays.append(operation)
        joint.main = joint.n_phases
        joint.add_phase(fastml_run_joined, job, job.phases[0].n_parts)
        for operation in operations:
            for i in range(operation.main + 1, operation.n_phases):
                joint.add_phase(operation.phases[i].part, operation.phases[i].job, operation.phases[i].n_parts)
        return joint

    def run(self, n_threads=None):
        """Once, by itself."""
        Program([self], n_threads).run()


cdef class Program:
    """Operations in order.

    Parameters
    ----------
    operations : list of Operation
    n_threads : int or None
        At most so many; None is the configured number. Results don't depend on it.
    """

    cdef fastml_program program
    cdef list operations
    cdef int limit, n_threads
    cdef int runner

    def __cinit__(self, list operations, n_threads=None):
        cdef Operation operation
        cdef Py_ssize_t i
        cdef fastml_phase *phases
        cdef double work = 0.0
        cdef Py_ssize_t most_parts = 1
        self.operations = operations
        for operation in operations:
            self.program.n_phases += operation.n_phases
            self.program.scratch_bytes = max(self.program.scratch_bytes, operation.scratch_bytes)
            work += operation.work
        phases = <fastml_phase *> allocated(self.program.n_phases * sizeof(fastml_phase), "phases")
        self.program.phases = phases
        for operation in operations:
            for i in range(operation.n_phases):
                phases[0].part = operation.phases[i].part
                phases[0].job = operation.phases[i].job
                phases[0].n_parts = operation.phases[i].n_parts
                most_parts = max(most_parts, phases[0].n_parts)
                phases += 1
        self.limit = effective_n_threads() if n_threads is None else n_threads
        self.n_threads = max(1, min(self.limit, <int> min(work / MIN_WORK_PER_THREAD, 256.0), most_parts))
        self.program.progress = <fastml_progress *> allocated(
            self.program.n_phases * self.n_threads * sizeof(fastml_progress), "phases")
        self.program.scratch = <char *> allocated(self.program.scratch_bytes * self.n_threads, "threads' scratch memory")

    def __dealloc__(self):
        free(<void *> self.program.phases)
        free(self.program.progress)
        free(self.program.scratch)

    def run(self):
        cdef int reserved, pid = os.getpid()
        # A child of fork() does not run what its parent does.
        if self.runner == pid:
            raise RuntimeError("A plan is being run by another thread: its arrays serve one run at a time.")
        self.runner = pid
        with nogil:
            reserved = fastml_reserve(self.n_threads, self.limit)
            fastml_run_program(&self.program, reserved)
            fastml_release(reserved)
        self.runner = 0
