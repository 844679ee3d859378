/* Ho and Lin (2012), algorithm 4: the dual of the epsilon-insensitive loss, or of its square, with shrinking.
 */

INLINE void OF(svr, VARIANT)(const linear_data *data, cd_model *model, double work, const bool squared) {
    cd_record *record = model->record;
    int32_t *order = model->order;
    double *w = model->coef, *beta = model->dual, intercept = record->intercept;
    const double bias = data->bias, epsilon = record->epsilon;
    while (!record->done && work > 0.0) {
        if (!record->in_sweep)
            begin_sweep(model, 0.0, 0.0);
        int64_t s = record->cursor, n_active = record->n_active;
        double largest = record->largest, sum = record->smallest;
        const double bound = record->bound_above;
        while (s < n_active && work > 0.0) {
            ptrdiff_t i = order[s];
            ROW row = OF(row_at, VARIANT)(data, i);
            OF(prefetch, VARIANT)(data, order, s, n_active);
            work -= (double)row.n + WORK_PER_STEP;
            double cost = linear_cost(data, record->cost_positive, record->cost_positive, 1.0, i);
            double upper = squared ? INFINITY : cost, diagonal = squared ? 0.5 / cost : 0.0, b = beta[i];
            double per_curvature = 1.0 / (data->sq_norm[i] + diagonal);
            double gradient = OF(dot, VARIANT)(row, w) + (bias * intercept + (diagonal * b - data->value[i]));
            double above = gradient + epsilon, below = gradient - epsilon;
            bool at_zero = b == 0.0, at_upper = b >= upper, at_lower = b <= -upper;
            if ((at_zero & (above > bound) & (below < -bound)) | (at_upper & (above < -bound)) |
                (at_lower & (below > bound))) {
                drop(order, s, &n_active);
                continue;
            }
            double slope =
                choose(at_zero, smaller(above, 0.0) + larger(below, 0.0), choose(b > 0.0, above, below));
            double violation =
                choose(at_upper, larger(slope, 0.0), choose(at_lower, larger(-slope, 0.0), fabs(slope)));
            largest = larger(violation, largest);
            sum += violation;
            s++;
            /* The minimum along the coordinate: below zero or above it, where the slopes allow, else zero. */
            double moved = larger(b - above * per_curvature, 0.0) + smaller(b - below * per_curvature, 0.0);
            moved = larger(smaller(moved, upper), -upper);
            double step = moved - b;
            if (fabs(step) >= SHORTEST_STEP) {
                beta[i] = moved;
                OF(add, VARIANT)(row, w, step);
                intercept += step * bias;
            }
        }
        record->cursor = s;
        record->n_active = n_active;
        record->largest = largest;
        record->smallest = sum;
        if (s >= n_active)
            end_sweep_by_sum(record);
    }
    record->intercept = intercept;
}

static void OF(svr_linear, VARIANT)(const linear_data *data, cd_model *model, double work) {
    OF(svr, VARIANT)(data, model, work, false);
}
static void OF(svr_squared, VARIANT)(const linear_data *data, cd_model *model, double work) {
    OF(svr, VARIANT)(data, model, work, true);
}
