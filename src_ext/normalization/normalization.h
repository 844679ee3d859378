/* Batch and layer normalisation. The specification is kernels/reference/normalization.py. */
#ifndef FASTML_NORMALIZATION_H
#define FASTML_NORMALIZATION_H

#include <stddef.h>

#include "dispatch.h"
#include "program.h"

/* Vectors of c elements, and for a layer those of n, may be NULL where they are not there or not wanted.
   `sums` has two rows of c for each block of rows_per_part rows, `columns` N_COLUMNS rows of c: what the
   blocks come to. */
typedef struct {
    const void *x, *dout;
    void *result; /* out, or dX */
    const void *gamma, *beta;
    void *mean, *inverse_std;
    void *moving_mean, *moving_variance;
    void *dgamma, *dbeta;
    double *sums, *columns;
    double momentum, epsilon;
    ptrdiff_t n, c, rows_per_part, n_parts;
} norm_job;

/* out = (x - centre) slope + shift; dX = (dout - centre - (x - shift) slope) factor. */
enum norm_column { NORM_CENTRE, NORM_SLOPE, NORM_SHIFT, NORM_FACTOR, N_COLUMNS };

/* The phases of each operation, in order. A part is a block of rows, or with one part all of it. */
typedef struct {
    fastml_part *batch_moments, *batch_statistics /* one part */, *apply;
    fastml_part *infer_columns /* one part; then apply */;
    fastml_part *gradient_sums, *gradient_columns /* one part */, *gradient_apply;
    fastml_part *layer_forward, *layer_gradient, *layer_parameters /* one part */;
} norm_functions;

typedef struct {
    norm_functions f32, f64;
} norm_kernels;

FASTML_DECLARE(norm_kernels, norm_kernels);
#define NORM_KERNELS(level) FASTML_SELECT(norm_kernels, level)

#endif
