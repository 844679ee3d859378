/* The passes for every element type and storage, and the method; compiled once per instruction-set level. */
#include "newton.h"

#include <math.h>

#include "logistic.h"

#define LOOPS "passes.h"
#include "instances.h"

#include "trust_region.h"

const nt_kernels FASTML_AT_LEVEL(nt_kernels) = {
    {&passes_dense_f32, &passes_dense_f64, &passes_csr_f32_i32, &passes_csr_f32_i64, &passes_csr_f64_i32,
     &passes_csr_f64_i64},
    advance,
};
