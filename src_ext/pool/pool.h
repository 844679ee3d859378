/* Pooling of images, channels last. The specification is kernels/reference/pool.py. */
#ifndef FASTML_POOL_H
#define FASTML_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "program.h"

/* A forward step's image is its input, a gradient's its result. A part is some rows: of the pooled images in
   a forward step, of the images in a gradient. */
typedef struct {
    void *image, *pooled;
    int32_t *argmax; /* like pooled; may be NULL */
    ptrdiff_t n, h, w, c, pooled_h, pooled_w;
    ptrdiff_t window[2], strides[2], padding[2];
    ptrdiff_t rows_per_part;
} pool_job;

typedef struct {
    fastml_part *max_forward, *max_gradient, *average_forward, *average_gradient;
} pool_functions;

typedef struct {
    pool_functions f32, f64;
} pool_kernels;

FASTML_DECLARE(pool_kernels, pool_kernels);
#define POOL_KERNELS(level) FASTML_SELECT(pool_kernels, level)

#endif
