/* Max pooling of rows of a convolution while they are in the cache, and the way back, for REAL of KIND: a
 * template.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)
#define BYTES OF(bytes, KIND)

/* A byte for each lane. */
typedef uint8_t BYTES __attribute__((vector_size(VEC_BYTES / sizeof(REAL))));

/* `rows`, whole windows high, ow x m each; out, argmax: theirs. */
SHARED void OF(pool_rows, KIND)(const conv_job *job, const REAL *rows, ptrdiff_t n_rows, REAL *out,
                                uint8_t *argmax) {
    ptrdiff_t across = job->ow / job->window_w, m = job->m, row = job->ow * m;
    for (ptrdiff_t y = 0; y < n_rows; y += job->window_h)
        for (ptrdiff_t x = 0; x < across; x++, out += m, argmax += m)
            for (ptrdiff_t c = 0; c < m; c += LANES) {
                const REAL *corner = rows + y * row + x * job->window_w * m + c;
                ptrdiff_t n = m - c;
                VEC best = OF(load_up_to, KIND)(corner, n);
                BITS at = {0}, number = {0};
                for (ptrdiff_t dy = 0; dy < job->window_h; dy++)
                    for (ptrdiff_t dx = 0; dx < job->window_w; dx++) {
                        VEC value = OF(load_up_to, KIND)(corner + dy * row + dx * m, n);
                        BITS better = (value > best) | (value != value); /* a NaN stays the largest */
                        best = (VEC)((better & (BITS)value) | (~better & (BITS)best));
                        at = (better & number) | (~better & at);
                        number += 1;
                    }
                OF(store_up_to, KIND)(out + c, OF(at_least, KIND)((VEC){0}, best), n);
                BYTES bytes = __builtin_convertvector(at, BYTES);
                if (n >= LANES)
                    memcpy(argmax + c, &bytes, sizeof bytes);
                else
                    memcpy(argmax + c, &bytes, (size_t)n);
            }
}

/* The gradient to the convolution's output, rows [y, y + n_rows) of an image, as panels of COLUMNS channels
   of a group: [panel][position][COLUMNS]. */
SHARED void OF(spread_rows, KIND)(const conv_job *job, const REAL *dout, const REAL *out,
                                  const uint8_t *argmax, ptrdiff_t n_rows, REAL *panels) {
    ptrdiff_t across = job->ow / job->window_w, columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n_rows * job->ow * COLUMNS)
            for (ptrdiff_t y = 0; y < n_rows; y += job->window_h)
                for (ptrdiff_t x = 0; x < across; x++)
                    for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
                        ptrdiff_t n = columns - column - v;
                        ptrdiff_t from = (y / job->window_h * across + x) * job->m + g * columns + column + v;
                        VEC gradient = {0};
                        BYTES bytes = {0};
                        if (n > 0) {
                            memcpy(&bytes, argmax + from, n >= LANES ? sizeof bytes : (size_t)n);
                            VEC value = OF(load_up_to, KIND)(out + from, n);
                            gradient = (VEC)((BITS)OF(load_up_to, KIND)(dout + from, n) & (value > 0));
                        }
                        BITS at = __builtin_convertvector(bytes, BITS), number = {0};
                        REAL *corner = panels + (y * job->ow + x * job->window_w) * COLUMNS + v;
                        for (ptrdiff_t dy = 0; dy < job->window_h; dy++)
                            for (ptrdiff_t dx = 0; dx < job->window_w; dx++) {
                                *(MEM *)(corner + (dy * job->ow + dx) * COLUMNS) =
                                    (VEC)((BITS)gradient & (at == number));
                                number += 1;
                            }
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

/* sums = (first) or += the sums of n rows of panels. */
SHARED void OF(add_bias_gradient, KIND)(const conv_job *job, const REAL *panels, ptrdiff_t n, bool first,
                                        REAL *sums) {
    ptrdiff_t columns = job->m / job->groups;
    for (ptrdiff_t g = 0; g < job->groups; g++, sums += columns)
        for (ptrdiff_t column = 0; column < columns; column += COLUMNS, panels += n * COLUMNS)
            for (ptrdiff_t v = 0; v < COLUMNS; v += LANES) {
                ptrdiff_t n_here = columns - column - v;
                VEC even = first ? (VEC){0} : OF(load_up_to, KIND)(sums + column + v, n_here), odd = {0};
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
#undef BYTES
