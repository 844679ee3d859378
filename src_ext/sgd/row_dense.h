/* What a step does with one dense row: the rows of kernels/reference/sgd.py, for REAL of KIND. */
#define ROW OF(row, VARIANT)
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define LOAD_PART OF(load_part, KIND)
#define STORE_PART OF(store_part, KIND)
#define SUM OF(sum, KIND)

typedef struct {
    const REAL *x;
    ptrdiff_t n;
} ROW;

INLINE ROW OF(row_at, VARIANT)(const sgd_job *job, ptrdiff_t i) {
    return (ROW){(const REAL *)job->data + i * job->n_features, job->n_features};
}

/* The row that a step prefetches while it computes: some 4 KiB of rows ahead, a memory latency's worth of
   work. Rows come in random order, which no hardware prefetcher follows. */
INLINE const REAL *OF(row_ahead, VARIANT)(const sgd_job *job, ptrdiff_t step) {
    if (job->ahead_order) {
        ptrdiff_t i = step < job->n_ahead ? step : job->n_ahead - 1;
        return (const REAL *)job->ahead_data + job->ahead_order[i] * job->n_features;
    }
    ptrdiff_t bytes = job->n_features * (ptrdiff_t)sizeof(REAL);
    ptrdiff_t ahead = bytes <= 256 ? 16 : 1 + 4096 / bytes;
    ptrdiff_t last = job->n_steps - 1;
    return (const REAL *)job->data + job->order[step + ahead < last ? step + ahead : last] * job->n_features;
}

/* The rows whose even and whose odd lines a step prefetches: the same one, but where threads share the
   models. They visit the same rows in the same order: each brings half of the lines from memory, from far
   ahead, and finds the other half in another's cache (measured: 84 to 63 ms for five epochs of ten classes on
   MNIST, where each brought all). They need not keep step for that: one that gets ahead has to wait for
   memory. */
INLINE void OF(rows_ahead, VARIANT)(const sgd_job *job, ptrdiff_t step, const REAL *ahead[2]) {
    ahead[0] = ahead[1] = OF(row_ahead, VARIANT)(job, step);
    if (job->n_shares > 1) {
        enum { FAR_BYTES = 24 << 10 };
        ptrdiff_t bytes = job->n_features * (ptrdiff_t)sizeof(REAL), last = job->n_steps - 1;
        ptrdiff_t far = step + 1 + FAR_BYTES / (bytes > 0 ? bytes : 1);
        ahead[job->share % 2] =
            (const REAL *)job->data + job->order[far < last ? far : last] * job->n_features;
    }
}

#define FETCH_LINE(ahead, j) __builtin_prefetch((ahead)[(j) * (ptrdiff_t)sizeof(REAL) / 64 % 2] + (j), 0, 2)

/* dots[m] = x . w[m] for m < count, a compile-time constant; each with `chains` partial sums, so that the
   latency of one multiply-add is hidden by the others. The lines of the rows `ahead` are asked for one by one
   in between: all at once they would fill the line buffers and hold up the arithmetic (measured: twice the
   time on MNIST); into the second-level cache, as the first is full of weights. */
INLINE void OF(dots_n, VARIANT)(ROW row, const REAL *const *ahead, const REAL *const *w, double *dots,
                                const int count, const int chains) {
    VEC sums[8][4];
    for (int m = 0; m < count; m++)
        for (int c = 0; c < chains; c++)
            sums[m][c] = (VEC){0};
    ptrdiff_t j = 0;
    for (; j + chains * LANES <= row.n; j += chains * LANES)
        for (int c = 0; c < chains; c++) {
            if (c * VEC_BYTES % 64 == 0)
                FETCH_LINE(ahead, j + c * LANES);
            VEC x = *(const MEM *)(row.x + j + c * LANES);
            for (int m = 0; m < count; m++)
                sums[m][c] += x * *(const MEM *)(w[m] + j + c * LANES);
        }
    for (; j + LANES <= row.n; j += LANES) {
        FETCH_LINE(ahead, j);
        VEC x = *(const MEM *)(row.x + j);
        for (int m = 0; m < count; m++)
            sums[m][0] += x * *(const MEM *)(w[m] + j);
    }
    FETCH_LINE(ahead, row.n - 1);
    if (j < row.n) {
        FETCH_LINE(ahead, j);
        VEC x = LOAD_PART(row.x + j, row.n - j);
        for (int m = 0; m < count; m++)
            sums[m][chains - 1] += x * LOAD_PART(w[m] + j, row.n - j);
    }
    for (int m = 0; m < count; m++) {
        VEC total = sums[m][0];
        for (int c = 1; c < chains; c++)
            total += sums[m][c];
        dots[m] = (double)SUM(total);
    }
}

SHARED void OF(dots_many, VARIANT)(ROW row, const REAL *const *ahead, const REAL *const *w, double *dots,
                                   ptrdiff_t count) {
    switch (count) {
    case 2:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 2, 4);
        break;
    case 3:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 3, 2);
        break;
    case 4:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 4, 2);
        break;
    case 5:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 5, 2);
        break;
    case 6:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 6, 2);
        break;
    case 7:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 7, 1);
        break;
    default:
        OF(dots_n, VARIANT)(row, ahead, w, dots, 8, 1);
    }
}

INLINE void OF(dots, VARIANT)(const sgd_job *job, ptrdiff_t step, ROW row, const REAL *const *w, double *dots,
                              ptrdiff_t count) {
    const REAL *ahead[2];
    OF(rows_ahead, VARIANT)(job, step, ahead);
    if (count == 1)
        OF(dots_n, VARIANT)(row, ahead, w, dots, 1, 4);
    else
        OF(dots_many, VARIANT)(row, ahead, w, dots, count);
}

/* Where this is seldom needed. */
SHARED double OF(dot_once, VARIANT)(ROW row, const REAL *ahead, const REAL *w) {
    double dot;
    const REAL *const both[2] = {ahead, ahead};
    OF(dots_n, VARIANT)(row, both, &w, &dot, 1, 4);
    return dot;
}

/* with_w = next . w and with_row = next . row, in one pass. */
INLINE void OF(pair_dots, VARIANT)(ROW row, ROW next, const REAL *ahead, const REAL *w, double *with_w,
                                   double *with_row) {
    VEC sums[2][2] = {{{0}}};
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= next.n; j += 2 * LANES)
        for (int c = 0; c < 2; c++) {
            if (c * VEC_BYTES % 64 == 0)
                __builtin_prefetch(ahead + j + c * LANES, 0, 2);
            VEC x = *(const MEM *)(next.x + j + c * LANES);
            sums[0][c] += x * *(const MEM *)(w + j + c * LANES);
            sums[1][c] += x * *(const MEM *)(row.x + j + c * LANES);
        }
    for (; j < next.n; j += LANES) {
        ptrdiff_t left = next.n - j;
        __builtin_prefetch(ahead + j, 0, 2);
        if (left >= LANES) {
            VEC x = *(const MEM *)(next.x + j);
            sums[0][0] += x * *(const MEM *)(w + j);
            sums[1][0] += x * *(const MEM *)(row.x + j);
        } else {
            VEC x = LOAD_PART(next.x + j, left);
            sums[0][1] += x * LOAD_PART(w + j, left);
            sums[1][1] += x * LOAD_PART(row.x + j, left);
        }
    }
    *with_w = (double)SUM(sums[0][0] + sums[0][1]);
    *with_row = (double)SUM(sums[1][0] + sums[1][1]);
}

/* In double, where the squares of a small row do not underflow. */
SHARED double OF(sq_norm, VARIANT)(ROW row) {
    double sums[8] = {0};
    ptrdiff_t j = 0;
    for (; j + 8 <= row.n; j += 8)
        for (int u = 0; u < 8; u++)
            sums[u] += (double)row.x[j + u] * row.x[j + u];
    for (; j < row.n; j++)
        sums[0] += (double)row.x[j] * row.x[j];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* w += c x. */
INLINE void OF(add, VARIANT)(ROW row, REAL *w, REAL c) {
    ptrdiff_t j = 0;
    for (; j + LANES <= row.n; j += LANES)
        *(MEM *)(w + j) += c * *(const MEM *)(row.x + j);
    if (j < row.n)
        STORE_PART(w + j, LOAD_PART(w + j, row.n - j) + c * LOAD_PART(row.x + j, row.n - j), row.n - j);
}

/* w += c x, and the squared l2 norm of the sum. */
SHARED double OF(add_sq_norm, VARIANT)(ROW row, REAL *w, REAL c) {
    VEC sums[2] = {{0}};
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= row.n; j += 2 * LANES)
        for (int u = 0; u < 2; u++) {
            VEC sum = *(const MEM *)(w + j + u * LANES) + c * *(const MEM *)(row.x + j + u * LANES);
            *(MEM *)(w + j + u * LANES) = sum;
            sums[u] += sum * sum;
        }
    for (; j < row.n; j += LANES) {
        ptrdiff_t left = row.n - j;
        VEC sum;
        if (left >= LANES) {
            sum = *(const MEM *)(w + j) + c * *(const MEM *)(row.x + j);
            *(MEM *)(w + j) = sum;
        } else {
            sum = LOAD_PART(w + j, left) + c * LOAD_PART(row.x + j, left);
            STORE_PART(w + j, sum, left);
        }
        sums[0] += sum * sum;
    }
    return (double)SUM(sums[0] + sums[1]);
}

SHARED double OF(l1_norm, VARIANT)(ROW row, const REAL *w) {
    double sums[8] = {0};
    ptrdiff_t j = 0;
    for (; j + 8 <= row.n; j += 8)
        for (int u = 0; u < 8; u++)
            sums[u] += fabs((double)w[j + u]);
    for (; j < row.n; j++)
        sums[0] += fabs((double)w[j]);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

SHARED void OF(truncate, VARIANT)(ROW row, REAL *restrict w, REAL *restrict applied, double wscale,
                                  double cumulative) {
    for (ptrdiff_t j = 0; j < row.n; j++)
        OF(truncate_weight, KIND)(w + j, applied + j, wscale, cumulative);
}

#undef VEC
#undef MEM
#undef LANES
#undef LOAD_PART
#undef STORE_PART
#undef SUM
#undef FETCH_LINE
