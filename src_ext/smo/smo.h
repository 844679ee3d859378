/* Sequential minimal optimisation on a block of variables, and what surrounds it. The specification is
 * kernels/reference/smo.py.
 */
#ifndef FASTML_SMO_H
#define FASTML_SMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

/* Curvature of a pair where the kernel gives none above zero (Fan, Chen, Lin 2005, section 2.4). */
#define SMO_TAU 1e-12

enum smo_stop { SMO_CONVERGED, SMO_MAX_UPDATES, SMO_STALLED, SMO_NO_MEMORY };

typedef struct {
    const void *K; /* rows K_stride elements apart */
    ptrdiff_t K_stride;
    const int32_t *index; /* row of K that a variable stands on; NULL: its own number */
    ptrdiff_t n;
    const double *y, *C;
    double *alpha, *gradient;
    double tol;
    int64_t max_updates;
    bool nu;
    /* Results. */
    int64_t n_updates;
    double violation;
    int stop;
    size_t lacking_bytes; /* that memory was not to be had for: SMO_NO_MEMORY */
} smo_block;

/* One problem's variables, for the choice of a working set. */
typedef struct {
    const double *decision;
    const int32_t *index; /* element of `decision` that a variable stands on; NULL: its own number */
    ptrdiff_t n;
    const double *y, *p, *C, *alpha;
    bool nu;
} smo_variables;

/* decision[c] += sum_j coefficients[j] K[slots[j], c], for the columns first..last-1. */
typedef struct {
    double *decision;
    const void *K;
    ptrdiff_t K_stride;
    const int32_t *slots; /* NULL: 0, 1, ... */
    const double *coefficients;
    ptrdiff_t n_rows, n_columns;
} smo_product;

/* out[i, j] = K[slots[i], columns[j]], for the rows first..last-1. Strides in elements. */
typedef struct {
    const void *K;
    void *out;
    ptrdiff_t K_stride, out_stride;
    const int32_t *slots, *columns;
    ptrdiff_t n_columns;
} smo_gather;

typedef void (*smo_solve)(smo_block *block);
typedef void (*smo_add_moves)(const smo_block *block, const double *moves);
typedef void (*smo_add_rows)(const smo_product *product, ptrdiff_t first, ptrdiff_t last);

typedef void (*smo_gather_rows)(const smo_gather *gather, ptrdiff_t first, ptrdiff_t last);

typedef struct {
    smo_solve solve_f32, solve_f64;
    smo_add_moves add_moves_f32, add_moves_f64;
    smo_add_rows add_rows_f32, add_rows_f64;
    smo_gather_rows gather_f32, gather_f64;
} smo_kernels;

FASTML_DECLARE(smo_kernels, smo_kernels);
#define SMO_KERNELS(level) FASTML_SELECT(smo_kernels, level)

/* The working set, `size` variables at most, of which the first n_kept are given; its size. The largest
   violation of all variables goes to *violation. scratch: smo_select_scratch bytes, aligned for doubles. */
ptrdiff_t smo_select(const smo_variables *variables, int32_t *working_set, ptrdiff_t n_kept, ptrdiff_t size,
                     void *scratch, double *violation);
size_t smo_select_scratch(ptrdiff_t n_variables, ptrdiff_t n_kept, ptrdiff_t size);

#endif
