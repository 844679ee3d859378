/* Both element types, from one template; compiled once per instruction-set level. */
#include "vector.h"

#include "dense.h"

#define REAL float
#define KIND f32
#include "gemm.h"

#include "product.h"

#include "peak.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "gemm.h"

#include "product.h"

#include "peak.h"

#define PRODUCT(kind) {product_plan_##kind, product_pack_once_##kind, product_run_##kind, product_sum_##kind}

const dense_kernels FASTML_AT_LEVEL(dense_kernels) = {
    PRODUCT(f32),
    PRODUCT(f64),
    peak_f32,
    peak_f64,
    DENSE_PEAK_CHAINS * LANES_f32,
    DENSE_PEAK_CHAINS * LANES_f64,
};
