"""Binding of the Gram kernels: rows laid out once, blocks of the kernel matrix by ranges of columns on threads."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml._config import effective_n_threads
from fastml._csr import CSR
from fastml._kernel import KERNELS
from fastml.kernels.cpu._runtime import LEVEL

cnp.import_array()

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef extern from "gram.h":
    ctypedef struct gram_rows:
        Py_ssize_t n_rows, n_features
        const void *data
        const void *indices
        const void *indptr

    ctypedef struct gram_layout:
        gram_rows rows
        const void *sq_norms
        double max_sq_norm
        const void *shift
        const void *packed
        const int64_t *column_start
        const int32_t *column_row
        const void *column_value

    ctypedef struct gram_sums:
        const void *coef
        Py_ssize_t n_columns, n_sums, n_segments
        const int64_t *starts
        double *out
        void *lanes

    ctypedef struct gram_job:
        gram_layout b
        gram_rows a
        int kernel, degree
        double gamma, coef0, rate
        void *out
        Py_ssize_t out_stride
        const gram_sums *sums

    ctypedef struct gram_method:
        Py_ssize_t granule
        size_t (*scratch)(const gram_job *) noexcept nogil
        void (*run)(const gram_job *, Py_ssize_t, Py_ssize_t, void *) noexcept nogil

    ctypedef void gram_add_sums(
        const gram_sums *, const void *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil

    ctypedef struct gram_expansion:
        gram_job job
        gram_sums sums
        gram_method method
        gram_add_sums *add_sums
        Py_ssize_t value_bytes, index_bytes
        bint by_chunk
        Py_ssize_t n_chunks
        size_t scratch_bytes
        char *scratch

    void gram_plan(gram_expansion *, int) noexcept nogil
    void gram_expand(void *, int, int) noexcept nogil

    ctypedef struct gram_preparation:
        Py_ssize_t panel_columns
        bint (*choose_shift)(const gram_rows *, double *, void *) noexcept nogil
        void (*pack)(const gram_layout *, void *, void *, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*sparse_norms_i32)(const gram_rows *, void *) noexcept nogil
        void (*sparse_norms_i64)(const gram_rows *, void *) noexcept nogil

    ctypedef struct gram_kernels:
        gram_preparation prepare_f32, prepare_f64
        gram_method dense_f32, dense_f64
        gram_method table_f32_i32, table_f32_i64, table_f64_i32, table_f64_i64
        gram_method postings_f32_i32, postings_f32_i64, postings_f64_i32, postings_f64_i64
        void (*exp_f32)(const float *, float *, Py_ssize_t) noexcept nogil
        void (*exp_f64)(const double *, double *, Py_ssize_t) noexcept nogil
        void (*tanh_f32)(const float *, float *, Py_ssize_t) noexcept nogil
        void (*tanh_f64)(const double *, double *, Py_ssize_t) noexcept nogil
        gram_add_sums *add_sums_f32
        gram_add_sums *add_sums_f64

    const gram_kernels *GRAM_KERNELS(int level) nogil

cdef const gram_kernels *KERNELS_OF_LEVEL = GRAM_KERNELS(LEVEL)

cdef dict KERNEL_CODES = {name: code for code, name in enumerate(KERNELS) if name != "custom"}
cdef int RBF = KERNEL_CODES["rbf"]

# Multiply-adds under which a second thread is taken to cost more than it saves, some 60 us: estimated, not calibrated.
cdef double MIN_WORK_PER_THREAD = 4e6
# What a value costs besides, in multiply-adds.
cdef Py_ssize_t WORK_PER_VALUE = 30
# What one non-zero of B costs for a row of A, in multiply-adds of the dense product.
cdef Py_ssize_t WORK_PER_NON_ZERO = 2

cdef double LOG2_E = 1.4426950408889634

# Laying out an element, in multiply-adds: a first touch of its memory most of all.
cdef Py_ssize_t PACK_WORK = 16

# The costs by which `postings_pay` decides, cycles for a vector of multiply-adds: estimates, not calibrated.
cdef double TABLE_IN_CACHE_1 = 0.7
cdef double TABLE_IN_CACHE_2 = 2.0
cdef double TABLE_BEYOND = 6.0
cdef double POSTING = 2.0
cdef Py_ssize_t CACHE_1 = 1 << 15
cdef Py_ssize_t CACHE_2 = 1 << 19


cdef void *allocated(size_t n_bytes, str purpose) except NULL:
    """Memory aligned for any vector, uninitialised."""
    cdef void *memory = NULL
    if posix_memalign(&memory, 64, n_bytes + 1) != 0:
        raise MemoryError(f"{n_bytes} bytes for {purpose} could not be allocated.")
    return memory


cdef cnp.ndarray checked(array, int type_number, str name):
    """The array, if it is C-contiguous and of the type that the C code will read it as."""
    cdef cnp.ndarray checked_array = array
    if (
        not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked_array), type_number)
        or not cnp.PyArray_IS_C_CONTIGUOUS(checked_array)
    ):
        expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
        raise TypeError(f"{name} must be C-contiguous of {expected}; got {checked_array.dtype}.")
    return checked_array


cdef int real_type(rows, str name) except -1:
    cdef int real = cnp.PyArray_TYPE(<cnp.ndarray> (rows.data if isinstance(rows, CSR) else rows))
    if real != cnp.NPY_FLOAT32 and real != cnp.NPY_FLOAT64:
        raise TypeError(f"{name} must be of float32 or float64; got {rows.dtype}.")
    return real


cdef gram_rows rows_of(X, int real, int index, str name) except *:
    """The rows of a matrix of this type; index: that of a sparse one's indices, -1 for a dense one."""
    cdef gram_rows rows
    if isinstance(X, CSR) != (index >= 0):
        raise TypeError(f"{name} must be {'sparse' if index >= 0 else 'dense'}, as B is.")
    rows.n_rows, rows.n_features = X.shape
    rows.indices = rows.indptr = NULL
    if index < 0:
        rows.data = cnp.PyArray_DATA(checked(X, real, name))
        return rows
    rows.data = cnp.PyArray_DATA(checked(X.data, real, f"{name}.data"))
    rows.indices = cnp.PyArray_DATA(checked(X.indices, index, f"{name}.indices"))
    rows.indptr = cnp.PyArray_DATA(checked(X.indptr, index, f"{name}.indptr"))
    return rows


cdef struct Packing:
    const gram_layout *layout
    void *packed
    void *sq_norms
    gram_preparation of_type


cdef void pack_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Packing *packing = <Packing *> context
    cdef Py_ssize_t n_rows = packing.layout.rows.n_rows, width = packing.of_type.panel_columns
    cdef Py_ssize_t n_panels = (n_rows + width - 1) // width
    packing.of_type.pack(
        packing.layout, packing.packed, packing.sq_norms,
        n_panels * share // n_shares * width, min(n_rows, n_panels * (share + 1) // n_shares * width))


cdef class Prepared:
    """See ``fastml.kernels.reference.gram.Prepared``."""

    cdef readonly object rows
    cdef readonly tuple shape
    cdef readonly object dtype
    cdef readonly size_t nbytes
    cdef gram_layout layout
    cdef gram_method method
    cdef int real, index, kernel
    cdef double work_per_row
    # Owned; those that a method has no use for are NULL.
    cdef void *sq_norms
    cdef void *shift
    cdef void *packed
    cdef void *column_start
    cdef void *column_row
    cdef void *column_value

    def __cinit__(self, B, kernel):
        self.rows, self.shape, self.dtype = B, tuple(B.shape), B.dtype
        self.kernel = KERNEL_CODES[kernel.name]
        self.real = real_type(B, "B")
        self.index = -1
        if isinstance(B, CSR):
            self.index = index_type(B)
        self.layout.rows = rows_of(B, self.real, self.index, "B")
        if self.index < 0:
            self.lay_out_dense()
        else:
            self.lay_out_sparse()

    def __dealloc__(self):
        free(self.sq_norms)
        free(self.shift)
        free(self.packed)
        free(self.column_start)
        free(self.column_row)
        free(self.column_value)

    @property
    def method_name(self):
        """"dense", "table" or "postings": how blocks are computed."""
        return "dense" if self.index < 0 else "postings" if self.layout.column_start != NULL else "table"

    cdef void *own(self, size_t n_bytes, str purpose) except NULL:
        cdef void *memory = allocated(n_bytes, purpose)
        self.nbytes += n_bytes
        return memory

    cdef int lay_out_dense(self) except -1:
        cdef bint single = self.real == cnp.NPY_FLOAT32
        cdef gram_preparation of_type = KERNELS_OF_LEVEL.prepare_f32 if single else KERNELS_OF_LEVEL.prepare_f64
        cdef Py_ssize_t size = 4 if single else 8, n_features = self.layout.rows.n_features
        cdef Py_ssize_t n_padded = (
            (self.layout.rows.n_rows + of_type.panel_columns - 1) // of_type.panel_columns * of_type.panel_columns
        )
        cdef void *mean
        cdef bint shifted
        self.method = KERNELS_OF_LEVEL.dense_f32 if single else KERNELS_OF_LEVEL.dense_f64
        self.work_per_row = <double> self.layout.rows.n_rows * (n_features + WORK_PER_VALUE)
        self.packed = self.own(n_padded * n_features * size, f"{self.shape[0]} packed rows")
        self.sq_norms = self.own(n_padded * size, "norms")
        if self.kernel == RBF and self.layout.rows.n_rows:
            mean = allocated(n_features * sizeof(double), "a mean row")
            try:
                self.shift = self.own(n_features * size, "a mean row")
                with nogil:
                    shifted = of_type.choose_shift(&self.layout.rows, <double *> mean, self.shift)
            finally:
                free(mean)
            if shifted:
                self.layout.shift = self.shift
        cdef Packing packing
        cdef int n_shares = threads_for(<double> PACK_WORK * n_padded * n_features, None), reserved
        packing.layout, packing.packed, packing.sq_norms = &self.layout, self.packed, self.sq_norms
        packing.of_type = of_type
        with nogil:
            memset(self.sq_norms, 0, n_padded * size)
            if n_shares == 1:
                pack_share(&packing, 0, 1)
            else:
                reserved = _runtime.reserve(n_shares, n_shares)
                _runtime.fork_join(pack_share, &packing, n_shares, reserved)
                _runtime.release(reserved)
        self.layout.packed = self.packed
        self.set_norms()

    cdef int lay_out_sparse(self) except -1:
        cdef bint single = self.real == cnp.NPY_FLOAT32
        cdef bint short = self.index == cnp.NPY_INT32
        cdef const gram_kernels *kernels = KERNELS_OF_LEVEL
        cdef gram_preparation of_type = kernels.prepare_f32 if single else kernels.prepare_f64
        cdef Py_ssize_t size = 4 if single else 8
        cdef bint by_column = postings_pay(self.rows)
        self.work_per_row = (
            <double> len(self.rows.data) * WORK_PER_NON_ZERO + <double> self.layout.rows.n_rows * WORK_PER_VALUE
        )
        # A vector beyond the last may be read.
        self.sq_norms = self.own((self.layout.rows.n_rows + 16) * size, "norms")
        with nogil:
            memset(self.sq_norms, 0, (self.layout.rows.n_rows + 16) * size)
            (of_type.sparse_norms_i32 if short else of_type.sparse_norms_i64)(&self.layout.rows, self.sq_norms)
        self.set_norms()
        if by_column:
            self.method = (
                (kernels.postings_f32_i32 if short else kernels.postings_f32_i64) if single
                else (kernels.postings_f64_i32 if short else kernels.postings_f64_i64)
            )
            self.lay_out_columns(size)
        else:
            self.method = (
                (kernels.table_f32_i32 if short else kernels.table_f32_i64) if single
                else (kernels.table_f64_i32 if short else kernels.table_f64_i64)
            )

    cdef int lay_out_columns(self, Py_ssize_t size) except -1:
        """B by columns: the rows of each, in order."""
        cdef Py_ssize_t n_features = self.layout.rows.n_features, n_values = len(self.rows.data)
        self.column_start = self.own((n_features + 1) * sizeof(int64_t), "column starts")
        self.column_row = self.own(n_values * sizeof(int32_t), f"{n_values} postings")
        self.column_value = self.own(n_values * size, f"{n_values} postings")
        if self.index == cnp.NPY_INT32:
            transposed_rows[int32_t](self, <const int32_t *> self.layout.rows.indptr,
                                     <const int32_t *> self.layout.rows.indices, size)
        else:
            transposed_rows[int64_t](self, <const int64_t *> self.layout.rows.indptr,
                                     <const int64_t *> self.layout.rows.indices, size)
        self.layout.column_start = <const int64_t *> self.column_start
        self.layout.column_row = <const int32_t *> self.column_row
        self.layout.column_value = self.column_value

    cdef int set_norms(self) except -1:
        cdef Py_ssize_t n = self.layout.rows.n_rows, i
        cdef double largest = 0.0, norm
        self.layout.sq_norms = self.sq_norms
        for i in range(n):
            norm = (<float *> self.sq_norms)[i] if self.real == cnp.NPY_FLOAT32 else (<double *> self.sq_norms)[i]
            if not norm <= largest:  # a NaN, too
                largest = norm
        self.layout.max_sq_norm = largest


cdef fused integer:
    int32_t
    int64_t


cdef int transposed_rows(Prepared prepared, const integer *indptr, const integer *indices, Py_ssize_t size) except -1:
    """Fill column_start, column_row and column_value by counting."""
    cdef int64_t *start = <int64_t *> prepared.column_start
    cdef int32_t *row = <int32_t *> prepared.column_row
    cdef char *value = <char *> prepared.column_value
    cdef const char *data = <const char *> prepared.layout.rows.data
    cdef Py_ssize_t n_features = prepared.layout.rows.n_features, i, t, c
    cdef int64_t before = 0, count
    with nogil:
        memset(start, 0, (n_features + 1) * sizeof(int64_t))
        for t in range(indptr[0], indptr[prepared.layout.rows.n_rows]):
            start[indices[t]] += 1
        for c in range(n_features + 1):
            count = start[c]
            start[c] = before
            before += count
        for i in range(prepared.layout.rows.n_rows):
            for t in range(indptr[i], indptr[i + 1]):
                c = indices[t]
                row[start[c]] = <int32_t> i
                memcpy(value + start[c] * size, data + t * size, size)
                start[c] += 1
        # Each start has come to its column's end, the next one's start.
        for c in range(n_features, 0, -1):
            start[c] = start[c - 1]
        start[0] = 0


cdef int index_type(X) except -1:
    cdef int index = cnp.PyArray_TYPE(<cnp.ndarray> X.indices)
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT32):
        return cnp.NPY_INT32
    if cnp.PyArray_EquivTypenums(index, cnp.NPY_INT64):
        return cnp.NPY_INT64
    raise TypeError(f"Indices must be int32 or int64; got {X.indices.dtype}.")


def postings_pay(B):
    """Whether B by columns costs less than tables of A's rows, by how often features occur.

    A table costs every non-zero of B a vector, at the speed of the cache that holds the table. Postings cost more
    each, and only those whose feature one of a group of 16 rows has: 1 - (1 - p)^16 of those of a feature that a
    share p of rows has, if A's rows are like B's.
    """
    n_rows, n_features = B.shape
    table = n_features * 64
    cost = TABLE_IN_CACHE_1 if table <= CACHE_1 else TABLE_IN_CACHE_2 if table <= CACHE_2 else TABLE_BEYOND
    if cost == TABLE_IN_CACHE_1 or n_rows == 0:
        return False
    share = np.bincount(B.indices, minlength=n_features) / n_rows
    return POSTING * float((share * (1.0 - (1.0 - share) ** 16)).sum()) < cost * len(B.data) / n_rows


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


cdef int set_out(gram_job *job, out, int real) except -1:
    """A block's place: rows of contiguous elements, at any distance from each other."""
    cdef cnp.ndarray block = out
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(block)
    if cnp.PyArray_TYPE(block) != real or block.ndim != 2 or not cnp.PyArray_ISWRITEABLE(block):
        raise TypeError(f"out must be a writeable matrix of B's dtype; got {block.dtype}, {block.ndim}-d.")
    if block.shape[0] != job.a.n_rows or block.shape[1] != job.b.rows.n_rows:
        raise ValueError(f"out must be of shape {(job.a.n_rows, job.b.rows.n_rows)}; got {out.shape}.")
    if block.size and ((block.shape[1] > 1 and block.strides[1] != size) or block.strides[0] % size):
        raise TypeError(f"out must have contiguous rows; its strides are {out.strides}.")
    job.out = cnp.PyArray_DATA(block)
    job.out_stride = block.strides[0] // size


cdef int threads_for(double work, n_threads) except -1:
    """How many threads a call of so many multiply-adds is worth; n_threads: at most, None for the configured."""
    cdef double worth = work / MIN_WORK_PER_THREAD
    if worth < 2.0:
        return 1
    return min(<int> min(worth, 1024.0), effective_n_threads() if n_threads is None else n_threads)


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


def gram(A, Prepared prepared not None, kernel, out, n_threads=None):
    """See ``fastml.kernels.reference.gram.gram``."""
    cdef gram_job job
    cdef Shared shared
    cdef int limit, n_shares, reserved
    set_job(&job, as_indexed(A, prepared), prepared, kernel)
    set_out(&job, out, prepared.real)
    if job.a.n_rows == 0 or job.b.rows.n_rows == 0:
        return
    limit = threads_for(prepared.work_per_row * job.a.n_rows, n_threads)
    shared.job = &job
    shared.method = prepared.method
    n_shares = <int> min(<Py_ssize_t> limit, (job.b.rows.n_rows + shared.method.granule - 1) // shared.method.granule)
    shared.scratch_bytes = (shared.method.scratch(&job) + 63) // 64 * 64
    shared.scratch = <char *> allocated(shared.scratch_bytes * n_shares, "a block of packed rows")
    with nogil:
        if n_shares == 1:
            run_share(&shared, 0, 1)
        else:
            reserved = _runtime.reserve(n_shares, limit)
            _runtime.fork_join(run_share, &shared, n_shares, reserved)
            _runtime.release(reserved)
        free(shared.scratch)


cdef int set_sums(gram_sums *sums, coef, starts, cnp.ndarray out, int real, Py_ssize_t n_rows, Py_ssize_t n_columns) except -1:
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
    cdef int n_shares, reserved
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
        if n_shares == 1:
            gram_expand(&expansion, 0, 1)
        else:
            reserved = _runtime.reserve(n_shares, n_shares)
            _runtime.fork_join(gram_expand, &expansion, n_shares, reserved)
            _runtime.release(reserved)
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
    cdef int limit, n_shares, reserved, real = real_type(B, "B")
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
    shared.scratch_bytes = (scratch_bytes + 63) // 64 * 64
    shared.scratch = <char *> allocated(shared.scratch_bytes * n_shares, "rows laid out by features")
    with nogil:
        reserved = _runtime.reserve(n_shares, limit)
        _runtime.fork_join(run_custom_share, &shared, n_shares, reserved)
        _runtime.release(reserved)
        free(shared.scratch)
    return not any([failed[share] for share in range(n_shares)])


ctypedef fused real_number:
    float
    double


def compressed(rows):
    """Dense rows as a CSR matrix of their non-zeros."""
    cdef int real = real_type(rows, "rows")
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
    cdef gram_rows source = rows_of(X, real_type(X, "X"), index, "X"), target = rows_of(taken, real_type(X, "X"), index, "X")
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


def elementwise(str function, cnp.ndarray x):
    """``exp`` or ``tanh`` of every element, as the kernels compute it: for tests and benchmarks."""
    cdef cnp.ndarray y = np.empty_like(x)
    cdef int real = cnp.PyArray_TYPE(x)
    cdef Py_ssize_t n = x.size
    cdef const void *source = cnp.PyArray_DATA(checked(x, real, "x"))
    cdef void *target = cnp.PyArray_DATA(y)
    cdef bint is_exp = {"exp": True, "tanh": False}[function]
    if real == cnp.NPY_FLOAT32:
        (KERNELS_OF_LEVEL.exp_f32 if is_exp else KERNELS_OF_LEVEL.tanh_f32)(<const float *> source, <float *> target, n)
    elif real == cnp.NPY_FLOAT64:
        (KERNELS_OF_LEVEL.exp_f64 if is_exp else KERNELS_OF_LEVEL.tanh_f64)(
            <const double *> source, <double *> target, n)
    else:
        raise TypeError(f"x must be of float32 or float64; got {x.dtype}.")
    return y
