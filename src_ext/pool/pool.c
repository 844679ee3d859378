/* Both element types from one template; compiled once per instruction-set level. */
#include "pool.h"

#include "vector.h"

typedef struct {
    ptrdiff_t first, last; /* last is not one of them */
} span;

/* Rows (axis 0) or columns (axis 1) of the image that a window's have. */
INLINE span window_span(const pool_job *job, int axis, ptrdiff_t position) {
    ptrdiff_t size = axis ? job->w : job->h, first = position * job->strides[axis] - job->padding[axis];
    ptrdiff_t last = first + job->window[axis];
    return (span){first < 0 ? 0 : first, last > size ? size : last};
}

/* Rows or columns of the windows that have a row or column of the image. */
INLINE span windows_of(const pool_job *job, int axis, ptrdiff_t position) {
    ptrdiff_t size = axis ? job->pooled_w : job->pooled_h, stride = job->strides[axis];
    ptrdiff_t padded = position + job->padding[axis], before = padded - job->window[axis];
    ptrdiff_t first = before < 0 ? 0 : before / stride + 1, last = padded / stride + 1;
    return (span){first, last > size ? size : last};
}

INLINE ptrdiff_t end_of(const pool_job *job, ptrdiff_t part, ptrdiff_t n_rows) {
    ptrdiff_t last = (part + 1) * job->rows_per_part;
    return last < n_rows ? last : n_rows;
}

#define REAL float
#define KIND f32
#define IS_F32 1
#include "windows.h"
#undef REAL
#undef KIND

#undef IS_F32
#define REAL double
#define KIND f64
#define IS_F32 0
#include "windows.h"

#define FUNCTIONS(kind)                                                                                      \
    {max_forward_##kind, max_gradient_##kind, average_forward_##kind, average_gradient_##kind}

const pool_kernels FASTML_AT_LEVEL(pool_kernels) = {FUNCTIONS(f32), FUNCTIONS(f64)};
