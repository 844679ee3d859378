# gram.h's structs, as far as the binding reads and fills them.

cdef extern from "gram.h":
    size_t gram_aligned(size_t) nogil

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
        const uint16_t *features
        const int32_t *n_kept
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
        bint (*can_condense)(Py_ssize_t) noexcept nogil
        void (*pack)(
            const gram_layout *, void *, uint16_t *, int32_t *, void *, Py_ssize_t, Py_ssize_t) noexcept nogil
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
