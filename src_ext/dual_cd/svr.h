/* Ho and Lin (2012), algorithm 4: the dual of the epsilon-insensitive loss, or of its square, with shrinking.
 */

#ifndef LEAST_CURVATURE
#define LEAST_CURVATURE 1e-150
#endif

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
            double diagonal = squared ? 0.5 / cost : 0.0, b = beta[i];
            /* Of a row of zeros it is large enough to lead to a bound, and finite: epsilon may be 0. */
            double per_curvature = 1.0 / larger(data->sq_norm[i] + diagonal, LEAST_CURVATURE);
            double gradient =
                OF(dot_from, VARIANT)(row, w, bias * intercept + (diagonal * b - data->value[i]));
            /* How much the objective falls if b grows, and if it falls, the part that epsilon |b| has in it;
               no way leads beyond a bound. */
            double growing = choose(b < 0.0, epsilon, -epsilon), falling = choose(b > 0.0, epsilon, -epsilon);
            if (!squared) {
                growing = choose(b >= cost, -INFINITY, growing);
                falling = choose(b <= -cost, -INFINITY, falling);
            }
            double pull = larger(gradient + falling, growing - gradient);
            if (pull < -bound) {
                drop(order, s, &n_active);
                continue;
            }
            double violation = larger(0.0, pull); /* NaN stays */
            largest = larger(violation, largest);
            sum += violation;
            s++;
            /* The minimum along the coordinate: below zero or above it, where the slopes allow, else zero.
               The next row's gradient waits for the step, which therefore does not wait for what it leads to:
               twelve cycles less a row. */
            double from_above = -(epsilon * per_curvature) - gradient * per_curvature;
            double from_below = epsilon * per_curvature - gradient * per_curvature;
            double step = larger(from_above, smaller(from_below, -b));
            double moved = larger(b + from_above, smaller(b + from_below, 0.0));
            /* The step to the minimum must be long enough, not what the bounds leave of it: else a variable
               that lies a rounding error from its bound would violate for ever. */
            bool moves = fabs(step) >= SHORTEST_STEP;
            if (!squared) {
                step = larger(smaller(cost - b, step), -cost - b);
                moved = larger(smaller(cost, moved), -cost);
            }
            if (moves & (moved != b)) {
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
