/* Optimizers' updates, and clipping. The specification is kernels/reference/optimizer.py. */
#ifndef FASTML_OPTIMIZER_H
#define FASTML_OPTIMIZER_H

#include <stddef.h>

#include "dispatch.h"
#include "program.h"

enum { OPT_PART = 16384 /* elements of a part, unless something else is wanted */ };

typedef struct {
    void *w;
    const void *g;
    void *state[3]; /* in the order of the function's arguments; NULL where there is none */
    const double *settings;
    ptrdiff_t n, part_size;
} opt_update;

/* g is read or updated; sums has an element for each part. w and strength are add_ridge's. */
typedef struct {
    void *g;
    const void *w;
    double *sums, *out;
    const double *squared, *strength;
    double limit;
    ptrdiff_t n, part_size, n_parts;
} opt_clip;

typedef struct {
    fastml_part *sgd, *rmsprop, *adagrad, *adam;                                 /* opt_update */
    fastml_part *squared_norm, *add_ridge, *add_norms /* a phase of one part */; /* opt_clip */
    fastml_part *scale_by_norm, *clip;
} opt_functions;

typedef struct {
    opt_functions f32, f64;
} opt_kernels;

FASTML_DECLARE(opt_kernels, opt_kernels);
#define OPT_KERNELS(level) FASTML_SELECT(opt_kernels, level)

#endif
