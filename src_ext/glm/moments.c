/* Moments for every combination of element type, arithmetic and storage; compiled once per instruction-set
   level. */
#include "moments.h"

#define REAL float
#define KIND f32
#include "gemm.h"
#include "moments_pass.h"

#define VARIANT f32
#include "moments_dense.h"
#define INDEX int32_t
#define VARIANT f32_i32
#include "moments_csr.h"
#define INDEX int64_t
#define VARIANT f32_i64
#include "moments_csr.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "gemm.h"
#include "moments_pass.h"

#define VARIANT f64
#include "moments_dense.h"
#define INDEX int32_t
#define VARIANT f64_i32
#include "moments_csr.h"
#define INDEX int64_t
#define VARIANT f64_i64
#include "moments_csr.h"
#undef REAL

/* float32 rows in float64 arithmetic: KIND is still f64. */
#define REAL float
#define VARIANT f32_exact
#include "moments_dense.h"
#define INDEX int32_t
#define VARIANT f32_exact_i32
#include "moments_csr.h"
#define INDEX int64_t
#define VARIANT f32_exact_i64
#include "moments_csr.h"

const moments_kernels FASTML_AT_LEVEL(moments_kernels) = {
    {{&moments_pass_dense_f32, &moments_pass_dense_f64, &moments_pass_csr_f32_i32, &moments_pass_csr_f32_i64,
      &moments_pass_csr_f64_i32, &moments_pass_csr_f64_i64},
     {&moments_pass_dense_f32_exact, &moments_pass_dense_f64, &moments_pass_csr_f32_exact_i32,
      &moments_pass_csr_f32_exact_i64, &moments_pass_csr_f64_i32, &moments_pass_csr_f64_i64}},
};
