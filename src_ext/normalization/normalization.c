/* Both element types from one template; compiled once per instruction-set level. */
#include "normalization.h"

#include <math.h>

#include "vector.h"

/* Rows whose sums are taken in the elements' type, before they go on in double. */
enum { ROWS_AT_ONCE = 64 };

INLINE ptrdiff_t end_of(const norm_job *job, ptrdiff_t part) {
    ptrdiff_t last = (part + 1) * job->rows_per_part;
    return last < job->n ? last : job->n;
}

INLINE double *column(const norm_job *job, enum norm_column name) { return job->columns + name * job->c; }

#define REAL float
#define KIND f32
#include "batch.h"
#include "layer.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "batch.h"
#include "layer.h"

#define FUNCTIONS(kind)                                                                                      \
    {batch_moments_##kind,  batch_statistics_##kind, apply_##kind,          infer_columns_##kind,            \
     gradient_sums_##kind,  gradient_columns_##kind, gradient_apply_##kind, layer_forward_##kind,            \
     layer_gradient_##kind, layer_parameters_##kind}

const norm_kernels FASTML_AT_LEVEL(norm_kernels) = {FUNCTIONS(f32), FUNCTIONS(f64)};
