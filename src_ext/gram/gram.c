/* Every combination of element type and storage, from one template of each; compiled once per instruction-set
   level. */
#include <math.h>
#include <stdbool.h>

#include "vector.h"

#include "gram.h"

#define REAL float
#define KIND f32
#include "elements.h"
#define INDEX int32_t
#define VARIANT f32_i32
#include "sparse.h"
#undef INDEX
#undef VARIANT
#define INDEX int64_t
#define VARIANT f32_i64
#include "sparse.h"
#undef INDEX
#undef VARIANT
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "elements.h"
#define INDEX int32_t
#define VARIANT f64_i32
#include "sparse.h"
#undef INDEX
#undef VARIANT
#define INDEX int64_t
#define VARIANT f64_i64
#include "sparse.h"

#define PREPARATION(kind)                                                                                    \
    {GEMM_COLUMNS_##kind, choose_shift_##kind,       can_condense_##kind,                                    \
     pack_##kind,         sparse_norms_##kind##_i32, sparse_norms_##kind##_i64}
#define DENSE(kind) {GEMM_COLUMNS_##kind, dense_scratch_##kind, dense_run_##kind, false}
#define SPARSE(method, kind, variant) {LANES_##kind, method##_scratch_##variant, method##_run_##variant, true}

const gram_kernels FASTML_AT_LEVEL(gram_kernels) = {
    PREPARATION(f32),
    PREPARATION(f64),
    DENSE(f32),
    DENSE(f64),
    SPARSE(table, f32, f32_i32),
    SPARSE(table, f32, f32_i64),
    SPARSE(table, f64, f64_i32),
    SPARSE(table, f64, f64_i64),
    SPARSE(postings, f32, f32_i32),
    SPARSE(postings, f32, f32_i64),
    SPARSE(postings, f64, f64_i32),
    SPARSE(postings, f64, f64_i64),
    exp_all_f32,
    exp_all_f64,
    tanh_all_f32,
    tanh_all_f64,
    add_sums_f32,
    add_sums_f64,
};
