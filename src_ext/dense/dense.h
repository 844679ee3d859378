/* Dense layers: three products of matrices. The specification is kernels/reference/dense.py. */
#ifndef FASTML_DENSE_H
#define FASTML_DENSE_H

#include "dispatch.h"
#include "product_job.h"

typedef struct {
    product_kernels f32, f64;
} dense_kernels;

FASTML_DECLARE(dense_kernels, dense_kernels);
#define DENSE_KERNELS(level) FASTML_SELECT(dense_kernels, level)

#endif
