/* Max pooling of rows of a convolution while they are in the cache, and the way back, for REAL of KIND: a
 * template.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

/* The larger of two, and where it is. A NaN stays the largest. */
INLINE void OF(keep_larger, KIND)(VEC *best, BITS *at, VEC value, int position) {
    BITS better = (value > *best) | (value != value);
    *best = (VEC)((better & (BITS)value) | (~better & (BITS)*best));
    *at = (better & ((BITS){0} + position)) | (~better & *at);
}

/* relu of a maximum, and where it is, of up to n channels. */
INLINE void OF(store_maximum, KIND)(VEC best, BITS at, ptrdiff_t n, REAL *out, uint8_t *argmax) {
    OF(store_up_to, KIND)(out, OF(at_least, KIND)((VEC){0}, best), n);
    if (n >= LANES) {
        OF(store_bytes, KIND)(argmax, at);
    } else if (n > 0) {
        uint8_t bytes[LANES];
        OF(store_bytes, KIND)(bytes, at);
        memcpy(argmax, bytes, (size_t)n);
    }
}

/* The gradient to relu of a maximum, and where that is, of up to n channels; zeros for the rest. */
INLINE void OF(load_maximum, KIND)(const REAL *dout, const REAL *out, const uint8_t *argmax, ptrdiff_t n,
                                   VEC *gradient, BITS *at) {
    if (n >= LANES) {
        *gradient = (VEC)((BITS)(*(const MEM *)dout) & (*(const MEM *)out > 0));
        *at = OF(load_bytes, KIND)(argmax);
        return;
    }
    uint8_t bytes[LANES];
    memset(bytes, 0, sizeof bytes);
    if (n > 0)
        memcpy(bytes, argmax, (size_t)n);
    *gradient = (VEC)((BITS)OF(load_up_to, KIND)(dout, n) & (OF(load_up_to, KIND)(out, n) > 0));
    *at = OF(load_bytes, KIND)(bytes);
}

/* A vector of channels of a window's maximum. */
INLINE void OF(pool_window, KIND)(const REAL *corner, ptrdiff_t row, ptrdiff_t m, const ptrdiff_t window_h,
                                  const ptrdiff_t window_w, ptrdiff_t n, REAL *out, uint8_t *argmax) {
    VEC best = OF(load_up_to, KIND)(corner, n);
    BITS at = {0};
#pragma GCC unroll 2
    for (ptrdiff_t dy = 0; dy < window_h; dy++)
#pragma GCC unroll 2
        for (ptrdiff_t dx = 0; dx < window_w; dx++)
            if (dy + dx > 0)
                OF(keep_larger, KIND)(&best, &at, OF(load_up_to, KIND)(corner + dy * row + dx * m, n),
                                      (int)(dy * window_w + dx));
    OF(store_maximum, KIND)(best, at, n, out, argmax);
}

/* `rows`, whole windows high, ow x m each; out, argmax: theirs. */
SHARED void OF(pool_rows, KIND)(const conv_job *job, const REAL *rows, ptrdiff_t n_rows, REAL *out,
                                uint8_t *argmax) {
    ptrdiff_t window_h = job->window_h, window_w = job->window_w;
    ptrdiff_t across = job->ow / window_w, m = job->m, row = job->ow * m;
    for (ptrdiff_t y = 0; y < n_rows; y += window_h)
        for (ptrdiff_t x = 0; x < across; x++, out += m, argmax += m) {
            const REAL *corner = rows + y * row + x * window_w * m;
            if (window_h == 2 && window_w == 2)
                for (ptrdiff_t c = 0; c < m; c += LANES)
                    OF(pool_window, KIND)(corner + c, row, m, 2, 2, m - c, out + c, argmax + c);
            else
                for (ptrdiff_t c = 0; c < m; c += LANES)
                    OF(pool_window, KIND)(corner + c, row, m, window_h, window_w, m - c, out + c, argmax + c);
        }
}

/* A vector of the gradient to a window's maximum goes to where that was, zeros to the rest. */
INLINE void OF(spread_window, KIND)(REAL *corner, ptrdiff_t row, VEC gradient, BITS at,
                                    const ptrdiff_t window_h, const ptrdiff_t window_w) {
    BITS number = {0};
#pragma GCC unroll 2
    for (ptrdiff_t dy = 0; dy < window_h; dy++)
#pragma GCC unroll 2
        for (ptrdiff_t dx = 0; dx < window_w; dx++) {
            *(MEM *)(corner + dy * row + dx * COLUMNS) = (VEC)((BITS)gradient & (at == number));
            number += 1;
        }
}

/* The gradient to n_rows rows of the convolution's output, as panels of COLUMNS channels of a group:
   [panel][position][COLUMNS]; its sums over positions are added to bias_sums. */
SHARED void OF(spread_rows, KIND)(const conv_job *job, const REAL *dout, const REAL *out,
                                  const uint8_t *argmax, ptrdiff_t n_rows, REAL *panels, REAL *bias_sums) {
    ptrdiff_t window_h = job->window_h, window_w = job->window_w, row = job->ow * COLUMNS;
    ptrdiff_t n_windows = n_rows / window_h * (job->ow / window_w), across = job->ow / window_w;
    ptrdiff_t columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n_rows * row)
            for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
                ptrdiff_t n = columns - column - v, from = g * columns + column + v, x = 0;
                REAL *corner = panels + v;
                VEC sum = OF(load_up_to, KIND)(bias_sums + from, n);
                for (ptrdiff_t i = 0; i < n_windows; i++) {
                    ptrdiff_t window = from + i * job->m;
                    VEC gradient;
                    BITS at;
                    OF(load_maximum, KIND)(dout + window, out + window, argmax + window, n, &gradient, &at);
                    sum += gradient;
                    if (window_h == 2 && window_w == 2)
                        OF(spread_window, KIND)(corner, row, gradient, at, 2, 2);
                    else
                        OF(spread_window, KIND)(corner, row, gradient, at, window_h, window_w);
                    corner += window_w * COLUMNS;
                    if (++x == across) {
                        x = 0;
                        corner += (window_h - 1) * row;
                    }
                }
                OF(store_up_to, KIND)(bias_sums + from, sum, n);
            }
}

/* The same where nothing is pooled, of channels that don't fill their panels: others are read where they lie.
 */
SHARED void OF(copy_rows, KIND)(const conv_job *job, const REAL *dout, ptrdiff_t n_rows, REAL *panels) {
    ptrdiff_t n = n_rows * job->ow, columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n * COLUMNS)
            OF(product_copy, KIND)(dout + g * columns + column, job->m,
                                   gemm_smaller(COLUMNS, columns - column), n, panels, COLUMNS);
}

/* sums += those of n rows of `step` elements. */
SHARED void OF(add_rows, KIND)(const REAL *rows, ptrdiff_t n, ptrdiff_t step, REAL *sums) {
    for (ptrdiff_t c = 0; c < step; c += LANES) {
        ptrdiff_t n_here = step - c, i = 0;
        VEC even = OF(load_up_to, KIND)(sums + c, n_here), odd = {0};
        for (; i + 2 <= n; i += 2) {
            even += OF(load_up_to, KIND)(rows + i * step + c, n_here);
            odd += OF(load_up_to, KIND)(rows + (i + 1) * step + c, n_here);
        }
        if (i < n)
            even += OF(load_up_to, KIND)(rows + i * step + c, n_here);
        OF(store_up_to, KIND)(sums + c, even + odd, n_here);
    }
}

#undef VEC
#undef MEM
#undef BITS
#undef LANES
#undef COLUMNS
