/* Batch normalisation, the columns in the lanes, for REAL of KIND: a template.
 *
 * The batch is read twice, once for its moments and once to be normalised. Moments are taken of some rows at
 * a time, twice over these while they are in the cache, and joined by T. Chan, G. Golub, R. LeVeque,
 * "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", COMPSTAT 1982, eq. 2.1: no
 * digits cancel where the mean is large beside the deviation.
 */

#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define N_LANES OF(LANES, KIND)
#define LOAD OF(load_up_to, KIND)
#define STORE OF(store_up_to, KIND)

/* Join n_b values of mean mean_b and sum of squared deviations m2_b with the n of (mean, m2). */
INLINE void OF(join_moments, KIND)(double n, double *mean, double *m2, double n_b, double mean_b,
                                   double m2_b) {
    double delta = mean_b - *mean, total = n + n_b;
    *mean += delta * (n_b / total);
    *m2 += m2_b + delta * delta * (n * n_b / total);
}

/* Of `rows` rows from x on: a vector's columns' moments, joined with those of the `before` rows. The mean is
   corrected by what the deviations from it sum to, since it was rounded (Chan, Golub, LeVeque, eq. 1.7). */
SHARED void OF(moments_of_rows, KIND)(const REAL *x, ptrdiff_t rows, ptrdiff_t c, ptrdiff_t left,
                                      ptrdiff_t before, double *means, double *m2s) {
    VEC total = {0}, squares = {0}, remainders = {0};
    REAL centre[N_LANES], square[N_LANES], remainder[N_LANES];
    for (ptrdiff_t i = 0; i < rows; i++)
        total += LOAD(x + i * c, left);
    total /= (REAL)rows;
    for (ptrdiff_t i = 0; i < rows; i++) {
        VEC deviation = LOAD(x + i * c, left) - total;
        remainders += deviation;
        squares += deviation * deviation;
    }
    memcpy(centre, &total, sizeof centre);
    memcpy(square, &squares, sizeof square);
    memcpy(remainder, &remainders, sizeof remainder);
    for (ptrdiff_t j = 0; j < left && j < N_LANES; j++) {
        double n = (double)rows, excess = (double)remainder[j];
        OF(join_moments, KIND)((double)before, means + j, m2s + j, n, (double)centre[j] + excess / n,
                               (double)square[j] - excess * (excess / n));
    }
}

static void OF(batch_moments, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    ptrdiff_t c = job->c, begin = part * job->rows_per_part, end = end_of(job, part);
    double *means = job->sums + part * 2 * c, *m2s = means + c;
    memset(means, 0, 2 * c * sizeof(double));
    for (ptrdiff_t i = begin; i < end; i += ROWS_AT_ONCE) {
        ptrdiff_t rows = end - i < ROWS_AT_ONCE ? end - i : ROWS_AT_ONCE;
        for (ptrdiff_t j = 0; j < c; j += N_LANES)
            OF(moments_of_rows, KIND)((const REAL *)job->x + i * c + j, rows, c, c - j, i - begin, means + j,
                                      m2s + j);
    }
}

/* What apply needs: (x - centre) slope + shift, where the centre is of the elements' type, and what the mean
   has more digits than that goes into the shift. */
INLINE void OF(set_columns, KIND)(const norm_job *job, ptrdiff_t j, double mean, double inverse_std) {
    double centre = (double)(REAL)mean;
    double slope = inverse_std * (job->gamma ? (double)((const REAL *)job->gamma)[j] : 1.0);
    double beta = job->beta ? (double)((const REAL *)job->beta)[j] : 0.0;
    column(job, NORM_CENTRE)[j] = centre;
    column(job, NORM_SLOPE)[j] = slope;
    column(job, NORM_SHIFT)[j] = isfinite(mean) ? beta + (centre - mean) * slope : mean;
}

static void OF(batch_statistics, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)part;
    (void)scratch;
    const norm_job *job = context;
    ptrdiff_t c = job->c;
    REAL *moving_mean = job->moving_mean, *moving_variance = job->moving_variance;
    for (ptrdiff_t j = 0; j < c; j++) {
        double mean = job->sums[j], m2 = job->sums[c + j];
        for (ptrdiff_t b = 1; b < job->n_parts; b++) {
            ptrdiff_t before = b * job->rows_per_part, rows = end_of(job, b) - before;
            OF(join_moments, KIND)((double)before, &mean, &m2, (double)rows, job->sums[2 * b * c + j],
                                   job->sums[(2 * b + 1) * c + j]);
        }
        double variance = m2 / (double)job->n, inverse_std = 1.0 / sqrt(variance + job->epsilon);
        ((REAL *)job->mean)[j] = (REAL)mean;
        ((REAL *)job->inverse_std)[j] = (REAL)inverse_std;
        moving_mean[j] = (REAL)(job->momentum * (double)moving_mean[j] + (1.0 - job->momentum) * mean);
        moving_variance[j] =
            (REAL)(job->momentum * (double)moving_variance[j] + (1.0 - job->momentum) * variance);
        OF(set_columns, KIND)(job, j, mean, inverse_std);
    }
}

static void OF(infer_columns, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)part;
    (void)scratch;
    const norm_job *job = context;
    for (ptrdiff_t j = 0; j < job->c; j++)
        OF(set_columns, KIND)(job, j, (double)((const REAL *)job->moving_mean)[j],
                              1.0 / sqrt((double)((const REAL *)job->moving_variance)[j] + job->epsilon));
}

/* A column's constants in the elements' type, for a vector of columns. */
INLINE VEC OF(constants, KIND)(const norm_job *job, enum norm_column name, ptrdiff_t j) {
    VEC values = {0};
    const double *from = column(job, name);
    for (ptrdiff_t lane = 0; lane < N_LANES && j + lane < job->c; lane++)
        values[lane] = (REAL)from[j + lane];
    return values;
}

static void OF(apply, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    ptrdiff_t c = job->c, begin = part * job->rows_per_part, end = end_of(job, part);
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC centre = OF(constants, KIND)(job, NORM_CENTRE, j),
            slope = OF(constants, KIND)(job, NORM_SLOPE, j);
        VEC shift = OF(constants, KIND)(job, NORM_SHIFT, j);
        for (ptrdiff_t i = begin; i < end; i++) {
            VEC x = LOAD((const REAL *)job->x + i * c + j, c - j);
            STORE((REAL *)job->result + i * c + j, (x - centre) * slope + shift, c - j);
        }
    }
}

/* Of `rows` rows: a vector's columns' sums of dout and of dout (x - mean) inverse_std. */
SHARED void OF(gradient_of_rows, KIND)(const norm_job *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t j,
                                       double *sums) {
    ptrdiff_t c = job->c, left = c - j;
    VEC mean = LOAD((const REAL *)job->mean + j, left),
        inverse = LOAD((const REAL *)job->inverse_std + j, left);
    VEC of_d = {0}, of_dx = {0};
    REAL sum_d[N_LANES], sum_dx[N_LANES];
    for (ptrdiff_t i = first; i < first + rows; i++) {
        VEC d = LOAD((const REAL *)job->dout + i * c + j, left);
        VEC x = (LOAD((const REAL *)job->x + i * c + j, left) - mean) * inverse;
        of_d += d;
        of_dx += d * x;
    }
    memcpy(sum_d, &of_d, sizeof sum_d);
    memcpy(sum_dx, &of_dx, sizeof sum_dx);
    for (ptrdiff_t lane = 0; lane < left && lane < N_LANES; lane++) {
        sums[j + lane] += (double)sum_d[lane];
        sums[c + j + lane] += (double)sum_dx[lane];
    }
}

static void OF(gradient_sums, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    ptrdiff_t c = job->c, end = end_of(job, part);
    double *sums = job->sums + part * 2 * c;
    memset(sums, 0, 2 * c * sizeof(double));
    for (ptrdiff_t i = part * job->rows_per_part; i < end; i += ROWS_AT_ONCE)
        for (ptrdiff_t j = 0; j < c; j += N_LANES)
            OF(gradient_of_rows, KIND)(job, i, end - i < ROWS_AT_ONCE ? end - i : ROWS_AT_ONCE, j, sums);
}

/* The blocks' sums, in order; what is wanted of them. */
INLINE void OF(add_blocks, KIND)(const norm_job *job, ptrdiff_t j, double *of_d, double *of_dx) {
    *of_d = *of_dx = 0.0;
    for (ptrdiff_t b = 0; b < job->n_parts; b++) {
        *of_d += job->sums[2 * b * job->c + j];
        *of_dx += job->sums[(2 * b + 1) * job->c + j];
    }
    if (job->dbeta)
        ((REAL *)job->dbeta)[j] = (REAL)*of_d;
    if (job->dgamma)
        ((REAL *)job->dgamma)[j] = (REAL)*of_dx;
}

static void OF(gradient_columns, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)part;
    (void)scratch;
    const norm_job *job = context;
    for (ptrdiff_t j = 0; j < job->c; j++) {
        double of_d, of_dx, inverse_std = (double)((const REAL *)job->inverse_std)[j];
        OF(add_blocks, KIND)(job, j, &of_d, &of_dx);
        column(job, NORM_CENTRE)[j] = of_d / (double)job->n;
        column(job, NORM_SLOPE)[j] = inverse_std * of_dx / (double)job->n;
        column(job, NORM_SHIFT)[j] = (double)((const REAL *)job->mean)[j];
        column(job, NORM_FACTOR)[j] =
            inverse_std * (job->gamma ? (double)((const REAL *)job->gamma)[j] : 1.0);
    }
}

static void OF(gradient_apply, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    ptrdiff_t c = job->c, begin = part * job->rows_per_part, end = end_of(job, part);
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC centre = OF(constants, KIND)(job, NORM_CENTRE, j),
            slope = OF(constants, KIND)(job, NORM_SLOPE, j);
        VEC mean = OF(constants, KIND)(job, NORM_SHIFT, j), factor = OF(constants, KIND)(job, NORM_FACTOR, j);
        for (ptrdiff_t i = begin; i < end; i++) {
            VEC x = LOAD((const REAL *)job->x + i * c + j, c - j);
            VEC d = LOAD((const REAL *)job->dout + i * c + j, c - j);
            STORE((REAL *)job->result + i * c + j, (d - centre - (x - mean) * slope) * factor, c - j);
        }
    }
}
