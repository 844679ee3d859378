/* Every combination of element type and storage, from one loop; compiled once per instruction-set level.
 *
 * 64-bit indices are for matrices of more than 2^31 entries. There the loss is a variable: rows of 10 and 40
 * entries take 0.86 to 1.04 of the time that they take where it is a constant, and the file a third less time
 * to compile.
 */
#include <stdbool.h>

#include "sgd.h"

#define REAL float
#define KIND f32
#define WSCALE_FLOOR 1e-6
#include "weights.h"
#define VARIANT dense_f32
#define LOOK_AHEAD
#include "row_dense.h"
#include "steps.h"
#undef LOOK_AHEAD
#undef VARIANT
#define INDEX int32_t
#define VARIANT csr_f32_i32
#include "row_csr.h"
#include "steps.h"
#undef INDEX
#undef VARIANT
#define INDEX int64_t
#define VARIANT csr_f32_i64
#define LOSS_IS_VARIABLE
#include "row_csr.h"
#include "steps.h"
#undef LOSS_IS_VARIABLE
#undef INDEX
#undef VARIANT
#undef REAL
#undef KIND
#undef WSCALE_FLOOR

#define REAL double
#define KIND f64
#define WSCALE_FLOOR 1e-9
#include "weights.h"
#define VARIANT dense_f64
#define LOOK_AHEAD
#include "row_dense.h"
#include "steps.h"
#undef LOOK_AHEAD
#undef VARIANT
#define INDEX int32_t
#define VARIANT csr_f64_i32
#include "row_csr.h"
#include "steps.h"
#undef INDEX
#undef VARIANT
#define INDEX int64_t
#define VARIANT csr_f64_i64
#define LOSS_IS_VARIABLE
#include "row_csr.h"
#include "steps.h"

const sgd_kernels FASTML_AT_LEVEL(sgd_kernels) = {
    run_dense_f32,   run_dense_f64,   run_csr_f32_i32, run_csr_f32_i64,
    run_csr_f64_i32, run_csr_f64_i64, fold_f32,        fold_f64,
};
