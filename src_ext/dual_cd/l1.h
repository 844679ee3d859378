/* Yuan et al. (2010), section 4.3 ("CDN" on the squared hinge loss): one-dimensional Newton steps with line
 * search, feature by feature.
 *
 * X is transposed here: a row of it is a feature, the last one the bias where there is one. residual is
 * y - w.x of each sample, of which those with y (y - w.x) > 0 have a loss; signed_cost is C y.
 */

#ifndef FASTML_L1_ONCE
#define FASTML_L1_ONCE
#define SUFFICIENT_DECREASE 0.01
#define SMALLEST_CURVATURE 1e-12
enum { MAX_HALVINGS = 20 };

/* C where the sample has a loss. */
INLINE double cost_of_loss(double signed_cost, double residual) {
    return signed_cost * residual > 0.0 ? fabs(signed_cost) : 0.0;
}

typedef struct {
    double gradient, curvature;
} slopes;

#endif

#ifdef DENSE
INLINE vec_f64 OF(cost_of_losses, VARIANT)(vec_f64 signed_cost, vec_f64 residual) {
    bits_f64 has_loss = signed_cost * residual > 0.0;
    const bits_f64 magnitude = (bits_f64){0} + INT64_MAX;
    return (vec_f64)((bits_f64)signed_cost & magnitude & has_loss);
}
#endif

/* First and second derivative of the loss along feature j. */
SHARED slopes OF(slopes_along, VARIANT)(const linear_data *data, const cd_model *model, ptrdiff_t j) {
    ROW row = OF(row_at, VARIANT)(data, j);
    const double *residual = model->residual, *signed_cost = model->signed_cost;
    double gradients[2] = {0}, curvatures[2] = {0};
    ptrdiff_t e = 0;
#ifdef DENSE
    enum { L = LANES_f64 };
    vec_f64 gradient[2] = {{0}}, curvature[2] = {{0}};
    for (; e + 2 * L <= row.n; e += 2 * L)
        for (int u = 0; u < 2; u++) {
            vec_f64 r = *(const mem_f64 *)(residual + e + u * L), x = OF(wide, KIND)(row.x + e + u * L);
            vec_f64 t = x * OF(cost_of_losses, VARIANT)(*(const mem_f64 *)(signed_cost + e + u * L), r);
            gradient[u] += t * r;
            curvature[u] += t * x;
        }
    gradients[0] = sum_f64(gradient[0] + gradient[1]);
    curvatures[0] = sum_f64(curvature[0] + curvature[1]);
#endif
    for (; e + 2 <= row.n; e += 2)
        for (int u = 0; u < 2; u++) {
            ptrdiff_t i = COLUMN(row, e + u);
            double x = row.x[e + u], t = x * cost_of_loss(signed_cost[i], residual[i]);
            gradients[u] += t * residual[i];
            curvatures[u] += t * x;
        }
    if (e < row.n) {
        ptrdiff_t i = COLUMN(row, e);
        double x = row.x[e], t = x * cost_of_loss(signed_cost[i], residual[i]);
        gradients[0] += t * residual[i];
        curvatures[0] += t * x;
    }
    double curvature_sum = 2.0 * (curvatures[0] + curvatures[1]);
    return (slopes){-2.0 * (gradients[0] + gradients[1]),
                    curvature_sum > SMALLEST_CURVATURE ? curvature_sum : SMALLEST_CURVATURE};
}

/* Move the weight of feature j by `step`; how much the loss of its samples changes. */
SHARED double OF(move_along, VARIANT)(const linear_data *data, cd_model *model, ptrdiff_t j, double step) {
    ROW row = OF(row_at, VARIANT)(data, j);
    const double *signed_cost = model->signed_cost;
    double *residual = model->residual, change = 0.0;
    for (ptrdiff_t e = 0; e < row.n; e++) {
        ptrdiff_t i = COLUMN(row, e);
        double before = residual[i], after = before - step * row.x[e];
        residual[i] = after;
        change += cost_of_loss(signed_cost[i], after) * after * after -
                  cost_of_loss(signed_cost[i], before) * before * before;
    }
    return change;
}

SHARED void OF(add_along, VARIANT)(const linear_data *data, cd_model *model, ptrdiff_t j, double step) {
    ROW row = OF(row_at, VARIANT)(data, j);
#ifdef DENSE
    OF(add, VARIANT)(row, model->residual, -step);
#else
    for (ptrdiff_t e = 0; e < row.n; e++)
        model->residual[row.columns[e]] -= step * row.x[e];
#endif
}

/* Armijo's rule on |w| + loss, from the Newton direction; first by an upper bound of the loss (eq. 42), which
   takes no pass over the samples. */
INLINE double OF(line_search, VARIANT)(const linear_data *data, cd_model *model, ptrdiff_t j, double gradient,
                                       double direction) {
    const double w = model->coef[j];
    double step = direction, moved = 0.0, change = 0.0;
    double decrease = fabs(w + step) - fabs(w) + gradient * step;
    for (int halvings = 0; halvings < MAX_HALVINGS; halvings++) {
        double needed = fabs(w + step) - fabs(w) - SUFFICIENT_DECREASE * decrease;
        if (model->curvature[j] * step * step + gradient * step + needed <= 0.0) {
            OF(add_along, VARIANT)(data, model, j, step - moved);
            return step;
        }
        change += OF(move_along, VARIANT)(data, model, j, step - moved);
        moved = step;
        if (needed + change <= 0.0)
            return step;
        step *= 0.5;
        decrease *= 0.5;
    }
    OF(add_along, VARIANT)(data, model, j, -moved);
    return 0.0;
}

static void OF(l1, VARIANT)(const linear_data *data, cd_model *model, double work) {
    cd_record *record = model->record;
    const double n_samples = (double)data->n_features;
    while (!record->done && work > 0.0) {
        if (!record->in_sweep)
            begin_sweep(model, 0.0, 0.0);
        const double bound = record->bound_above / n_samples;
        while (record->cursor < record->n_active && work > 0.0) {
            ptrdiff_t j = model->order[record->cursor];
            double w = model->coef[j], violation;
            work -= 2.0 * (double)OF(row_at, VARIANT)(data, j).n + WORK_PER_STEP;
            slopes loss = OF(slopes_along, VARIANT)(data, model, j);
            double above = loss.gradient + 1.0, below = loss.gradient - 1.0;
            if (w == 0.0) {
                if (above > bound && below < -bound) {
                    drop(model->order, record->cursor, &record->n_active);
                    continue;
                }
                violation = above < 0.0 ? -above : below > 0.0 ? below : 0.0;
            } else {
                violation = fabs(w > 0.0 ? above : below);
            }
            record->cursor++;
            record->largest = fmax(record->largest, violation);
            record->smallest += violation;
            double direction = above < loss.curvature * w   ? -above / loss.curvature
                               : below > loss.curvature * w ? -below / loss.curvature
                                                            : -w;
            if (fabs(direction) >= SHORTEST_STEP)
                model->coef[j] += OF(line_search, VARIANT)(data, model, j, loss.gradient, direction);
        }
        if (record->cursor >= record->n_active)
            end_sweep_by_sum(record);
    }
}
