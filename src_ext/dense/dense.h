/* Dense layers: three products of matrices. The specification is kernels/reference/dense.py. */
#ifndef FASTML_DENSE_H
#define FASTML_DENSE_H

#include "dispatch.h"
#include "product_job.h"

/* What a processor can do at most, to measure others by: parts of n rounds of independent multiply-adds. */
typedef struct {
    ptrdiff_t n;
    void *out; /* n_parts; written, so that there is something to compute */
} dense_peak;

enum { DENSE_PEAK_CHAINS = 12 };

typedef struct {
    product_kernels f32, f64;
    void (*peak_f32)(const void *job, ptrdiff_t part, void *scratch);
    void (*peak_f64)(const void *job, ptrdiff_t part, void *scratch);
    ptrdiff_t peak_width_f32, peak_width_f64; /* multiply-adds of a round */
} dense_kernels;

FASTML_DECLARE(dense_kernels, dense_kernels);
#define DENSE_KERNELS(level) FASTML_SELECT(dense_kernels, level)

#endif
