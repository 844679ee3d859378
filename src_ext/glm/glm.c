/* Every combination of element type and storage, from one template of each; compiled once per instruction-set
   level. */
#include "glm.h"

#include "layout.h"
#include "reduce.h"

#define REAL float
#define KIND f32
#include "elements.h"
#define INDEX int32_t
#define VARIANT f32_i32
#include "sparse.h"
#define INDEX int64_t
#define VARIANT f32_i64
#include "sparse.h"
#undef REAL
#undef KIND

#define REAL double
#define KIND f64
#include "elements.h"
#define INDEX int32_t
#define VARIANT f64_i32
#include "sparse.h"
#define INDEX int64_t
#define VARIANT f64_i64
#include "sparse.h"

const glm_kernels FASTML_AT_LEVEL(glm_kernels) = {
    {&dense_passes_f32, &dense_passes_f64, &csr_passes_f32_i32, &csr_passes_f32_i64, &csr_passes_f64_i32,
     &csr_passes_f64_i64},
};
