/* Few input channels, for REAL of KIND: a template. No patch is ever copied.
 *
 * What some rows of the output see of an image is copied once, with the zeros around it, into a strip in the
 * first-level cache, channel by channel, and for strides across, remainder by remainder. There, what a tap
 * sees from positions beside each other lies beside each other: a tile of sums takes its left operand
 * straight from the strip, from one place for each tap (forward) or position (gradient to the filters).
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

#ifndef FASTML_CONV_STRIP_H
#define FASTML_CONV_STRIP_H

/* Of a strip for n_rows of the output: its rows, and their length. */
INLINE ptrdiff_t strip_rows(const conv_job *job, ptrdiff_t n_rows) {
    return (n_rows - 1) * job->stride_y + (job->kh - 1) * job->dilation_y + 1;
}

INLINE ptrdiff_t strip_length(const conv_job *job) {
    return job->ow + (job->kw - 1) * job->dilation_x / job->stride_x;
}

INLINE ptrdiff_t strip_size(const conv_job *job, ptrdiff_t n_rows) {
    return job->c * job->stride_x * strip_rows(job, n_rows) * strip_length(job);
}

#endif

/* Rows are a few vectors long: less than what a call of memcpy takes. */
INLINE void OF(copy_row, KIND)(const REAL *from, ptrdiff_t n, REAL *to) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(OF(mem, KIND) *)(to + i) = *(const OF(mem, KIND) *)(from + i);
    if (i < n)
        OF(store_part, KIND)(to + i, OF(load_part, KIND)(from + i, n - i), n - i);
}

/* The strip of n_rows rows of the output from row y. */
SHARED void OF(fill_strip, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                 REAL *strip) {
    ptrdiff_t length = strip_length(job), height = strip_rows(job, n_rows), step = job->stride_x * job->c;
    for (ptrdiff_t c = 0; c < job->c; c++)
        for (ptrdiff_t phase = 0; phase < job->stride_x; phase++) {
            /* Of a row's places, those that lie in the image. */
            ptrdiff_t before = job->left - phase, after = job->w + job->left - phase;
            ptrdiff_t first = before > 0 ? product_ceil(before, job->stride_x) : 0;
            ptrdiff_t last = after > 0 ? gemm_smaller(product_ceil(after, job->stride_x), length) : 0;
            first = gemm_smaller(first, last);
            for (ptrdiff_t r = 0; r < height; r++, strip += length) {
                ptrdiff_t row = y * job->stride_y - job->top + r;
                if (row < 0 || row >= job->h || first == last) {
                    memset(strip, 0, (size_t)length * sizeof(REAL));
                    continue;
                }
                const REAL *from =
                    image + (row * job->w + first * job->stride_x + phase - job->left) * job->c + c;
                for (ptrdiff_t i = 0; i < first; i++)
                    strip[i] = 0;
                if (step == 1)
                    OF(copy_row, KIND)(from, last - first, strip + first);
                else
                    for (ptrdiff_t i = first; i < last; i++, from += step)
                        strip[i] = *from;
                for (ptrdiff_t i = last; i < length; i++)
                    strip[i] = 0;
            }
        }
}

/* Where in it the taps see what they see from the first position, in the order of the filters. */
SHARED void OF(strip_places, KIND)(const conv_job *job, ptrdiff_t n_rows, const REAL *strip,
                                   const REAL **places) {
    ptrdiff_t length = strip_length(job), plane = strip_rows(job, n_rows) * length;
    ptrdiff_t stride = job->stride_x;
    for (ptrdiff_t ky = 0; ky < job->kh; ky++)
        for (ptrdiff_t kx = 0; kx < job->kw; kx++) {
            ptrdiff_t x = kx * job->dilation_x, at = stride == 1 ? x : x / stride, phase = x - at * stride;
            for (ptrdiff_t c = 0; c < job->c; c++)
                *places++ = strip + (c * stride + phase) * plane + ky * job->dilation_y * length + at;
        }
}

/* Of a panel of filters. */
INLINE void OF(load_bias, KIND)(const conv_job *job, ptrdiff_t column, VEC *bias) {
    for (int v = 0; v < GEMM_VECTORS; v++)
        bias[v] = job->bias ? OF(load_up_to, KIND)((const REAL *)job->bias + column + v * LANES,
                                                   job->m - column - v * LANES)
                            : (VEC){0};
}

/* n_rows rows of an image's output from row y, into `out`. */
static void OF(direct_rows, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                  REAL *out, bool relu, void *scratch) {
    ptrdiff_t depth = job->kh * job->kw * job->c, length = strip_length(job);
    ptrdiff_t n_tiles = product_ceil(job->ow, GEMM_ROWS);
    ptrdiff_t lower = job->ow / n_tiles, n_higher = job->ow % n_tiles; /* tiles' heights: even shares */
    const REAL **a = scratch;
    REAL *strip = (REAL *)(a + depth);
    VEC least = (VEC){0} + (relu ? (REAL)0 : -(REAL)INFINITY);
    OF(fill_strip, KIND)(job, image, y, n_rows, strip);
    OF(strip_places, KIND)(job, n_rows, strip, a);
    const REAL *b = job->packed;
    for (ptrdiff_t column = 0; column < job->m; column += COLUMNS, b += depth * COLUMNS) {
        ptrdiff_t n_columns = gemm_smaller(COLUMNS, job->m - column);
        VEC bias[GEMM_VECTORS];
        OF(load_bias, KIND)(job, column, bias);
        for (ptrdiff_t r = 0; r < n_rows; r++)
            for (ptrdiff_t t = 0, x = 0, height; t < n_tiles; t++, x += height) {
                height = lower + (t < n_higher);
                OF(row_outputs, KIND)(depth, a, r * job->stride_y * length + x, b, bias, least,
                                      out + (r * job->ow + x) * job->m + column, job->m, n_columns,
                                      (int)height);
            }
    }
}

/* Gradients to all filters, from positions in n_rows rows of the output from row y; panels: of the gradient
   to these, [panel][position][COLUMNS]. */
static void OF(direct_filters, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                     conv_panels panels, bool first, REAL *sums, void *scratch) {
    ptrdiff_t depth = job->kh * job->kw * job->c, length = strip_length(job);
    ptrdiff_t n_tiles = product_ceil(depth, TAP_ROWS);
    const REAL **a = scratch;
    REAL *strip = (REAL *)(a + depth);
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    OF(fill_strip, KIND)(job, image, y, n_rows, strip);
    OF(strip_places, KIND)(job, n_rows, strip, a);
    const REAL *b = panels.data;
    for (ptrdiff_t column = 0; column < job->m; column += COLUMNS, b += panels.panel_step) {
        ptrdiff_t n_columns = gemm_smaller(COLUMNS, job->m - column);
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t i = product_share(depth, t, n_tiles);
            int height = (int)(product_share(depth, t + 1, n_tiles) - i);
            REAL *at = sums + i * job->m + column;
            if (!first)
                OF(gemm_load, KIND)(tile, at, job->m, height, n_columns);
            OF(tap_tile, KIND)(n_rows, job->ow, job->stride_y * length, a + i, b, panels.step, tile, first,
                               height);
            OF(gemm_store, KIND)(tile, at, job->m, height, n_columns);
        }
    }
}

#undef VEC
#undef LANES
#undef COLUMNS
