/* What a linear model does with a row of a dense X. Weights are padded to whole vectors: what is read and
   written beyond the last feature is multiplied by zero. A masked store would not be forwarded to the next
   row's load. */
#define ROW OF(row, VARIANT)

typedef struct {
    const REAL *x;
    ptrdiff_t n;
} ROW;

#define COLUMN(row, k) (k)

/* Up to this many features a row is taken element by element: the sum over a vector's lanes would cost more.
 */
#ifndef SHORT_ROW
#define SHORT_ROW 6
#endif

INLINE ROW OF(row_at, VARIANT)(const linear_data *data, ptrdiff_t i) {
    return (ROW){(const REAL *)data->data + i * data->n_features, data->n_features};
}

INLINE void OF(prefetch, VARIANT)(const linear_data *data, const int32_t *order, ptrdiff_t step,
                                  ptrdiff_t n) {
    enum { AHEAD = 2, BYTES = 1024 };
    if (step + AHEAD >= n)
        return;
    ROW row = OF(row_at, VARIANT)(data, order[step + AHEAD]);
    ptrdiff_t bytes = row.n * (ptrdiff_t)sizeof(REAL);
    for (ptrdiff_t b = 0; b < bytes && b < BYTES; b += 64)
        __builtin_prefetch((const char *)row.x + b);
}

/* w.x + start. */
INLINE double OF(dot_from, VARIANT)(ROW row, const double *w, double start) {
    enum { L = LANES_f64 };
    vec_f64 sums[4] = {{0}};
    ptrdiff_t j = 0;
    if (row.n <= SHORT_ROW) {
        double even = start, odd = 0.0;
        for (; j + 2 <= row.n; j += 2) {
            even += row.x[j] * w[j];
            odd += row.x[j + 1] * w[j + 1];
        }
        return j < row.n ? even + odd + row.x[j] * w[j] : even + odd;
    }
    for (; j + 4 * L <= row.n; j += 4 * L)
        for (int u = 0; u < 4; u++)
            sums[u] += OF(wide, KIND)(row.x + j + u * L) * *(const mem_f64 *)(w + j + u * L);
    for (; j + L <= row.n; j += L)
        sums[0] += OF(wide, KIND)(row.x + j) * *(const mem_f64 *)(w + j);
    if (j < row.n)
        sums[1] += OF(wide_part, KIND)(row.x + j, row.n - j) * *(const mem_f64 *)(w + j);
    return sum_f64((sums[0] + sums[1]) + (sums[2] + sums[3])) + start;
}

INLINE double OF(dot, VARIANT)(ROW row, const double *w) { return OF(dot_from, VARIANT)(row, w, 0.0); }

INLINE void OF(add, VARIANT)(ROW row, double *w, double c) {
    enum { L = LANES_f64 };
    ptrdiff_t j = 0;
    if (row.n <= SHORT_ROW) {
        for (; j < row.n; j++)
            w[j] += c * row.x[j];
        return;
    }
    for (; j + L <= row.n; j += L)
        *(mem_f64 *)(w + j) += c * OF(wide, KIND)(row.x + j);
    if (j < row.n)
        *(mem_f64 *)(w + j) += c * OF(wide_part, KIND)(row.x + j, row.n - j);
}
