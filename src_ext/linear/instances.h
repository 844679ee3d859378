/* Include LOOPS, a header of loops over rows, for every element type and storage. */
#define REAL float
#define KIND f32
#include "reals.h"
#define VARIANT dense_f32
#define DENSE
#include "row_dense.h"
#include LOOPS
#undef DENSE
#undef VARIANT
#undef COLUMN
#define INDEX int32_t
#define VARIANT csr_f32_i32
#include "row_csr.h"
#include LOOPS
#undef INDEX
#undef VARIANT
#undef COLUMN
#define INDEX int64_t
#define VARIANT csr_f32_i64
#include "row_csr.h"
#include LOOPS
#undef INDEX
#undef VARIANT
#undef COLUMN
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "reals.h"
#define VARIANT dense_f64
#define DENSE
#include "row_dense.h"
#include LOOPS
#undef DENSE
#undef VARIANT
#undef COLUMN
#define INDEX int32_t
#define VARIANT csr_f64_i32
#include "row_csr.h"
#include LOOPS
#undef INDEX
#undef VARIANT
#undef COLUMN
#define INDEX int64_t
#define VARIANT csr_f64_i64
#include "row_csr.h"
#include LOOPS
#undef INDEX
#undef VARIANT
#undef COLUMN
#undef REAL
#undef KIND
