/* What a linear model does with a row of CSR: the same functions as row_dense.h, over the entries present. */
#define ROW OF(row, VARIANT)

typedef struct {
    const REAL *x;
    const INDEX *columns;
    ptrdiff_t n;
} ROW;

#define COLUMN(row, k) ((ptrdiff_t)(row).columns[k])

INLINE ROW OF(row_at, VARIANT)(const linear_data *data, ptrdiff_t i) {
    const INDEX *indptr = (const INDEX *)data->indptr;
    return (ROW){(const REAL *)data->data + indptr[i], (const INDEX *)data->indices + indptr[i],
                 (ptrdiff_t)(indptr[i + 1] - indptr[i])};
}

/* Two stages: far ahead the row's bounds, nearer its first entries; the hardware prefetches longer ones. */
INLINE void OF(prefetch, VARIANT)(const linear_data *data, const int32_t *order, ptrdiff_t step,
                                  ptrdiff_t n) {
    enum { BOUNDS_AHEAD = 12, ENTRIES_AHEAD = 6, BYTES = 256 };
    if (step + BOUNDS_AHEAD < n)
        __builtin_prefetch((const INDEX *)data->indptr + order[step + BOUNDS_AHEAD]);
    if (step + ENTRIES_AHEAD >= n)
        return;
    ROW row = OF(row_at, VARIANT)(data, order[step + ENTRIES_AHEAD]);
    ptrdiff_t value_bytes = row.n * (ptrdiff_t)sizeof(REAL), column_bytes = row.n * (ptrdiff_t)sizeof(INDEX);
    for (ptrdiff_t b = 0; b < value_bytes && b < BYTES; b += 64)
        __builtin_prefetch((const char *)row.x + b);
    for (ptrdiff_t b = 0; b < column_bytes && b < BYTES; b += 64)
        __builtin_prefetch((const char *)row.columns + b);
}

/* w.x + start. */
INLINE double OF(dot_from, VARIANT)(ROW row, const double *w, double start) {
    double sums[4] = {start};
    ptrdiff_t k = 0;
    for (; k + 4 <= row.n; k += 4)
        for (int u = 0; u < 4; u++)
            sums[u] += row.x[k + u] * w[row.columns[k + u]];
    for (; k < row.n; k++)
        sums[0] += row.x[k] * w[row.columns[k]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

INLINE double OF(dot, VARIANT)(ROW row, const double *w) { return OF(dot_from, VARIANT)(row, w, 0.0); }

INLINE void OF(add, VARIANT)(ROW row, double *w, double c) {
    for (ptrdiff_t k = 0; k < row.n; k++)
        w[row.columns[k]] += c * row.x[k];
}
