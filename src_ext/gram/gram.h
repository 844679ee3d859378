/* Blocks of a kernel matrix. The specification is kernels/reference/gram.py. */
#ifndef FASTML_GRAM_H
#define FASTML_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

/* Bytes rounded up to whole cache lines, which vectors of any size are aligned to. */
static inline size_t gram_aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* In the order of _kernel.py's KERNELS. */
enum gram_kernel { GRAM_LINEAR, GRAM_POLY, GRAM_RBF, GRAM_SIGMOID };

/* Rows as they came: dense (indices NULL, row i at data + i * n_features) or CSR. */
typedef struct {
    ptrdiff_t n_rows, n_features;
    const void *data, *indices, *indptr;
} gram_rows;

/* B, laid out. Each method of those below fills and reads some of these; all arrays are of B's type. */
typedef struct {
    gram_rows rows;
    const void *sq_norms; /* of the shifted rows; room for a vector beyond the last */
    double max_sq_norm;
    const void *shift;  /* dense: taken off every row of A and B; NULL: none */
    const void *packed; /* dense: gemm.h's panels, and of those that are condensed what features they have */
    const uint16_t *features;
    const int32_t *n_kept;
    /* postings: the non-zeros of column c are column_value[column_start[c]..], in the rows column_row[..]. */
    const int64_t *column_start;
    const int32_t *column_row;
    const void *column_value;
} gram_layout;

/* Sums of a row's kernel values times coefficients, by segments of B's rows: out[i][g][s] is the sum over the
   columns of segment g, which are starts[g] <= j < starts[g + 1], of coef[s * n_columns + j] times the value.
 */
typedef struct {
    const void *coef; /* of B's type */
    ptrdiff_t n_columns, n_sums, n_segments;
    const int64_t *starts;
    double *out;
    void *lanes; /* room for n_sums times GRAM_MAX_VECTORS vectors */
} gram_sums;

enum { GRAM_MAX_VECTORS = 8 };

typedef struct {
    gram_layout b;
    gram_rows a;
    int kernel, degree;
    double gamma, coef0;
    double rate; /* gamma log2(e) */
    void *out;
    ptrdiff_t out_stride;  /* in elements */
    const gram_sums *sums; /* where not NULL, values are added to these instead of being stored */
} gram_job;

/* A way to compute a block. Shares of it are ranges of columns of `out`, whole granules each but for the
   last; results don't depend on them. scratch: bytes that `run` needs, 64-byte aligned, for each thread. */
typedef struct {
    ptrdiff_t granule;
    size_t (*scratch)(const gram_job *job);
    void (*run)(const gram_job *job, ptrdiff_t first, ptrdiff_t last, void *scratch);
    bool makes_sums; /* whether it heeds a job's `sums` */
} gram_method;

/* Increase the sums by a block of values, of the columns in [first, last). */
typedef void gram_add_sums(const gram_sums *sums, const void *block, ptrdiff_t stride, ptrdiff_t n_rows,
                           ptrdiff_t first, ptrdiff_t last);

/* Sums for every row of a job; expansion.c. */
typedef struct {
    gram_job job;   /* `out` and `sums` are not used */
    gram_sums sums; /* `out`: of all rows; by_chunk: one such for every chunk, to be added up in order */
    gram_method method;
    gram_add_sums *add_sums;
    ptrdiff_t value_bytes, index_bytes;
    /* Planned: */
    bool by_chunk;
    ptrdiff_t chunk, n_chunks;     /* columns at a time: sums do not depend on how rows are shared out */
    ptrdiff_t item_rows, run_rows; /* rows that a thread takes at a time, and of those at a time */
    size_t values_bytes;           /* of a thread's scratch memory, for values or a group's sums */
    size_t scratch_bytes;          /* all of it */
    char *scratch;                 /* for every thread */
    ptrdiff_t next;                /* item that the next idle thread takes */
} gram_expansion;

void gram_plan(gram_expansion *expansion, int n_threads);
/* A thread's work, for fastml_fork_join with as many shares as threads were planned. */
void gram_expand(void *expansion, int share, int n_shares);

/* What `prepare` asks of a type: laying out dense rows; squared norms of sparse ones. */
typedef struct {
    ptrdiff_t panel_columns;
    /* Whether a shift of dense rows lessens rounding, and which; mean: room for a number per feature. */
    bool (*choose_shift)(const gram_rows *rows, double *mean, void *shift);
    bool (*can_condense)(ptrdiff_t n_features);
    /* features, n_kept: NULL where panels are not to be condensed. */
    void (*pack)(const gram_layout *b, void *packed, uint16_t *features, int32_t *n_kept, void *sq_norms,
                 ptrdiff_t first, ptrdiff_t last);
    void (*sparse_norms_i32)(const gram_rows *rows, void *sq_norms);
    void (*sparse_norms_i64)(const gram_rows *rows, void *sq_norms);
} gram_preparation;

typedef struct {
    gram_preparation prepare_f32, prepare_f64;
    gram_method dense_f32, dense_f64;
    gram_method table_f32_i32, table_f32_i64, table_f64_i32, table_f64_i64;
    gram_method postings_f32_i32, postings_f32_i64, postings_f64_i32, postings_f64_i64;
    /* y[i] = exp(x[i]) and tanh(x[i]), for tests and benchmarks of simd/exp.h. */
    void (*exp_f32)(const float *x, float *y, ptrdiff_t n);
    void (*exp_f64)(const double *x, double *y, ptrdiff_t n);
    void (*tanh_f32)(const float *x, float *y, ptrdiff_t n);
    void (*tanh_f64)(const double *x, double *y, ptrdiff_t n);
    gram_add_sums *add_sums_f32, *add_sums_f64;
} gram_kernels;

FASTML_DECLARE(gram_kernels, gram_kernels);
#define GRAM_KERNELS(level) FASTML_SELECT(gram_kernels, level)

#endif
