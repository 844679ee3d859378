/* Layer normalisation, a row's columns in the lanes, for REAL of KIND: a template. */

#define SUM OF(sum, KIND)

/* A vector's worth of a parameter, `otherwise` where there is none. */
INLINE VEC OF(parameter, KIND)(const void *values, ptrdiff_t j, ptrdiff_t left, REAL otherwise) {
    return values ? LOAD((const REAL *)values + j, left) : (VEC){0} + otherwise;
}

/* deviation from `centre`, zero beyond the row. */
INLINE VEC OF(deviation, KIND)(const REAL *x, REAL centre, ptrdiff_t left) {
    VEC deviations = LOAD(x, left) - centre;
    for (ptrdiff_t lane = left; lane < N_LANES; lane++)
        deviations[lane] = (REAL)0.0;
    return deviations;
}

/* The mean is corrected as in batch.h. */
SHARED void OF(layer_row, KIND)(const norm_job *job, ptrdiff_t i) {
    ptrdiff_t c = job->c;
    const REAL *x = (const REAL *)job->x + i * c;
    REAL *out = (REAL *)job->result + i * c;
    VEC total = {0}, squares = {0}, remainders = {0};
    for (ptrdiff_t j = 0; j < c; j += N_LANES)
        total += LOAD(x + j, c - j);
    REAL centre = SUM(total) / (REAL)c;
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC d = OF(deviation, KIND)(x + j, centre, c - j);
        remainders += d;
        squares += d * d;
    }
    REAL remainder = SUM(remainders) / (REAL)c;
    double variance = (double)(SUM(squares) / (REAL)c) - (double)remainder * (double)remainder;
    REAL inverse_std = (REAL)(1.0 / sqrt(variance + job->epsilon));
    ((REAL *)job->mean)[i] = centre + remainder;
    ((REAL *)job->inverse_std)[i] = inverse_std;
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC slope = OF(parameter, KIND)(job->gamma, j, c - j, (REAL)1.0) * inverse_std;
        VEC shift = OF(parameter, KIND)(job->beta, j, c - j, (REAL)0.0);
        STORE(out + j, ((LOAD(x + j, c - j) - centre) - remainder) * slope + shift, c - j);
    }
}

static void OF(layer_forward, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    for (ptrdiff_t i = part * job->rows_per_part; i < end_of(job, part); i++)
        OF(layer_row, KIND)(job, i);
}

/* A row's share of the sums for the parameters; the row's dX. */
SHARED void OF(layer_gradient_row, KIND)(const norm_job *job, ptrdiff_t i, double *sums) {
    ptrdiff_t c = job->c;
    const REAL *x = (const REAL *)job->x + i * c, *dout = (const REAL *)job->dout + i * c;
    REAL mean = ((const REAL *)job->mean)[i], inverse_std = ((const REAL *)job->inverse_std)[i];
    for (ptrdiff_t j = 0; j < c; j++) {
        sums[j] += (double)dout[j];
        sums[c + j] += (double)(dout[j] * ((x[j] - mean) * inverse_std));
    }
    if (!job->result)
        return;
    VEC of_e = {0}, of_ex = {0};
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC e = LOAD(dout + j, c - j) * OF(parameter, KIND)(job->gamma, j, c - j, (REAL)1.0);
        of_e += e;
        of_ex += e * (LOAD(x + j, c - j) - mean);
    }
    REAL mean_e = SUM(of_e) / (REAL)c, slope = SUM(of_ex) / (REAL)c * inverse_std * inverse_std;
    REAL *dx = (REAL *)job->result + i * c;
    for (ptrdiff_t j = 0; j < c; j += N_LANES) {
        VEC e = LOAD(dout + j, c - j) * OF(parameter, KIND)(job->gamma, j, c - j, (REAL)1.0);
        VEC d = LOAD(x + j, c - j) - mean;
        STORE(dx + j, (e - mean_e - d * slope) * inverse_std, c - j);
    }
}

static void OF(layer_gradient, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const norm_job *job = context;
    double *sums = job->sums + part * 2 * job->c;
    memset(sums, 0, 2 * job->c * sizeof(double));
    for (ptrdiff_t i = part * job->rows_per_part; i < end_of(job, part); i++)
        OF(layer_gradient_row, KIND)(job, i, sums);
}

static void OF(layer_parameters, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)part;
    (void)scratch;
    const norm_job *job = context;
    for (ptrdiff_t j = 0; j < job->c; j++) {
        double of_d, of_dx;
        OF(add_blocks, KIND)(job, j, &of_d, &of_dx);
    }
}
