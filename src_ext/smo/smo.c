/* Both element types of kernel values, from one source; compiled once per instruction-set level. */
#include "smo.h"

#define REAL float
#define KIND f32
#include "block.h"
#include "product.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "block.h"
#include "product.h"

const smo_kernels FASTML_AT_LEVEL(smo_kernels) = {
    solve_f32, solve_f64, add_moves_f32, add_moves_f64, add_rows_f32, add_rows_f64, gather_f32, gather_f64,
};
