/* A share's pass over CSR rows, for one VARIANT of REAL and INDEX: a template.
 *
 * Weights and sums are float64 and lie feature by feature, a feature's columns beside each other: an entry of
 * X takes one run of each, and sums need no flushing, which would cost more than a block has entries. One
 * column is a plain vector.
 */

/* n vectors of margins from `columns` on, n a constant. Even and odd entries apart: two chains of sums. */
INLINE void OF(csr_forward, VARIANT)(ROW row, const double *weights, ptrdiff_t step, vec_f64 *sums,
                                     const int n) {
    vec_f64 odd[4], even[4];
    ptrdiff_t e = 0;
#pragma GCC unroll 4
    for (int v = 0; v < n; v++)
        even[v] = odd[v] = (vec_f64){0};
    for (; e + 2 <= row.n; e += 2) {
        const double *a = weights + (ptrdiff_t)row.columns[e] * step;
        const double *b = weights + (ptrdiff_t)row.columns[e + 1] * step;
#pragma GCC unroll 4
        for (int v = 0; v < n; v++) {
            even[v] += (double)row.x[e] * *(const mem_f64 *)(a + v * LANES_f64);
            odd[v] += (double)row.x[e + 1] * *(const mem_f64 *)(b + v * LANES_f64);
        }
    }
    if (e < row.n) {
        const double *a = weights + (ptrdiff_t)row.columns[e] * step;
#pragma GCC unroll 4
        for (int v = 0; v < n; v++)
            even[v] += (double)row.x[e] * *(const mem_f64 *)(a + v * LANES_f64);
    }
#pragma GCC unroll 4
    for (int v = 0; v < n; v++)
        sums[v] = even[v] + odd[v];
}

INLINE void OF(csr_backward, VARIANT)(ROW row, double *sums, ptrdiff_t step, const vec_f64 *slopes,
                                      const int n) {
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *a = sums + (ptrdiff_t)row.columns[e] * step;
#pragma GCC unroll 4
        for (int v = 0; v < n; v++)
            *(mem_f64 *)(a + v * LANES_f64) += (double)row.x[e] * slopes[v];
    }
}

/* call(n) for n vectors at a time, at most 4, until all of `step` columns are done. */
#define EACH_VECTORS(call)                                                                                   \
    for (ptrdiff_t v = 0; v < step / LANES_f64; v += 4) {                                                    \
        switch (step / LANES_f64 - v) {                                                                      \
        case 1:                                                                                              \
            call(1) break;                                                                                   \
        case 2:                                                                                              \
            call(2) break;                                                                                   \
        case 3:                                                                                              \
            call(3) break;                                                                                   \
        default:                                                                                             \
            call(4) break;                                                                                   \
        }                                                                                                    \
    }

/* n margins of a row, `stride` apart; lane is room for `step` of them. */
static void OF(row_margins, VARIANT)(ROW row, const double *weights, ptrdiff_t step, REAL *margins,
                                     ptrdiff_t stride, ptrdiff_t n) {
#define CALL(k)                                                                                              \
    {                                                                                                        \
        vec_f64 sums[k];                                                                                     \
        OF(csr_forward, VARIANT)(row, weights + v * LANES_f64, step, sums, k);                               \
        for (ptrdiff_t c = v * LANES_f64; c < n && c < (v + k) * LANES_f64; c++)                             \
            margins[c * stride] = (REAL)sums[c / LANES_f64 - v][c % LANES_f64];                              \
    }
    EACH_VECTORS(CALL)
#undef CALL
}

static void OF(add_row, VARIANT)(ROW row, double *sums, ptrdiff_t step, const REAL *slopes, ptrdiff_t stride,
                                 ptrdiff_t n) {
    bool any = false;
    for (ptrdiff_t c = 0; c < n; c++)
        any |= slopes[c * stride] != 0;
    if (!any) /* left out, or on the flat side of its loss */
        return;
#define CALL(k)                                                                                              \
    {                                                                                                        \
        vec_f64 of_slopes[k];                                                                                \
        memset(of_slopes, 0, sizeof of_slopes);                                                              \
        for (ptrdiff_t c = v * LANES_f64; c < n && c < (v + k) * LANES_f64; c++)                             \
            of_slopes[c / LANES_f64 - v][c % LANES_f64] = (double)slopes[c * stride];                        \
        OF(csr_backward, VARIANT)(row, sums + v * LANES_f64, step, of_slopes, k);                            \
    }
    EACH_VECTORS(CALL)
#undef CALL
}

INLINE glm_layout OF(csr_layout, VARIANT)(const glm_job *job) {
    ptrdiff_t bytes = job->x.n_values * (ptrdiff_t)(sizeof(REAL) + sizeof(INDEX));
    return glm_lay_out(job, sizeof(REAL), OF(LANES, KIND), bytes / glm_larger(1, job->x.n_rows));
}

static size_t OF(csr_bytes, VARIANT)(const glm_job *job) {
    glm_layout layout = OF(csr_layout, VARIANT)(job);
    return layout.packed_bytes + (size_t)job->n_shares * layout.share_bytes;
}

/* Calls are for the chunk that begins with the column `begin`: where its table begins in an array like sums.
 */
INLINE ptrdiff_t OF(csr_table, VARIANT)(const glm_job *job, const glm_layout *layout, ptrdiff_t begin) {
    return begin / layout->chunk_columns * layout->column_step * job->x.n_features;
}

static void OF(csr_pack, VARIANT)(const glm_job *job) {
    const glm_layout layout = OF(csr_layout, VARIANT)(job);
    const ptrdiff_t n_features = job->x.n_features;
    memset(job->scratch, 0, layout.packed_bytes);
    for (ptrdiff_t place = 0; place < layout.n_columns; place++) {
        const ptrdiff_t within = place % layout.chunk_columns, k = job->active[place / job->n_columns];
        double *packed =
            (double *)job->scratch + OF(csr_table, VARIANT)(job, &layout, place - within) + within;
        const double *weights =
            job->weights + (k * job->n_columns + place % job->n_columns) * (n_features + 1);
        for (ptrdiff_t f = 0; f < n_features; f++)
            packed[f * layout.column_step] = (double)(REAL)weights[f];
    }
}

/* Shares are even in entries and rows together. */
INLINE ptrdiff_t OF(csr_share, VARIANT)(const glm_job *job, ptrdiff_t share) {
    enum { WORK_PER_ROW = 8 }; /* in entries */
    const INDEX *indptr = (const INDEX *)job->x.indptr;
    const ptrdiff_t n = job->x.n_rows;
    const double all = (double)(indptr[n] - indptr[0]) + WORK_PER_ROW * (double)n;
    ptrdiff_t low = 0, high = n;
    while (low < high) {
        ptrdiff_t middle = (low + high) / 2;
        if ((double)(indptr[middle] - indptr[0]) + WORK_PER_ROW * (double)middle <
            all * (double)share / job->n_shares)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void OF(csr_run, VARIANT)(const glm_job *job, int share) {
    const glm_layout layout = OF(csr_layout, VARIANT)(job);
    const glm_share parts = glm_share_at(job, &layout, share, sizeof(REAL));
    const ptrdiff_t end = OF(csr_share, VARIANT)(job, share + 1), step = layout.column_step;
    REAL *const margins = parts.margins;
    memset(parts.sums, 0, (size_t)((char *)parts.margins - (char *)parts.sums));
    for (ptrdiff_t i = OF(csr_share, VARIANT)(job, share); i < end; i += layout.block_rows) {
        const ptrdiff_t n_rows = glm_smaller(layout.block_rows, end - i);
        for (ptrdiff_t begin = 0; begin < layout.n_columns; begin += layout.chunk_columns) {
            const ptrdiff_t n = glm_smaller(layout.chunk_columns, layout.n_columns - begin);
            if (glm_left_out(job, begin / job->n_columns, n / job->n_columns, i, n_rows))
                continue;
            const ptrdiff_t table = OF(csr_table, VARIANT)(job, &layout, begin);
            const double *weights = (const double *)job->scratch + table;
            double *sums = parts.sums + table;
            for (ptrdiff_t r = 0; r < glm_rounded_up(n_rows, OF(LANES, KIND)); r++) {
                ROW row = OF(row_at, VARIANT)(&job->x, i + glm_smaller(r, n_rows - 1));
                if (step == 1)
                    margins[r] = (REAL)OF(dot, VARIANT)(row, weights);
                else
                    OF(row_margins, VARIANT)(row, weights, step, margins + r, layout.stride, n);
            }
            OF(finish_chunk, KIND)(job, &layout, &parts, begin / job->n_columns, n / job->n_columns, i,
                                   n_rows);
            for (ptrdiff_t r = 0; job->gradient && r < n_rows; r++) {
                ROW row = OF(row_at, VARIANT)(&job->x, i + r);
                if (step > 1)
                    OF(add_row, VARIANT)(row, sums, step, margins + r, layout.stride, n);
                else if (margins[r] != 0)
                    OF(add, VARIANT)(row, sums, (double)margins[r]);
            }
        }
    }
}

static void OF(csr_reduce, VARIANT)(const glm_job *job) {
    const glm_layout layout = OF(csr_layout, VARIANT)(job);
    glm_reduce_values(job, &layout, sizeof(REAL));
    for (ptrdiff_t place = 0; job->gradient && place < layout.n_columns; place++) {
        const ptrdiff_t within = place % layout.chunk_columns;
        const ptrdiff_t table = OF(csr_table, VARIANT)(job, &layout, place - within) + within;
        double *gradient = glm_gradient(job, place);
        memset(gradient, 0, (size_t)job->x.n_features * sizeof(double));
        for (int s = 0; s < job->n_shares; s++) {
            const double *sums = glm_share_at(job, &layout, s, sizeof(REAL)).sums + table;
            for (ptrdiff_t f = 0; f < job->x.n_features; f++)
                gradient[f] += sums[f * layout.column_step];
        }
    }
}

static void OF(take_csr, VARIANT)(const glm_job *job, ptrdiff_t first, ptrdiff_t n_rows, REAL *rows) {
    const ptrdiff_t n = job->x.n_features;
    memset(rows, 0, (size_t)(n_rows * (n + 1)) * sizeof(REAL));
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        ROW row = OF(row_at, VARIANT)(&job->x, first + r);
        for (ptrdiff_t e = 0; e < row.n; e++)
            rows[r * (n + 1) + row.columns[e]] = row.x[e];
        rows[r * (n + 1) + n] = (REAL)1.0;
    }
}

static void OF(hessian_csr, VARIANT)(const glm_job *job, int share) {
    OF(hessian_share, KIND)(job, share, OF(take_csr, VARIANT));
}

static const glm_passes OF(csr_passes, VARIANT) = {
    OF(csr_bytes, VARIANT),  OF(csr_pack, VARIANT),   OF(csr_run, VARIANT),
    OF(csr_reduce, VARIANT), OF(hessian_bytes, KIND), OF(hessian_csr, VARIANT),
};

#undef EACH_VECTORS
