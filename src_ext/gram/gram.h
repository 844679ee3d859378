/* Blocks of a kernel matrix. The specification is kernels/reference/gram.py. */
#ifndef FASTML_GRAM_H
#define FASTML_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

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
    const void *packed; /* dense: gemm.h's panels */
    /* postings: the non-zeros of column c are column_value[column_start[c]..], in the rows column_row[..]. */
    const int64_t *column_start;
    const int32_t *column_row;
    const void *column_value;
} gram_layout;

typedef struct {
    gram_layout b;
    gram_rows a;
    int kernel, degree;
    double gamma, coef0;
    void *out;
    ptrdiff_t out_stride; /* in elements */
} gram_job;

/* A way to compute a block. Shares of it are ranges of columns of `out`, whole granules each but for the
   last; results don't depend on them. scratch: bytes that `run` needs, 64-byte aligned, for each thread. */
typedef struct {
    ptrdiff_t granule;
    size_t (*scratch)(const gram_job *job);
    void (*run)(const gram_job *job, ptrdiff_t first, ptrdiff_t last, void *scratch);
} gram_method;

/* What `prepare` asks of a type: laying out dense rows; squared norms of sparse ones. */
typedef struct {
    ptrdiff_t panel_columns;
    /* Whether a shift of dense rows lessens rounding, and which; mean: room for a number per feature. */
    bool (*choose_shift)(const gram_rows *rows, double *mean, void *shift);
    void (*pack)(const gram_layout *b, void *packed, void *sq_norms);
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
} gram_kernels;

FASTML_DECLARE(gram_kernels, gram_kernels);
#define GRAM_KERNELS(level) FASTML_SELECT(gram_kernels, level)

#endif
