/* Hsieh et al. (2008), algorithm 3: the dual of the hinge loss, or of its square, with shrinking. */

INLINE void OF(end_sweep_svc, VARIANT)(cd_record *record) {
    record->in_sweep = 0;
    record->n_iter++;
    record->violation = record->largest - record->smallest;
    record->bound_above = record->largest > 0.0 ? record->largest : INFINITY;
    record->bound_below = record->smallest < 0.0 ? record->smallest : -INFINITY;
    if (record->violation <= record->tol) {
        record->done = record->n_active == record->n_coordinates;
        record->n_active = record->n_coordinates;
        record->bound_above = INFINITY;
        record->bound_below = -INFINITY;
    }
    record->done |= record->n_iter >= record->max_iter;
}

INLINE void OF(svc, VARIANT)(const linear_data *data, cd_model *model, double work, const bool squared) {
    cd_record *record = model->record;
    int32_t *order = model->order;
    double *w = model->coef, *alpha = model->dual, intercept = record->intercept;
    const double bias = data->bias;
    while (!record->done && work > 0.0) {
        if (!record->in_sweep)
            begin_sweep(model, -INFINITY, INFINITY);
        int64_t s = record->cursor, n_active = record->n_active;
        double largest = record->largest, smallest = record->smallest;
        while (s < n_active && work > 0.0) {
            ptrdiff_t i = order[s];
            ROW row = OF(row_at, VARIANT)(data, i);
            OF(prefetch, VARIANT)(data, order, s, n_active);
            work -= (double)row.n + WORK_PER_STEP;
            double y = linear_target(data, record->positive_class, i);
            double cost = linear_cost(data, record->cost_positive, record->cost_negative, y, i);
            double upper = squared ? INFINITY : cost, diagonal = squared ? 0.5 / cost : 0.0, a = alpha[i];
            double per_curvature = 1.0 / (data->sq_norm[i] + diagonal);
            double gradient = y * (OF(dot, VARIANT)(row, w) + bias * intercept) - 1.0 + diagonal * a;
            bool at_zero = a == 0.0, at_upper = a == upper;
            if ((at_zero & (gradient > record->bound_above)) |
                (at_upper & (gradient < record->bound_below))) {
                drop(order, s, &n_active);
                continue;
            }
            double projected = choose(at_zero, smaller(gradient, 0.0), gradient);
            projected = choose(at_upper, larger(gradient, 0.0), projected);
            largest = larger(projected, largest);
            smallest = smaller(projected, smallest);
            if (fabs(projected) > SHORTEST_STEP) {
                double moved = smaller(larger(a - gradient * per_curvature, 0.0), upper);
                double step = (moved - a) * y;
                alpha[i] = moved;
                OF(add, VARIANT)(row, w, step);
                intercept += step * bias;
            }
            s++;
        }
        record->cursor = s;
        record->n_active = n_active;
        record->largest = largest;
        record->smallest = smallest;
        if (s >= n_active)
            OF(end_sweep_svc, VARIANT)(record);
    }
    record->intercept = intercept;
}

static void OF(svc_hinge, VARIANT)(const linear_data *data, cd_model *model, double work) {
    OF(svc, VARIANT)(data, model, work, false);
}
static void OF(svc_squared, VARIANT)(const linear_data *data, cd_model *model, double work) {
    OF(svc, VARIANT)(data, model, work, true);
}
