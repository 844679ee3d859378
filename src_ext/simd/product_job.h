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
    /* Of how many rows, or columns, each part is, so that others can go along with it; 0: as planned. Of one
       of them at most, and then what is not cut is packed once, before the parts. */
    ptrdiff_t row_unit, column_unit;
    /* Planned: */
    ptrdiff_t row_parts, column_parts, depth_parts;
    /* Of packing, to be run before the product; of this; of the sum over depth parts, to be run after it. */
    ptrdiff_t n_pack_parts, n_parts, n_sum_parts;
    size_t packed_bytes, partial_bytes, scratch_bytes;
    /* To be allocated by the caller, of packed_bytes and partial_bytes, unless those are 0: what is packed
       once, and the product of each depth part. */
    void *packed, *partial;
} product_job;

typedef struct {
    void (*plan)(product_job *job);
    void (*pack)(const void *job, ptrdiff_t part, void *scratch);
    void (*run)(const void *job, ptrdiff_t part, void *scratch);
    void (*sum)(const void *job, ptrdiff_t part, void *scratch);
} product_kernels;

#endif
