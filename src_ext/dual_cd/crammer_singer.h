/* Keerthi et al. (2008): the sequential dual method for the multi-class machine of Crammer and Singer.
 *
 * A step solves the sub-problem of one row over its active classes,
 *     min_a  A/2 sum_m a_m^2 + sum_m B_m a_m   subject to  sum_m a_m = 0,  a_m <= C [m is the row's class].
 * record->first is 1 while every row and class is looked at; record->bound_below is the tolerance at which
 * they next are, which comes down to tol by halves.
 */

#ifndef FASTML_CRAMMER_SINGER_ONCE
#define FASTML_CRAMMER_SINGER_ONCE
INLINE double class_bound(const linear_data *data, const cd_model *model, ptrdiff_t i, int32_t m) {
    if (m != data->label[i])
        return 0.0;
    double weight = data->sample_weight ? data->sample_weight[i] : 1.0;
    return model->class_cost[m] * weight;
}

/* Put the classes that cannot move last; how many are left. */
INLINE int32_t shrink_classes(const linear_data *data, cd_model *model, ptrdiff_t i, const double *gradient,
                              double smallest) {
    int32_t *classes = model->class_order + i * model->n_classes, n = model->n_active_classes[i];
    const double *alpha = model->dual + i * model->n_classes;
    for (int32_t k = 0; k < n;) {
        int32_t m = classes[k];
        if (alpha[m] == class_bound(data, model, i, m) && gradient[m] < smallest) {
            classes[k] = classes[--n];
            classes[n] = m;
        } else {
            k++;
        }
    }
    return model->n_active_classes[i] = n;
}

/* The multiplier of sum_m a_m = 0: a_m = min(C_m, (multiplier - B_m) / A). D_m = B_m + A C_m, sorted here. */
INLINE double multiplier(double *D, int32_t n, double curvature_times_cost) {
    for (int32_t k = 1; k < n; k++) { /* n is small, or nearly all classes are shrunk */
        double moved = D[k];
        int32_t position = k;
        for (; position > 0 && D[position - 1] < moved; position--)
            D[position] = D[position - 1];
        D[position] = moved;
    }
    double sum = D[0] - curvature_times_cost;
    int32_t r = 1;
    for (; r < n && sum < r * D[r]; r++)
        sum += D[r];
    return sum / r;
}

SHARED void end_sweep_crammer_singer(const linear_data *data, cd_model *model) {
    enum { MAX_SWEEPS = 100000 }; /* scikit-learn's: max_iter does not reach its solver */
    cd_record *record = model->record;
    record->in_sweep = 0;
    record->n_iter++;
    record->violation = record->largest;
    if (record->largest >= record->bound_below) {
        record->first = 0.0;
    } else if (record->largest < record->tol && record->first == 1.0) {
        record->done = 1;
    } else {
        record->n_active = record->n_coordinates;
        for (ptrdiff_t i = 0; i < data->n_rows; i++)
            model->n_active_classes[i] = (int32_t)model->n_classes;
        record->bound_below = fmax(record->bound_below / 2.0, record->tol);
        record->first = 1.0;
    }
    record->done |= record->n_iter >= MAX_SWEEPS;
}
#endif

/* w_m.x - [m is not the row's class] ... as gradients of the dual, of the row's active classes. */
INLINE void OF(class_gradients, VARIANT)(const linear_data *data, const cd_model *model, ROW row,
                                         const int32_t *classes, int32_t n, int32_t own, double *gradient) {
    const ptrdiff_t K = model->n_classes;
    const double *intercepts = model->coef + data->n_features * K;
    for (int32_t k = 0; k < n; k++)
        gradient[classes[k]] = (classes[k] != own) + data->bias * intercepts[classes[k]];
    for (ptrdiff_t e = 0; e < row.n; e++) {
        const double *w = model->coef + COLUMN(row, e) * K;
        const double x = row.x[e];
        if (n == K)
            for (ptrdiff_t m = 0; m < K; m++)
                gradient[m] += x * w[m];
        else
            for (int32_t k = 0; k < n; k++)
                gradient[classes[k]] += x * w[classes[k]];
    }
}

/* Solve the row's sub-problem and take the step to its solution. */
INLINE void OF(step_crammer_singer, VARIANT)(const linear_data *data, cd_model *model, ROW row, ptrdiff_t i,
                                             const int32_t *classes, int32_t n, const double *gradient) {
    const ptrdiff_t K = model->n_classes;
    const double curvature = data->sq_norm[i];
    const int32_t own = data->label[i];
    double *alpha = model->dual + i * K, *D = model->scratch + K, *step = model->scratch + 2 * K;
    double cost = class_bound(data, model, i, own);
    for (int32_t k = 0; k < n; k++) {
        int32_t m = classes[k];
        D[k] = gradient[m] - curvature * alpha[m] + (m == own ? curvature * cost : 0.0);
    }
    double beta = multiplier(D, n, curvature * cost);
    int32_t *moved = (int32_t *)D; /* D is used up; a class takes half a double */
    int32_t n_moved = 0;
    for (int32_t k = 0; k < n; k++) {
        int32_t m = classes[k];
        double bound = m == own ? cost : 0.0;
        double to = (beta - gradient[m]) / curvature + alpha[m];
        to = to < bound ? to : bound;
        if (fabs(to - alpha[m]) >= SHORTEST_STEP) {
            step[n_moved] = to - alpha[m];
            moved[n_moved++] = m;
        }
        alpha[m] = to;
    }
    for (ptrdiff_t e = 0; e < row.n && n_moved; e++) {
        double *w = model->coef + COLUMN(row, e) * K;
        const double x = row.x[e];
        for (int32_t k = 0; k < n_moved; k++)
            w[moved[k]] += step[k] * x;
    }
    for (int32_t k = 0; k < n_moved; k++)
        model->coef[data->n_features * K + moved[k]] += step[k] * data->bias;
}

static void OF(crammer_singer, VARIANT)(const linear_data *data, cd_model *model, double work) {
    const ptrdiff_t K = model->n_classes;
    cd_record *record = model->record;
    double *gradient = model->scratch;
    while (!record->done && work > 0.0) {
        if (!record->in_sweep)
            begin_sweep(model, -INFINITY, 0.0);
        while (record->cursor < record->n_active && work > 0.0) {
            ptrdiff_t i = model->order[record->cursor];
            ROW row = OF(row_at, VARIANT)(data, i);
            OF(prefetch, VARIANT)(data, model->order, record->cursor, record->n_active);
            const int32_t *classes = model->class_order + i * K;
            const double *alpha = model->dual + i * K;
            int32_t n = model->n_active_classes[i];
            work -= ((double)row.n + WORK_PER_STEP) * n;
            if (data->sq_norm[i] <= 0.0) { /* no weight is touched by such a row */
                record->cursor++;
                continue;
            }
            OF(class_gradients, VARIANT)(data, model, row, classes, n, data->label[i], gradient);
            double smallest = INFINITY, largest = -INFINITY;
            for (int32_t k = 0; k < n; k++) {
                double g = gradient[classes[k]];
                if (g < smallest && alpha[classes[k]] < class_bound(data, model, i, classes[k]))
                    smallest = g;
                largest = g > largest ? g : largest;
            }
            n = shrink_classes(data, model, i, gradient, smallest);
            if (n <= 1) {
                drop(model->order, record->cursor, &record->n_active);
                continue;
            }
            record->cursor++;
            if (largest - smallest <= SHORTEST_STEP)
                continue;
            record->largest = fmax(record->largest, largest - smallest);
            OF(step_crammer_singer, VARIANT)(data, model, row, i, classes, n, gradient);
        }
        if (record->cursor >= record->n_active)
            end_sweep_crammer_singer(data, model);
    }
}
