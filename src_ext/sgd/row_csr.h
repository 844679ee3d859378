/* What a step does with one row of CSR: the same functions as row_dense.h, over the entries present. */
#define ROW OF(row, VARIANT)

typedef struct {
    const REAL *x;
    const INDEX *columns;
    ptrdiff_t n;
} ROW;

INLINE ROW OF(row_at, VARIANT)(const sgd_job *job, ptrdiff_t i) {
    const INDEX *indptr = (const INDEX *)job->indptr;
    return (ROW){(const REAL *)job->data + indptr[i], (const INDEX *)job->indices + indptr[i],
                 (ptrdiff_t)(indptr[i + 1] - indptr[i])};
}

/* Two stages: far ahead the row's bounds, nearer its first entries; the hardware prefetches longer ones. */
INLINE void OF(prefetch, VARIANT)(const sgd_job *job, ptrdiff_t step) {
    enum { BOUNDS_AHEAD = 24, ENTRIES_AHEAD = 12, LINES = 4 };
    const INDEX *indptr = (const INDEX *)job->indptr;
    if (step + BOUNDS_AHEAD < job->n_steps)
        __builtin_prefetch(indptr + job->order[step + BOUNDS_AHEAD]);
    if (step + ENTRIES_AHEAD < job->n_steps) {
        ROW row = OF(row_at, VARIANT)(job, job->order[step + ENTRIES_AHEAD]);
        ptrdiff_t value_bytes = row.n * (ptrdiff_t)sizeof(REAL),
                  column_bytes = row.n * (ptrdiff_t)sizeof(INDEX);
        for (ptrdiff_t b = 0; b < value_bytes && b < LINES * 64; b += 64)
            __builtin_prefetch((const char *)row.x + b);
        for (ptrdiff_t b = 0; b < column_bytes && b < LINES * 64; b += 64)
            __builtin_prefetch((const char *)row.columns + b);
    }
}

INLINE double OF(dot, VARIANT)(ROW row, const REAL *w) {
    REAL sums[4] = {0};
    ptrdiff_t j = 0;
    for (; j + 4 <= row.n; j += 4)
        for (int u = 0; u < 4; u++)
            sums[u] += row.x[j + u] * w[row.columns[j + u]];
    for (; j < row.n; j++)
        sums[0] += row.x[j] * w[row.columns[j]];
    return (double)((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

INLINE void OF(dots, VARIANT)(const sgd_job *job, ptrdiff_t step, ROW row, const REAL *const *w, double *dots,
                              ptrdiff_t count) {
    OF(prefetch, VARIANT)(job, step);
    for (ptrdiff_t m = 0; m < count; m++)
        dots[m] = OF(dot, VARIANT)(row, w[m]);
}

SHARED double OF(sq_norm, VARIANT)(ROW row) {
    double sum = 0.0;
    for (ptrdiff_t j = 0; j < row.n; j++)
        sum += (double)row.x[j] * row.x[j];
    return sum;
}

INLINE void OF(add, VARIANT)(ROW row, REAL *w, REAL c) {
    for (ptrdiff_t j = 0; j < row.n; j++)
        w[row.columns[j]] += c * row.x[j];
}

SHARED double OF(add_sq_norm, VARIANT)(ROW row, REAL *w, REAL c) {
    double sums[4] = {0};
    ptrdiff_t j = 0;
    for (; j + 4 <= row.n; j += 4)
        for (int u = 0; u < 4; u++) {
            REAL weight = w[row.columns[j + u]] += c * row.x[j + u];
            sums[u] += (double)weight * weight;
        }
    for (; j < row.n; j++) {
        REAL weight = w[row.columns[j]] += c * row.x[j];
        sums[0] += (double)weight * weight;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

SHARED double OF(l1_norm, VARIANT)(ROW row, const REAL *w) {
    double sums[4] = {0};
    ptrdiff_t j = 0;
    for (; j + 4 <= row.n; j += 4)
        for (int u = 0; u < 4; u++)
            sums[u] += fabs((double)w[row.columns[j + u]]);
    for (; j < row.n; j++)
        sums[0] += fabs((double)w[row.columns[j]]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

SHARED void OF(truncate, VARIANT)(ROW row, REAL *w, REAL *applied, double wscale, double cumulative) {
    for (ptrdiff_t j = 0; j < row.n; j++)
        OF(truncate_weight, KIND)(w + row.columns[j], applied + row.columns[j], wscale, cumulative);
}
