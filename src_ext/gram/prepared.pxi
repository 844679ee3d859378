# B, laid out once: dense rows in panels, sparse ones by columns where that pays.

# What a value costs besides, in multiply-adds.
cdef Py_ssize_t WORK_PER_VALUE = 30
# What one non-zero of B costs for a row of A, in multiply-adds of the dense product.
cdef Py_ssize_t WORK_PER_NON_ZERO = 2
# Laying out an element, in multiply-adds: a first touch of its memory most of all.
cdef Py_ssize_t PACK_WORK = 16
# From which on features that are zero in all rows of a panel are looked for.
cdef Py_ssize_t FEATURES_TO_CONDENSE = 32

# The costs by which `postings_pay` decides, cycles for a vector of multiply-adds: estimates, not calibrated.
cdef double TABLE_IN_CACHE_1 = 0.7
cdef double TABLE_IN_CACHE_2 = 2.0
cdef double TABLE_BEYOND = 6.0
cdef double POSTING = 2.0
cdef Py_ssize_t CACHE_1 = 1 << 15
cdef Py_ssize_t CACHE_2 = 1 << 19


cdef struct Packing:
    const gram_layout *layout
    void *packed
    uint16_t *features
    int32_t *n_kept
    void *sq_norms
    gram_preparation of_type


cdef void pack_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Packing *packing = <Packing *> context
    cdef Py_ssize_t n_rows = packing.layout.rows.n_rows, width = packing.of_type.panel_columns
    cdef Py_ssize_t n_panels = (n_rows + width - 1) // width
    packing.of_type.pack(
        packing.layout, packing.packed, packing.features, packing.n_kept, packing.sq_norms,
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
    cdef void *features
    cdef void *n_kept
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
        free(self.features)
        free(self.n_kept)
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
        cdef int n_shares = threads_for(<double> PACK_WORK * n_padded * n_features, None)
        if self.layout.shift == NULL and n_features >= FEATURES_TO_CONDENSE and of_type.can_condense(n_features):
            self.features = self.own(n_padded // of_type.panel_columns * n_features * 2, "features of packed rows")
            self.n_kept = self.own(n_padded // of_type.panel_columns * 4, "counts of features of packed rows")
        packing.layout, packing.packed, packing.sq_norms = &self.layout, self.packed, self.sq_norms
        packing.features, packing.n_kept = <uint16_t *> self.features, <int32_t *> self.n_kept
        packing.of_type = of_type
        with nogil:
            memset(self.sq_norms, 0, n_padded * size)
            run_shares(pack_share, &packing, n_shares, n_shares)
        self.layout.packed = self.packed
        self.layout.features = <const uint16_t *> self.features
        self.layout.n_kept = <const int32_t *> self.n_kept
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
