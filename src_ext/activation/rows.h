/* Softmax, log-softmax and sparsemax of rows, their gradients, and softmax with its loss, for REAL of KIND: a
 * template. A NaN or +inf among a row's elements makes all of it NaN, but of sparsemax, by exp(x - max) or
 * its sum.
 */

#define MEM OF(mem, KIND)
#define LOAD OF(load_up_to, KIND)
#define STORE OF(store_up_to, KIND)
#define SUM OF(sum, KIND)

/* The first n lanes hold. */
INLINE BITS OF(first_lanes, KIND)(ptrdiff_t n) {
    BITS lane = {0};
    for (int i = 0; i < N_LANES; i++)
        lane[i] = i;
    return lane < (BITS){0} + (int)n;
}

SHARED REAL OF(largest, KIND)(const REAL *x, ptrdiff_t k) {
    VEC most = ALL((REAL)-INFINITY);
    ptrdiff_t j = 0;
    for (; j + N_LANES <= k; j += N_LANES)
        most = AT_LEAST(most, *(const MEM *)(x + j));
    if (j < k)
        most = AT_LEAST(most, CHOOSE(OF(first_lanes, KIND)(k - j), LOAD(x + j, k - j), ALL((REAL)-INFINITY)));
    REAL largest = most[0];
    for (int i = 1; i < N_LANES; i++)
        largest = largest > most[i] ? largest : most[i];
    return largest;
}

/* exp(x - shift), stored where `out` is given; its sum. */
SHARED REAL OF(exponentials, KIND)(const REAL *x, ptrdiff_t k, REAL shift, REAL *out) {
    VEC total = ZERO;
    for (ptrdiff_t j = 0; j < k; j += N_LANES) {
        VEC e = EXP(LOAD(x + j, k - j) - shift);
        if (k - j < N_LANES)
            e = CHOOSE(OF(first_lanes, KIND)(k - j), e, ZERO);
        total += e;
        if (out)
            STORE(out + j, e, k - j);
    }
    return SUM(total);
}

/* out = a x + b. */
SHARED void OF(scaled, KIND)(const REAL *x, ptrdiff_t k, REAL a, REAL b, REAL *out) {
    for (ptrdiff_t j = 0; j < k; j++)
        out[j] = a * x[j] + b;
}

SHARED REAL OF(dot, KIND)(const REAL *x, const REAL *y, ptrdiff_t k) {
    VEC total = ZERO;
    for (ptrdiff_t j = 0; j < k; j += N_LANES)
        total += LOAD(x + j, k - j) * LOAD(y + j, k - j);
    return SUM(total);
}

SHARED REAL OF(row_sum, KIND)(const REAL *x, ptrdiff_t k) {
    VEC total = ZERO;
    for (ptrdiff_t j = 0; j < k; j += N_LANES)
        total += LOAD(x + j, k - j);
    return SUM(total);
}

static void OF(softmax_row, KIND)(const REAL *x, const REAL *dout, ptrdiff_t k, REAL *out) {
    (void)dout;
    REAL total = OF(exponentials, KIND)(x, k, OF(largest, KIND)(x, k), out);
    OF(scaled, KIND)(out, k, (REAL)1.0 / total, (REAL)0.0, out);
}

static void OF(softmax_gradient_row, KIND)(const REAL *p, const REAL *dout, ptrdiff_t k, REAL *dx) {
    REAL mean = OF(dot, KIND)(p, dout, k);
    for (ptrdiff_t j = 0; j < k; j++)
        dx[j] = p[j] * (dout[j] - mean);
}

static void OF(log_softmax_row, KIND)(const REAL *x, const REAL *dout, ptrdiff_t k, REAL *out) {
    (void)dout;
    REAL shift = OF(largest, KIND)(x, k), total = OF(exponentials, KIND)(x, k, shift, NULL);
    REAL log_total = (REAL)log((double)total);
    for (ptrdiff_t j = 0; j < k; j++)
        out[j] = (x[j] - shift) - log_total;
}

static void OF(log_softmax_gradient_row, KIND)(const REAL *out, const REAL *dout, ptrdiff_t k, REAL *dx) {
    REAL total = OF(row_sum, KIND)(dout, k);
    for (ptrdiff_t j = 0; j < k; j += N_LANES)
        STORE(dx + j, LOAD(dout + j, k - j) - total * EXP(LOAD(out + j, k - j)), k - j);
}

/* The threshold by C. Michelot, "A Finite Algorithm for Finding the Projection of a Point onto the Canonical
   Simplex of R^n", JOTA 50, 1986: the mean excess over those still above it rises until none falls below. Of
   elements less the largest one, whose sum would drown the 1, else. */
static void OF(sparsemax_row, KIND)(const REAL *x, const REAL *dout, ptrdiff_t k, REAL *out) {
    (void)dout;
    double tau = -INFINITY, shift = (double)OF(largest, KIND)(x, k);
    ptrdiff_t before, above = k + 1;
    do {
        double total = 0.0;
        before = above;
        above = 0;
        for (ptrdiff_t j = 0; j < k; j++) {
            if ((double)x[j] - shift > tau) {
                total += (double)x[j] - shift;
                above++;
            }
        }
        tau = (total - 1.0) / (double)above;
    } while (above < before);
    for (ptrdiff_t j = 0; j < k; j++)
        out[j] = (double)x[j] - shift <= tau ? (REAL)0.0 : (REAL)((double)x[j] - shift - tau);
}

static void OF(sparsemax_gradient_row, KIND)(const REAL *out, const REAL *dout, ptrdiff_t k, REAL *dx) {
    double total = 0.0;
    ptrdiff_t support = 0;
    for (ptrdiff_t j = 0; j < k; j++) {
        if (out[j] > (REAL)0.0) {
            total += (double)dout[j];
            support++;
        }
    }
    for (ptrdiff_t j = 0; j < k; j++)
        dx[j] = out[j] > (REAL)0.0 ? (REAL)((double)dout[j] - total / (double)support) : (REAL)0.0;
}

INLINE void OF(run_rows, KIND)(const act_rows *job, ptrdiff_t part,
                               void (*row)(const REAL *, const REAL *, ptrdiff_t, REAL *)) {
    ptrdiff_t first = part * job->rows_per_part, last = first + job->rows_per_part, k = job->k;
    for (ptrdiff_t i = first; i < last && i < job->n; i++)
        row((const REAL *)job->x + i * k, job->dout ? (const REAL *)job->dout + i * k : NULL, k,
            (REAL *)job->result + i * k);
}

#define ROWS(name)                                                                                           \
    static void OF(name, KIND)(const void *job, ptrdiff_t part, void *scratch) {                             \
        (void)scratch;                                                                                       \
        OF(run_rows, KIND)(job, part, OF(name##_row, KIND));                                                 \
    }

ROWS(softmax)
ROWS(softmax_gradient)
ROWS(log_softmax)
ROWS(log_softmax_gradient)
ROWS(sparsemax)
ROWS(sparsemax_gradient)

/* One row: the loss' logarithm is taken in double, of a sum in REAL. */
static void OF(cross_entropy_row, KIND)(const act_cross_entropy *job, ptrdiff_t i) {
    ptrdiff_t k = job->k, label = job->labels[i];
    const REAL *x = (const REAL *)job->logits + i * k;
    REAL *p = (REAL *)job->probabilities + i * k;
    REAL shift = OF(largest, KIND)(x, k);
    int known = label >= 0 && label < k;
    /* Before p is written: it may be x. */
    double margin = known ? (double)x[label] - (double)shift : NAN;
    REAL total = OF(exponentials, KIND)(x, k, shift, p);
    job->losses[i] = log((double)total) - margin;
    OF(scaled, KIND)(p, k, (REAL)1.0 / total, (REAL)0.0, p);
    if (!job->dlogits)
        return;
    REAL *d = (REAL *)job->dlogits + i * k;
    REAL weight = (job->weights ? ((const REAL *)job->weights)[i] : (REAL)1.0) / (REAL)job->n;
    if (known) {
        OF(scaled, KIND)(p, k, weight, (REAL)0.0, d);
        d[label] = weight * (p[label] - (REAL)1.0);
    } else {
        OF(scaled, KIND)(p, k, (REAL)NAN, (REAL)NAN, d);
    }
}

static void OF(softmax_cross_entropy, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const act_cross_entropy *job = context;
    ptrdiff_t first = part * job->rows_per_part, last = first + job->rows_per_part;
    for (ptrdiff_t i = first; i < last && i < job->n; i++)
        OF(cross_entropy_row, KIND)(job, i);
}

#undef ROWS
