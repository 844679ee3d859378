/* Sums of products of the columns of X, of 1, and of targets. The specification is kernels/reference/glm.py's
 * `moments`. */
#ifndef FASTML_GLM_MOMENTS_H
#define FASTML_GLM_MOMENTS_H

#include "dispatch.h"
#include "linear_data.h"

typedef struct {
    linear_data x;        /* X, and class codes where targets are codes */
    const double *target; /* n_targets x n_rows; NULL: class codes */
    ptrdiff_t n_targets;
    const double *weight; /* n_rows; NULL: every row weighs 1 */
    const double *shift;  /* of the features, then of the targets */
    const int64_t *rows;  /* the rows to take; NULL: all */
    ptrdiff_t n_taken;
    double *out; /* (n_features + 1 + n_targets) x (n_features + 1) */
    int n_shares;
    void *scratch; /* as many bytes as `scratch` says, on a cache line's boundary */
} moments_job;

/* For one element type and storage. `run` is called for each share, and then `reduce`. */
typedef struct {
    size_t (*scratch)(const moments_job *);
    void (*run)(const moments_job *, int share);
    void (*reduce)(const moments_job *);
} moments_pass;

typedef struct {
    /* In X's own precision, and in float64: dense f32, f64; CSR f32 i32, i64; CSR f64 i32, i64. */
    const moments_pass *passes[2][6];
} moments_kernels;

FASTML_DECLARE(moments_kernels, moments_kernels);
#define MOMENTS_KERNELS(level) FASTML_SELECT(moments_kernels, level)

#endif
