/* Both element types, from one template of each; compiled once per instruction-set level. */
#include <math.h>

#include "vector.h"

#include "conv.h"

#define REAL float
#define KIND f32
#include "methods.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "methods.h"

#define METHODS(kind)                                                                                        \
    {.plan_forward = plan_forward_##kind,                                                                    \
     .pack_forward = pack_forward_##kind,                                                                    \
     .forward = forward_##kind,                                                                              \
     .plan_input = plan_input_##kind,                                                                        \
     .pack_input = pack_input_##kind,                                                                        \
     .input = input_##kind,                                                                                  \
     .plan_maxima_input = plan_maxima_input_##kind,                                                          \
     .pack_maxima_input = pack_maxima_input_##kind,                                                          \
     .maxima_input = maxima_input_##kind,                                                                    \
     .plan_filters = plan_filters_##kind,                                                                    \
     .filters = filters_##kind,                                                                              \
     .sum_filters = sum_filters_##kind}

const conv_kernels FASTML_AT_LEVEL(conv_kernels) = {METHODS(f32), METHODS(f64), GEMM_COLUMNS_f32,
                                                    GEMM_COLUMNS_f64};
