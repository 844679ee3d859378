/* Max pooling of rows of a convolution while they are in the cache, and the way back, for REAL of KIND: a
 * template.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

/* A vector of channels of a window's maximum. */
INLINE void OF(pool_window, KIND)(const REAL *corner, ptrdiff_t row, ptrdiff_t m, const ptrdiff_t window_h,
                                  const ptrdiff_t window_w, ptrdiff_t n, REAL *out, uint8_t *argmax) {
    VEC best = OF(load_up_to, KIND)(corner, n);
    BITS at = {0}, number = {0};
#pragma GCC unroll 2
    for (ptrdiff_t dy = 0; dy < window_h; dy++)
#pragma GCC unroll 2
        for (ptrdiff_t dx = 0; dx < window_w; dx++) {
            VEC value = OF(load_up_to, KIND)(corner + dy * row + dx * m, n);
            BITS better = (value > best) | (value != value); /* a NaN stays the largest */
            best = (VEC)((better & (BITS)value) | (~better & (BITS)best));
            at = (better & number) | (~better & at);
            number += 1;
        }
    OF(store_up_to, KIND)(out, OF(at_least, KIND)((VEC){0}, best), n);
    if (n >= LANES) {
        OF(store_bytes, KIND)(argmax, at);
        return;
    }
    uint8_t bytes[LANES];
    OF(store_bytes, KIND)(bytes, at);
    memcpy(argmax, bytes, (size_t)n);
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
                    const REAL *at_out = out + from + i * job->m, *at_dout = dout + from + i * job->m;
                    uint8_t bytes[LANES];
                    VEC gradient = {0};
                    BITS at = {0};
                    if (n >= LANES) {
                        gradient = (VEC)((BITS)(*(const MEM *)at_dout) & (*(const MEM *)at_out > 0));
                        at = OF(load_bytes, KIND)(argmax + from + i * job->m);
                    } else if (n > 0) {
                        memset(bytes, 0, sizeof bytes);
                        memcpy(bytes, argmax + from + i * job->m, (size_t)n);
                        gradient = (VEC)((BITS)OF(load_part, KIND)(at_dout, n) &
                                         (OF(load_part, KIND)(at_out, n) > 0));
                        at = OF(load_bytes, KIND)(bytes);
                    }
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

/* The same where nothing is pooled. */
SHARED void OF(copy_rows, KIND)(const conv_job *job, const REAL *dout, ptrdiff_t n_rows, REAL *panels) {
    ptrdiff_t n = n_rows * job->ow, columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n * COLUMNS)
            OF(product_copy, KIND)(dout + g * columns + column, job->m,
                                   gemm_smaller(COLUMNS, columns - column), n, panels, COLUMNS);
}

/* sums += those of n rows of panels. */
SHARED void OF(add_bias_gradient, KIND)(const conv_job *job, const REAL *panels, ptrdiff_t n, REAL *sums) {
    ptrdiff_t columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++, sums += columns)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n * COLUMNS)
            for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
                ptrdiff_t n_here = columns - column - v;
                VEC even = OF(load_up_to, KIND)(sums + column + v, n_here), odd = {0};
                ptrdiff_t k = 0;
                for (; k + 2 <= n; k += 2) {
                    even += *(const MEM *)(panels + k * COLUMNS + v);
                    odd += *(const MEM *)(panels + (k + 1) * COLUMNS + v);
                }
                if (k < n)
                    even += *(const MEM *)(panels + k * COLUMNS + v);
                OF(store_up_to, KIND)(sums + column + v, even + odd, n_here);
            }
}

#undef VEC
#undef MEM
#undef BITS
#undef LANES
#undef COLUMNS
