/* Every function for both element types; compiled once per instruction-set level. */
#include "activation.h"

#include <math.h>

#include "vector.h"

#include "philox.h"

#define REAL float
#define KIND f32
#include "exp.h"

#include "special.h"

#include "formulas.h"

#include "elements.h"
#include "rows.h"

#include "dropout.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "exp.h"

#include "special.h"

#include "formulas.h"

#include "elements.h"
#include "rows.h"

#include "dropout.h"

/* After all parts of a call: the next one has other words. */
static void dropout_next(const void *context, ptrdiff_t part, void *scratch) {
    const act_dropout *job = context;
    (void)part;
    (void)scratch;
    job->state[1]++;
}

#define FUNCTIONS(kind)                                                                                      \
    {forward_##kind,                                                                                         \
     gradient_##kind,                                                                                        \
     softmax_##kind,                                                                                         \
     softmax_gradient_##kind,                                                                                \
     log_softmax_##kind,                                                                                     \
     log_softmax_gradient_##kind,                                                                            \
     sparsemax_##kind,                                                                                       \
     sparsemax_gradient_##kind,                                                                              \
     softmax_cross_entropy_##kind,                                                                           \
     dropout_##kind,                                                                                         \
     dropout_next,                                                                                           \
     dropout_gradient_##kind}

const act_kernels FASTML_AT_LEVEL(act_kernels) = {FUNCTIONS(f32), FUNCTIONS(f64)};
