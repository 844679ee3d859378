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

/* n lanes, or all of them where `whole`, a constant: copies of a known size are single instructions. */
INLINE void OF(store_indices, KIND)(int32_t *p, BITS indices, ptrdiff_t n, int whole) {
    INDICES narrow = __builtin_convertvector(indices, INDICES);
    if (whole)
        memcpy(p, &narrow, sizeof narrow);
    else
        memcpy(p, &narrow, 4 * n);
}

INLINE BITS OF(load_indices, KIND)(const int32_t *p, ptrdiff_t n, int whole) {
    INDICES narrow = {0};
    if (whole)
        memcpy(&narrow, p, sizeof narrow);
    else
        memcpy(&narrow, p, 4 * n);
    return __builtin_convertvector(narrow, BITS);
}

INLINE VEC OF(load_lanes, KIND)(const REAL *p, ptrdiff_t n, int whole) {
    return whole ? (VEC)(*(const OF(mem, KIND) *)p) : OF(load_part, KIND)(p, n);
}

INLINE BITS OF(lane_numbers, KIND)(void) {
    BITS lanes = {0};
    for (int i = 0; i < N_LANES; i++)
        lanes[i] = i;
    return lanes;
}

/* Take an element, and its index, if it is larger than the best, or a NaN where the best is none. */
INLINE void OF(take_larger, KIND)(VEC element, int index, VEC *best, BITS *at) {
#if defined(__AVX512F__)
    /* GCC 12 makes vectors of the masks that comparisons give, and back: 12 operations for these 4. */
#define TAKE(real, whole, mask)                                                                              \
    mask larger = _mm512_cmp_##real##_mask((whole)element, (whole) * best, _CMP_NLE_UQ);                     \
    larger = _mm512_mask_cmp_##real##_mask(larger, (whole) * best, (whole) * best, _CMP_ORD_Q);              \
    *best = (VEC)_mm512_mask_mov_##real((whole) * best, larger, (whole)element)
#if IS_F32
    TAKE(ps, __m512, __mmask16);
    *at = (BITS)_mm512_mask_mov_epi32((__m512i)*at, larger, _mm512_set1_epi32(index));
#else
    TAKE(pd, __m512d, __mmask8);
    *at = (BITS)_mm512_mask_mov_epi64((__m512i)*at, larger, _mm512_set1_epi64(index));
#endif
#undef TAKE
#else
    BITS larger = ~(element <= *best) & (*best == *best);
    *best = (VEC)((larger & (BITS)element) | (~larger & (BITS)*best));
    *at = (larger & ((BITS){0} + index)) | (~larger & *at);
#endif
}

/* The largest of a window's elements, of `left` channels at most from channel k on; argmax may be NULL. */
INLINE void OF(max_of_window, KIND)(const pool_job *job, const REAL *x, span rows, span columns, ptrdiff_t k,
                                    REAL *out, int32_t *argmax, int whole) {
    ptrdiff_t c = job->c, left = c - k, first = (rows.first * job->w + columns.first) * c + k;
    VEC best = OF(load_lanes, KIND)(x + first, left, whole);
    BITS at = (BITS){0} + (int)first;
    for (ptrdiff_t row = rows.first; row < rows.last; row++, first += job->w * c) {
        ptrdiff_t index = first;
        for (ptrdiff_t column = columns.first; column < columns.last; column++, index += c)
            OF(take_larger, KIND)(OF(load_lanes, KIND)(x + index, left, whole), (int)index, &best, &at);
    }
    if (whole)
        *(OF(mem, KIND) *)(out + k) = best;
    else
        OF(store_part, KIND)(out + k, best, left);
    if (argmax)
        OF(store_indices, KIND)(argmax + k, at + OF(lane_numbers, KIND)(), left, whole);
}

/* One pooled row. */
SHARED void OF(max_row, KIND)(const pool_job *job, const REAL *x, span rows, REAL *out, int32_t *argmax) {
    ptrdiff_t c = job->c;
    for (ptrdiff_t j = 0; j < job->pooled_w; j++, out += c, argmax = argmax ? argmax + c : NULL) {
        span columns = window_span(job, 1, j);
        ptrdiff_t k = 0;
        for (; k + N_LANES <= c; k += N_LANES)
            OF(max_of_window, KIND)(job, x, rows, columns, k, out, argmax, 1);
        if (k < c)
            OF(max_of_window, KIND)(job, x, rows, columns, k, out, argmax, 0);
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

/* What the elements at one place, from channel k on, get from the windows that have them as their largest. */
INLINE void OF(max_gradient_at, KIND)(const pool_job *job, const REAL *dout, const int32_t *argmax, span rows,
                                      span columns, ptrdiff_t k, ptrdiff_t index, REAL *dx, int whole) {
    ptrdiff_t c = job->c, left = c - k;
    BITS own = OF(lane_numbers, KIND)() + (int)(index + k);
    VEC total = {0};
    for (ptrdiff_t i = rows.first; i < rows.last; i++) {
        for (ptrdiff_t j = columns.first; j < columns.last; j++) {
            ptrdiff_t window = (i * job->pooled_w + j) * c + k;
            BITS chosen = OF(load_indices, KIND)(argmax + window, left, whole) == own;
            total += (VEC)(chosen & (BITS)OF(load_lanes, KIND)(dout + window, left, whole));
        }
    }
    if (whole)
        *(OF(mem, KIND) *)(dx + k) = total;
    else
        OF(store_part, KIND)(dx + k, total, left);
}

/* One row of an image. */
SHARED void OF(max_gradient_row, KIND)(const pool_job *job, const REAL *dout, const int32_t *argmax,
                                       ptrdiff_t y, REAL *dx) {
    span rows = windows_of(job, 0, y);
    ptrdiff_t c = job->c;
    for (ptrdiff_t column = 0; column < job->w; column++, dx += c) {
        span columns = windows_of(job, 1, column);
        ptrdiff_t index = (y * job->w + column) * c, k = 0;
        for (; k + N_LANES <= c; k += N_LANES)
            OF(max_gradient_at, KIND)(job, dout, argmax, rows, columns, k, index, dx, 1);
        if (k < c)
            OF(max_gradient_at, KIND)(job, dout, argmax, rows, columns, k, index, dx, 0);
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

/* One over the elements of the image that a window has; `inside` if it has no others. */
INLINE REAL OF(inverse_count, KIND)(const pool_job *job, span rows, ptrdiff_t j, REAL inside) {
    span columns = window_span(job, 1, j);
    ptrdiff_t height = rows.last - rows.first, width = columns.last - columns.first;
    return height == job->window[0] && width == job->window[1] ? inside : (REAL)1.0 / (REAL)(height * width);
}

SHARED void OF(average_gradient_row, KIND)(const pool_job *job, const REAL *dout, ptrdiff_t y, REAL *dx) {
    span rows = windows_of(job, 0, y);
    ptrdiff_t c = job->c;
    REAL inside = (REAL)1.0 / (REAL)(job->window[0] * job->window[1]);
    for (ptrdiff_t column = 0; column < job->w; column++, dx += c) {
        span columns = windows_of(job, 1, column);
        for (ptrdiff_t k = 0; k < c; k += N_LANES) {
            VEC total = {0};
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                span of_window = window_span(job, 0, i);
                const REAL *from = dout + i * job->pooled_w * c + k;
                for (ptrdiff_t j = columns.first; j < columns.last; j++)
                    total += LOAD(from + j * c, c - k) * OF(inverse_count, KIND)(job, of_window, j, inside);
            }
            STORE(dx + k, total, c - k);
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
