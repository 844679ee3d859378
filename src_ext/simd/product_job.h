/* A product of two matrices that lie either way, in parts: what product.h's templates work on. */
#ifndef FASTML_PRODUCT_JOB_H
#define FASTML_PRODUCT_JOB_H

#include <stdbool.h>
#include <stddef.h>

/* Row i, depth k is at data[i * stride + k], or by_depth at data[k * stride + i]. */
typedef struct {
    const void *data;
    ptrdiff_t stride;
    bool by_depth;
} product_operand;

/* out = A B^T, plus `bias` to each row, negative values then set to zero if `relu`. All of one element type.
 */
typedef struct {
    product_operand a, b;
    ptrdiff_t n_rows, n_columns, depth; /* rows of A, rows of B, elements of each */
    void *out;                          /* n_rows x n_columns, contiguous */
    const void *bias;                   /* NULL: none */
    bool relu;
    void *sums_of_b;     /* over the depth, n_columns of them; NULL: none. B is to lie by depth. */
    ptrdiff_t n_threads; /* that are to share it, more or less */
    /* Planned: */
    ptrdiff_t row_parts, column_parts, depth_parts;
    ptrdiff_t n_parts, n_sum_parts; /* of the product; of the sum over depth parts, to be run after it */
    size_t partial_bytes, scratch_bytes;
    /* To be allocated by the caller, partial_bytes: the product of each depth part. NULL if there is one. */
    void *partial;
} product_job;

typedef struct {
    void (*plan)(product_job *job);
    void (*run)(const void *job, ptrdiff_t part, void *scratch);
    void (*sum)(const void *job, ptrdiff_t part, void *scratch);
} product_kernels;

#endif
