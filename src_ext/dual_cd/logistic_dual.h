/* Yu, Huang and Lin (2011), algorithm 5: the dual of the logistic loss, whose variables never reach a bound.
 *
 * alpha = dual[2 i] and C - alpha = dual[2 i + 1] are both kept, since near a bound one is known from the
 * other only but for its digits. A step solves the one-variable problem min_z  z log z + (C - z) log(C - z) +
 * a/2 (z - z_old)^2 + b (z - z_old) by Newton steps in whichever of the two variables the minimum is the
 * smaller of, where they converge. The sums that a sweep ends with: record->largest, and n_inner of Newton
 * steps.
 */

#ifndef FASTML_LOGISTIC_DUAL_ONCE
#define FASTML_LOGISTIC_DUAL_ONCE
#define FIRST_SHARE 1e-3
#define FIRST_ALPHA 1e-8
#define INNER_TOL 1e-2
#define SMALLEST_INNER_TOL 1e-8
enum { MAX_NEWTON_STEPS = 100 };

/* Newton steps for z, of which `alpha[0]` is the old value and `alpha[1]` C less that; how many. A step that
   would leave (0, C) goes a tenth of the way to 0 instead. */
INLINE int minimise_in_z(cd_record *record, double alpha[2], double cost, double a, double b) {
    const double old = alpha[0];
    double z = cost - old < 0.5 * cost ? 0.1 * old : old;
    double slope = a * (z - old) + b + log(z / (cost - z));
    int n = 0;
    record->largest = larger(fabs(slope), record->largest);
    while (n <= MAX_NEWTON_STEPS && fabs(slope) >= record->inner_tol) {
        double to = z - slope / (a + cost / (cost - z) / z);
        z = to <= 0.0 ? 0.1 * z : to;
        slope = a * (z - old) + b + log(z / (cost - z));
        n++;
    }
    if (n) {
        alpha[0] = z;
        alpha[1] = cost - z;
    }
    return n;
}

SHARED void end_sweep_logistic_dual(cd_record *record) {
    record->in_sweep = 0;
    record->n_iter++;
    record->violation = record->largest;
    record->done = record->largest < record->tol || record->n_iter >= record->max_iter;
    if (record->n_inner <= record->n_coordinates / 10)
        record->inner_tol = larger(smaller(SMALLEST_INNER_TOL, record->tol), 0.1 * record->inner_tol);
}
#endif

/* Every alpha to a small share of its C, and the weights to those of the alphas. */
static void OF(start_logistic_dual, VARIANT)(const linear_data *data, cd_model *model) {
    cd_record *record = model->record;
    for (int64_t s = 0; s < record->n_coordinates; s++) {
        ptrdiff_t i = model->order[s];
        double y = linear_target(data, record->positive_class, i);
        double cost = linear_cost(data, record->cost_positive, record->cost_negative, y, i);
        double alpha = smaller(FIRST_SHARE * cost, FIRST_ALPHA);
        model->dual[2 * i] = alpha;
        model->dual[2 * i + 1] = cost - alpha;
        OF(add, VARIANT)(OF(row_at, VARIANT)(data, i), model->coef, y * alpha);
        record->intercept += y * alpha * data->bias;
    }
    record->inner_tol = INNER_TOL;
    record->phase = 1;
}

static void OF(logistic_dual, VARIANT)(const linear_data *data, cd_model *model, double work) {
    cd_record *record = model->record;
    const int32_t *order = model->order;
    const double bias = data->bias;
    if (record->phase == 0 && !record->done)
        OF(start_logistic_dual, VARIANT)(data, model);
    while (!record->done && work > 0.0) {
        if (!record->in_sweep) {
            begin_sweep(model, 0.0, 0.0);
            record->n_inner = 0;
        }
        int64_t s = record->cursor;
        for (; s < record->n_coordinates && work > 0.0; s++) {
            ptrdiff_t i = order[s];
            ROW row = OF(row_at, VARIANT)(data, i);
            OF(prefetch, VARIANT)(data, order, s, record->n_coordinates);
            work -= 2.0 * (double)row.n + WORK_PER_STEP;
            double y = linear_target(data, record->positive_class, i);
            double cost = linear_cost(data, record->cost_positive, record->cost_negative, y, i);
            double a = data->sq_norm[i], *pair = model->dual + 2 * i;
            double b = y * (OF(dot, VARIANT)(row, model->coef) + bias * record->intercept);
            bool other = 0.5 * a * (pair[1] - pair[0]) + b < 0.0;
            double alpha[2] = {pair[other], pair[!other]};
            int n = minimise_in_z(record, alpha, cost, a, other ? -b : b);
            if (n == 0)
                continue;
            double step = (other ? -y : y) * (alpha[0] - pair[other]);
            pair[other] = alpha[0];
            pair[!other] = alpha[1];
            OF(add, VARIANT)(row, model->coef, step);
            record->intercept += step * bias;
            record->n_inner += n;
        }
        record->cursor = s;
        if (s >= record->n_coordinates)
            end_sweep_logistic_dual(record);
    }
}
