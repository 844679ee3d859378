/* The loops over windows, the channels in the lanes, for REAL of KIND: a template.
 *
 * A gradient goes over the elements of the image and gathers from the windows that have them: each is written
 * once, and no index that was stored is ever followed. */

#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define N_LANES OF(LANES, KIND)
#define LOAD OF(load_up_to, KIND)
#define STORE OF(store_up_to, KIND)
/* As many int32 as there are lanes. */
#define INDICES OF(indices, KIND)
typedef int32_t INDICES __attribute__((vector_size(4 * N_LANES)));

INLINE void OF(store_indices, KIND)(int32_t *p, BITS indices, ptrdiff_t n) {
    INDICES narrow = __builtin_convertvector(indices, INDICES);
    memcpy(p, &narrow, 4 * (n < N_LANES ? n : N_LANES));
}

INLINE BITS OF(load_indices, KIND)(const int32_t *p, ptrdiff_t n) {
    INDICES narrow = {0};
    memcpy(&narrow, p, 4 * (n < N_LANES ? n : N_LANES));
    return __builtin_convertvector(narrow, BITS);
}

INLINE BITS OF(lane_numbers, KIND)(void) {
    BITS lanes = {0};
    for (int i = 0; i < N_LANES; i++)
        lanes[i] = i;
    return lanes;
}

/* The largest of a window's elements, of `left` channels at most from x on, and its index. A NaN stays. */
INLINE VEC OF(window_max, KIND)(const REAL *x, const pool_job *job, span rows, span columns, ptrdiff_t left,
                                BITS *where) {
    ptrdiff_t c = job->c;
    VEC best = LOAD(x + (rows.first * job->w + columns.first) * c, left);
    BITS at = (BITS){0} + (int)((rows.first * job->w + columns.first) * c);
    for (ptrdiff_t row = rows.first; row < rows.last; row++) {
        for (ptrdiff_t column = columns.first; column < columns.last; column++) {
            ptrdiff_t index = (row * job->w + column) * c;
            VEC element = LOAD(x + index, left);
            BITS taken = ~(element <= best) & (best == best);
            best = (VEC)((taken & (BITS)element) | (~taken & (BITS)best));
            at = (taken & ((BITS){0} + (int)index)) | (~taken & at);
        }
    }
    *where = at;
    return best;
}

/* One pooled row. */
SHARED void OF(max_row, KIND)(const pool_job *job, const REAL *x, span rows, REAL *out, int32_t *argmax) {
    const BITS lanes = OF(lane_numbers, KIND)();
    ptrdiff_t c = job->c;
    for (ptrdiff_t j = 0; j < job->pooled_w; j++) {
        span columns = window_span(job, 1, j);
        for (ptrdiff_t k = 0; k < c; k += N_LANES) {
            BITS where;
            VEC best = OF(window_max, KIND)(x + k, job, rows, columns, c - k, &where);
            STORE(out + j * c + k, best, c - k);
            if (argmax)
                OF(store_indices, KIND)(argmax + j * c + k, where + lanes + (int)k, c - k);
        }
    }
}

static void OF(max_forward, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const pool_job *job = context;
    ptrdiff_t width = job->pooled_w * job->c, last = end_of(job, part, job->n * job->pooled_h);
    for (ptrdiff_t i = part * job->rows_per_part; i < last; i++) {
        const REAL *image = (const REAL *)job->image + i / job->pooled_h * (job->h * job->w * job->c);
        OF(max_row, KIND)(job, image, window_span(job, 0, i % job->pooled_h), (REAL *)job->pooled + i * width,
                          job->argmax ? job->argmax + i * width : NULL);
    }
}

/* One row of an image: what its elements get from the windows that have them as their largest. */
SHARED void OF(max_gradient_row, KIND)(const pool_job *job, const REAL *dout, const int32_t *argmax,
                                       ptrdiff_t y, REAL *dx) {
    const BITS lanes = OF(lane_numbers, KIND)();
    span rows = windows_of(job, 0, y);
    ptrdiff_t c = job->c;
    for (ptrdiff_t column = 0; column < job->w; column++) {
        span columns = windows_of(job, 1, column);
        for (ptrdiff_t k = 0; k < c; k += N_LANES) {
            BITS own = lanes + (int)((y * job->w + column) * c + k);
            VEC total = {0};
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                for (ptrdiff_t j = columns.first; j < columns.last; j++) {
                    ptrdiff_t window = (i * job->pooled_w + j) * c + k;
                    BITS chosen = OF(load_indices, KIND)(argmax + window, c - k) == own;
                    total += (VEC)(chosen & (BITS)LOAD(dout + window, c - k));
                }
            }
            STORE(dx + column * c + k, total, c - k);
        }
    }
}

static void OF(max_gradient, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const pool_job *job = context;
    ptrdiff_t pooled = job->pooled_h * job->pooled_w * job->c, last = end_of(job, part, job->n * job->h);
    for (ptrdiff_t i = part * job->rows_per_part; i < last; i++) {
        ptrdiff_t before = i / job->h * pooled;
        OF(max_gradient_row, KIND)(job, (const REAL *)job->pooled + before, job->argmax + before, i % job->h,
                                   (REAL *)job->image + i * job->w * job->c);
    }
}

SHARED void OF(average_row, KIND)(const pool_job *job, const REAL *x, span rows, REAL *out) {
    ptrdiff_t c = job->c;
    for (ptrdiff_t j = 0; j < job->pooled_w; j++) {
        span columns = window_span(job, 1, j);
        REAL count = (REAL)((rows.last - rows.first) * (columns.last - columns.first));
        for (ptrdiff_t k = 0; k < c; k += N_LANES) {
            VEC total = {0};
            for (ptrdiff_t row = rows.first; row < rows.last; row++)
                for (ptrdiff_t column = columns.first; column < columns.last; column++)
                    total += LOAD(x + (row * job->w + column) * c + k, c - k);
            STORE(out + j * c + k, total / count, c - k);
        }
    }
}

static void OF(average_forward, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const pool_job *job = context;
    ptrdiff_t width = job->pooled_w * job->c, last = end_of(job, part, job->n * job->pooled_h);
    for (ptrdiff_t i = part * job->rows_per_part; i < last; i++) {
        const REAL *image = (const REAL *)job->image + i / job->pooled_h * (job->h * job->w * job->c);
        OF(average_row, KIND)(job, image, window_span(job, 0, i % job->pooled_h),
                              (REAL *)job->pooled + i * width);
    }
}

SHARED void OF(average_gradient_row, KIND)(const pool_job *job, const REAL *dout, ptrdiff_t y, REAL *dx) {
    span rows = windows_of(job, 0, y);
    ptrdiff_t c = job->c;
    for (ptrdiff_t column = 0; column < job->w; column++) {
        span columns = windows_of(job, 1, column);
        for (ptrdiff_t k = 0; k < c; k += N_LANES) {
            VEC total = {0};
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                span of_row = window_span(job, 0, i);
                for (ptrdiff_t j = columns.first; j < columns.last; j++) {
                    span of_column = window_span(job, 1, j);
                    REAL count = (REAL)((of_row.last - of_row.first) * (of_column.last - of_column.first));
                    total += LOAD(dout + (i * job->pooled_w + j) * c + k, c - k) * ((REAL)1.0 / count);
                }
            }
            STORE(dx + column * c + k, total, c - k);
        }
    }
}

static void OF(average_gradient, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const pool_job *job = context;
    ptrdiff_t pooled = job->pooled_h * job->pooled_w * job->c, last = end_of(job, part, job->n * job->h);
    for (ptrdiff_t i = part * job->rows_per_part; i < last; i++)
        OF(average_gradient_row, KIND)(job, (const REAL *)job->pooled + i / job->h * pooled, i % job->h,
                                       (REAL *)job->image + i * job->w * job->c);
}
