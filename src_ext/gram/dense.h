/* Dense rows: gemm.h's product with the kernel as its epilogue, for REAL of KIND: a template.
 *
 * The epilogue works on a tile that the micro-kernel has just left in the first-level cache (14 x 32 floats
 * are 1.75 KiB): 28 stores and loads beside 28 n_features vector multiply-adds.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

#ifndef FASTML_GRAM_DENSE_H
#define FASTML_GRAM_DENSE_H

enum { SHIFT_SAMPLE = 256, SHIFT_PAYS = 4 };

#endif

/* The mean row, where rows lie far from the origin: where taking it off makes squared norms, and with them
   the rounding of squared distances, SHIFT_PAYS times smaller. Decided on SHIFT_SAMPLE rows, evenly spaced:
   any shift is right, the mean is the best. Data near the origin, of few digits, keep their exact products.
 */
static bool OF(choose_shift, KIND)(const gram_rows *rows, double *mean, void *shift) {
    ptrdiff_t n = rows->n_features, step = (rows->n_rows + SHIFT_SAMPLE - 1) / SHIFT_SAMPLE, count = 0;
    double about_origin = 0.0, of_mean = 0.0;
    memset(mean, 0, (size_t)n * sizeof(double));
    for (ptrdiff_t i = 0; i < rows->n_rows; i += step, count++) {
        const REAL *row = (const REAL *)rows->data + i * n;
        for (ptrdiff_t k = 0; k < n; k++) {
            mean[k] += (double)row[k];
            about_origin += (double)row[k] * row[k];
        }
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        mean[k] /= (double)count;
        of_mean += mean[k] * mean[k];
        ((REAL *)shift)[k] = (REAL)mean[k];
    }
    about_origin /= (double)count;
    return isfinite(about_origin) && about_origin > SHIFT_PAYS * fmax(0.0, about_origin - of_mean);
}

static bool OF(can_condense, KIND)(ptrdiff_t n_features) { return OF(gemm_can_condense, KIND)(n_features); }

/* B's panels and norms, for its rows from `first`, where a panel begins, to before `last`. */
static void OF(pack, KIND)(const gram_layout *b, void *packed, uint16_t *features, int32_t *n_kept,
                           void *sq_norms, ptrdiff_t first, ptrdiff_t last) {
    const REAL *rows = b->rows.data;
    ptrdiff_t n_rows = b->rows.n_rows, depth = b->rows.n_features;
    for (; first < last; first += COLUMNS) {
        REAL *panel = (REAL *)packed + first * depth;
        OF(gemm_pack, KIND)(rows + first * depth, depth, b->shift, n_rows - first, depth, panel, COLUMNS,
                            (REAL *)sq_norms + first);
        if (features)
            n_kept[first / COLUMNS] =
                OF(gemm_condense, KIND)(panel, depth, features + first / COLUMNS * depth);
    }
}

/* In float64, from the rows as they came. */
SHARED double OF(dense_distance, KIND)(const REAL *a, const REAL *b, ptrdiff_t n) {
    double sums[8] = {0};
    ptrdiff_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int u = 0; u < 8; u++) {
            double difference = (double)a[k + u] - (double)b[k + u];
            sums[u] += difference * difference;
        }
    for (; k < n; k++) {
        double difference = (double)a[k] - (double)b[k];
        sums[0] += difference * difference;
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* The lanes of `which`: A's row with B's rows from `column` on. */
SHARED void OF(dense_refine, KIND)(const gram_job *job, VEC *values, const BITS *which, ptrdiff_t row,
                                   ptrdiff_t column) {
    ptrdiff_t n = job->a.n_features, n_columns = gemm_smaller(LANES, job->b.rows.n_rows - column);
    const REAL *a = (const REAL *)job->a.data + row * n, *b = (const REAL *)job->b.rows.data + column * n;
    for (ptrdiff_t j = 0; j < n_columns; j++)
        if ((*which)[j])
            (*values)[j] = (REAL)exp(-job->gamma * OF(dense_distance, KIND)(a, b + j * n, n));
}

INLINE void OF(finish, KIND)(const gram_job *job, VEC *tile, int height, ptrdiff_t column,
                             const REAL *sq_norms, const int kernel) {
    const REAL *norms_of_b = (const REAL *)job->b.sq_norms + column;
    for (int i = 0; i < height; i++)
        for (int v = 0; v < GEMM_VECTORS; v++) {
            VEC norms = sq_norms[i] + *(const MEM *)(norms_of_b + v * LANES);
            tile[i * GEMM_VECTORS + v] = OF(value, KIND)(job, kernel, tile[i * GEMM_VECTORS + v], norms);
        }
}

/* finish for rbf where some values are to be refined. */
SHARED void OF(finish_refined, KIND)(const gram_job *job, VEC *tile, ptrdiff_t row, int height,
                                     ptrdiff_t column, const REAL *sq_norms) {
    const REAL *norms_of_b = (const REAL *)job->b.sq_norms + column;
    for (int i = 0; i < height; i++)
        for (int v = 0; v < GEMM_VECTORS; v++) {
            VEC *values = &tile[i * GEMM_VECTORS + v];
            VEC norms = sq_norms[i] + *(const MEM *)(norms_of_b + v * LANES);
            BITS which = OF(to_refine, KIND)(job, *values, norms);
            *values = OF(value, KIND)(job, GRAM_RBF, *values, norms);
            if (any_lane(&which))
                OF(dense_refine, KIND)(job, values, &which, row + i, column + v * LANES);
        }
}

static void OF(finish_poly, KIND)(const void *context, VEC *tile, ptrdiff_t row, int height, ptrdiff_t column,
                                  const REAL *sq_norms) {
    (void)row;
    OF(finish, KIND)(context, tile, height, column, sq_norms, GRAM_POLY);
}

static void OF(finish_sigmoid, KIND)(const void *context, VEC *tile, ptrdiff_t row, int height,
                                     ptrdiff_t column, const REAL *sq_norms) {
    (void)row;
    OF(finish, KIND)(context, tile, height, column, sq_norms, GRAM_SIGMOID);
}

static void OF(finish_rbf, KIND)(const void *context, VEC *tile, ptrdiff_t row, int height, ptrdiff_t column,
                                 const REAL *sq_norms) {
    if (gram_is_plain(context, (double)OF(max_of, KIND)(sq_norms, height), OF(RBF_LIMIT, KIND)))
        OF(finish, KIND)(context, tile, height, column, sq_norms, GRAM_RBF);
    else
        OF(finish_refined, KIND)(context, tile, row, height, column, sq_norms);
}

INLINE OF(gemm_job, KIND) OF(product_of, KIND)(const gram_job *job) {
    OF(gemm_finish, KIND) *const finish[] = {NULL, OF(finish_poly, KIND), OF(finish_rbf, KIND),
                                             OF(finish_sigmoid, KIND)};
    return (OF(gemm_job, KIND)){
        .a = job->a.data,
        .shift = job->b.shift,
        .n_rows = job->a.n_rows,
        .depth = job->a.n_features,
        .b = job->b.packed,
        .features = job->b.features,
        .n_kept = job->b.n_kept,
        .n_columns = job->b.rows.n_rows,
        .out = job->out,
        .out_stride = job->out_stride,
        .finish = finish[job->kernel],
        .context = job,
    };
}

static size_t OF(dense_scratch, KIND)(const gram_job *job) {
    OF(gemm_job, KIND) product = OF(product_of, KIND)(job);
    return OF(gemm_scratch, KIND)(&product);
}

static void OF(dense_run, KIND)(const gram_job *job, ptrdiff_t first, ptrdiff_t last, void *scratch) {
    OF(gemm_job, KIND) product = OF(product_of, KIND)(job);
    OF(gemm_run, KIND)(&product, first / COLUMNS, (last + COLUMNS - 1) / COLUMNS, scratch);
}

#undef VEC
#undef MEM
#undef BITS
#undef LANES
#undef COLUMNS
