/* Every combination of loss, element type and storage; compiled once per instruction-set level. */
#include "dual_cd.h"

#include "logistic.h"
#include "sweep.h"

#define LOOPS "loops.h"
#include "instances.h"

const cd_kernels FASTML_AT_LEVEL(cd_kernels) = {
    {&variant_dense_f32, &variant_dense_f64, &variant_csr_f32_i32, &variant_csr_f32_i64, &variant_csr_f64_i32,
     &variant_csr_f64_i64},
};
