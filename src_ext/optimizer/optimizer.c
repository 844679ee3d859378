/* Both element types from one template; compiled once per instruction-set level. */
#include "optimizer.h"

#include <math.h>

#include "vector.h"

INLINE ptrdiff_t elements_of_part(ptrdiff_t part, ptrdiff_t n, ptrdiff_t size) {
    ptrdiff_t left = n - part * size;
    return left < size ? left : size;
}

/* GCC does not vectorise a loop over such lanes that converts, so they are told. */
typedef double eight_sums __attribute__((vector_size(64)));

INLINE double sum_of_eight(const eight_sums *of) {
    eight_sums s = *of;
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* In the order of the parts, whoever summed them. */
static void add_norms(const void *context, ptrdiff_t part, void *scratch) {
    const opt_clip *job = context;
    (void)part;
    (void)scratch;
    double total = 0.0;
    for (ptrdiff_t i = 0; i < job->n_parts; i++)
        total += job->sums[i];
    *job->out = total;
}

#define REAL float
#define KIND f32
#define ROOT sqrtf
#include "updates.h"
#undef REAL
#undef KIND
#undef ROOT

#define REAL double
#define KIND f64
#define ROOT sqrt
#include "updates.h"

#define FUNCTIONS(kind)                                                                                      \
    {sgd_##kind,       rmsprop_##kind, adagrad_##kind,       adam_##kind, squared_norm_##kind,               \
     add_ridge_##kind, add_norms,      scale_by_norm_##kind, clip_##kind}

const opt_kernels FASTML_AT_LEVEL(opt_kernels) = {FUNCTIONS(f32), FUNCTIONS(f64)};
