/* Sums of kernel values times coefficients, of values that lie in rows, for REAL of KIND: a template.
 *
 * Lanes are added up once a chunk and segment, and chunks in float64: a sum of 13,000 float32 products is one
 * of chains of at most 64.
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_GRAM_SUMS_H
#define FASTML_GRAM_SUMS_H

enum { SUMS_ROWS = 4, SUMS_AT_ONCE = 4 };

#endif

/* out[i][s] += values[i] . coef[s], for `rows` rows and `sums` sums, both compile-time constants. */
INLINE void OF(dots, KIND)(const REAL *values, ptrdiff_t stride, const REAL *coef, ptrdiff_t coef_stride,
                           ptrdiff_t n, double *out, ptrdiff_t out_stride, const int rows, const int sums) {
    VEC total[SUMS_ROWS][SUMS_AT_ONCE] = {{{0}}};
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC of_sum[SUMS_AT_ONCE];
#pragma GCC unroll 4
        for (int s = 0; s < sums; s++)
            of_sum[s] = OF(load_up_to, KIND)(coef + s * coef_stride + k, n - k);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            VEC of_row = OF(load_up_to, KIND)(values + i * stride + k, n - k);
#pragma GCC unroll 4
            for (int s = 0; s < sums; s++)
                total[i][s] = OF(multiply_add_lanes, KIND)(of_row, of_sum[s], total[i][s]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int s = 0; s < sums; s++)
            out[i * out_stride + s] += (double)OF(sum, KIND)(total[i][s]);
}

SHARED void OF(dots_of_rows, KIND)(const REAL *values, ptrdiff_t stride, const REAL *coef,
                                   ptrdiff_t coef_stride, ptrdiff_t n, double *out, ptrdiff_t out_stride,
                                   ptrdiff_t n_rows, ptrdiff_t n_sums) {
    for (ptrdiff_t i = 0, rows; i < n_rows; i += rows) {
        rows = n_rows - i >= SUMS_ROWS ? SUMS_ROWS : 1;
        for (ptrdiff_t s = 0, sums; s < n_sums; s += sums) {
            const REAL *v = values + i * stride, *c = coef + s * coef_stride;
            double *at = out + i * out_stride + s;
            sums = n_sums - s >= SUMS_AT_ONCE ? SUMS_AT_ONCE : 1;
            if (rows == SUMS_ROWS && sums == SUMS_AT_ONCE)
                OF(dots, KIND)(v, stride, c, coef_stride, n, at, out_stride, SUMS_ROWS, SUMS_AT_ONCE);
            else if (rows == SUMS_ROWS)
                OF(dots, KIND)(v, stride, c, coef_stride, n, at, out_stride, SUMS_ROWS, 1);
            else if (sums == SUMS_AT_ONCE)
                OF(dots, KIND)(v, stride, c, coef_stride, n, at, out_stride, 1, SUMS_AT_ONCE);
            else
                OF(dots, KIND)(v, stride, c, coef_stride, n, at, out_stride, 1, 1);
        }
    }
}

static void OF(add_sums, KIND)(const gram_sums *sums, const void *block, ptrdiff_t stride, ptrdiff_t n_rows,
                               ptrdiff_t first, ptrdiff_t last) {
    const REAL *values = block, *coef = sums->coef;
    for (ptrdiff_t g = 0; g < sums->n_segments; g++) {
        ptrdiff_t from = sums->starts[g] > first ? sums->starts[g] : first;
        ptrdiff_t to = gemm_smaller(sums->starts[g + 1], last);
        if (from < to)
            OF(dots_of_rows, KIND)(values + (from - first), stride, coef + from, sums->n_columns, to - from,
                                   sums->out + g * sums->n_sums, sums->n_segments * sums->n_sums, n_rows,
                                   sums->n_sums);
    }
}

#undef VEC
#undef LANES
