/* Both element types, from one template; compiled once per instruction-set level. */
#include "vector.h"

#include "dense.h"

#define REAL float
#define KIND f32
#include "gemm.h"

#include "product.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "gemm.h"

#include "product.h"

#define PRODUCT(kind) {product_plan_##kind, product_run_##kind, product_sum_##kind}

const dense_kernels FASTML_AT_LEVEL(dense_kernels) = {PRODUCT(f32), PRODUCT(f64)};
