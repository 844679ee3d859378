/* Yuan, Ho and Lin (2012), "newGLMNET": the l1 penalty with the logistic loss. Each Newton step minimises the
 * quadratic model of the loss, plus |w|_1, by coordinate descent; then a line search.
 *
 * X is transposed here: a row of it is a feature, the last one the bias where there is one. Of each sample
 * are kept the margin w.x, slope and curvature of its loss there, and for the quadratic model the product,
 * curvature times d.x: the model's slope along a feature is then one inner product.
 */

#ifndef FASTML_LOGISTIC_L1_ONCE
#define FASTML_LOGISTIC_L1_ONCE
#define ADDED_CURVATURE 1e-12
#define LONGEST_STEP 10.0
#define INNER_SHARE 0.25
enum { MAX_INNER_SWEEPS = 1000 };
enum l1_phase { PHASE_POINT, PHASE_MODEL, PHASE_SEARCH };
enum l1_sample { MARGIN, SLOPE, CURVATURE, PRODUCT, SHIFT };
enum l1_feature { MOVED, FEATURE_SLOPE, FEATURE_CURVATURE };

INLINE double *l1_samples(const linear_data *data, const cd_model *model, enum l1_sample name) {
    const ptrdiff_t n = data->n_features + (-data->n_features & 7); /* linear_data.PADDING */
    return model->samples + name * n;
}

INLINE double *l1_features(const linear_data *data, const cd_model *model, enum l1_feature name) {
    return model->features + name * data->n_rows;
}

/* How far 0 is from loss.slope + the sub-gradient of |w|. */
INLINE double l1_violation(double w, double above, double below) {
    if (w == 0.0)
        return above < 0.0 ? -above : below > 0.0 ? below : 0.0;
    return fabs(w > 0.0 ? above : below);
}

/* To the minimum of slope z + curvature z^2 / 2 + |w + z|. */
INLINE double l1_step(double w, double above, double below, double curvature) {
    double step = above < curvature * w   ? -above / curvature
                  : below > curvature * w ? -below / curvature
                                          : -w;
    return larger(smaller(step, LONGEST_STEP), -LONGEST_STEP);
}

/* The point is known: stop, look at all features again, or begin on its quadratic model. */
SHARED void end_point(const linear_data *data, cd_model *model) {
    cd_record *record = model->record;
    if (record->n_iter == 0)
        record->first = record->smallest;
    record->violation = record->first > 0.0 ? record->smallest / record->first : 0.0;
    if (record->smallest <= record->tol * record->first) {
        record->done = record->n_active == record->n_coordinates;
        record->n_active = record->n_coordinates;
        record->bound_above = INFINITY;
        return;
    }
    record->bound_above = record->largest;
    record->inner_tol = smaller(record->inner_tol, INNER_SHARE * record->violation);
    record->phase = PHASE_MODEL;
    record->n_inner = 0;
    record->n_active_inner = record->n_active;
    record->bound_below = INFINITY;
    memset(l1_samples(data, model, PRODUCT), 0, (size_t)data->n_features * sizeof(double));
}

/* A sweep over the quadratic model is over: another one, of all features again where the active ones have
   converged, or the line search. */
SHARED void end_model_sweep(cd_record *record) {
    record->n_inner++;
    record->bound_below = record->largest;
    bool converged = record->smallest <= record->inner_tol * record->first;
    if (converged && record->n_active_inner < record->n_active) {
        record->n_active_inner = record->n_active;
        record->bound_below = INFINITY;
        converged = false;
    }
    if (converged || record->n_inner >= MAX_INNER_SWEEPS)
        record->phase = PHASE_SEARCH;
}

/* Armijo's rule along `shift`; the accepted share of the step, or 0. */
SHARED double l1_share(const linear_data *data, const cd_model *model) {
    const ptrdiff_t n = data->n_features + (-data->n_features & (LANES_f64 - 1));
    const double *w = model->coef, *moved = l1_features(data, model, MOVED);
    const double *slope = l1_features(data, model, FEATURE_SLOPE);
    double decrease = 0.0, share = 1.0;
    for (int64_t s = 0; s < model->record->n_active; s++) {
        int32_t j = model->order[s];
        decrease += slope[j] * (moved[j] - w[j]) + fabs(moved[j]) - fabs(w[j]);
    }
    for (int halvings = 0; halvings < MAX_HALVINGS; halvings++, share *= 0.5) {
        double change = logistic_change(l1_samples(data, model, MARGIN), l1_samples(data, model, SHIFT),
                                        share, model->signed_cost, n);
        for (int64_t s = 0; s < model->record->n_active; s++) {
            int32_t j = model->order[s];
            change += fabs(w[j] + share * (moved[j] - w[j])) - fabs(w[j]);
        }
        if (change <= SUFFICIENT_DECREASE * share * decrease)
            return share;
    }
    return 0.0;
}

/* What the accepted share of the step moves. */
SHARED void l1_accept(const linear_data *data, cd_model *model, double share) {
    cd_record *record = model->record;
    double *margin = l1_samples(data, model, MARGIN), *moved = l1_features(data, model, MOVED);
    const double *shift = l1_samples(data, model, SHIFT);
    for (ptrdiff_t i = 0; i < data->n_features; i++)
        margin[i] += share * shift[i];
    for (int64_t s = 0; s < record->n_active; s++) {
        int32_t j = model->order[s];
        model->coef[j] = share == 1.0 ? moved[j] : model->coef[j] + share * (moved[j] - model->coef[j]);
    }
    if (record->n_inner == 1 || share == 0.0) /* the model was not solved well enough */
        record->inner_tol *= 0.25;
    record->n_iter++;
    record->done = record->n_iter >= record->max_iter;
    record->phase = PHASE_POINT;
}
#endif

/* Slope and curvature of the loss along feature j. */
SHARED slopes OF(logistic_slopes_along, VARIANT)(const linear_data *data, const cd_model *model,
                                                 ptrdiff_t j) {
    ROW row = OF(row_at, VARIANT)(data, j);
    const double *weight = l1_samples(data, model, CURVATURE);
    double sums[2] = {0};
    for (ptrdiff_t e = 0; e < row.n; e++)
        sums[e & 1] += (double)row.x[e] * (double)row.x[e] * weight[COLUMN(row, e)];
    return (slopes){OF(dot, VARIANT)(row, l1_samples(data, model, SLOPE)),
                    sums[0] + sums[1] + ADDED_CURVATURE};
}

/* Losses at the weights, and their slopes along the active features. */
static double OF(look_at_point, VARIANT)(const linear_data *data, cd_model *model) {
    cd_record *record = model->record;
    const double bound = record->bound_above / record->n_samples;
    const ptrdiff_t n = data->n_features + (-data->n_features & (LANES_f64 - 1));
    double work = 10.0 * (double)n;
    logistic_terms(l1_samples(data, model, MARGIN), model->signed_cost, l1_samples(data, model, SLOPE),
                   l1_samples(data, model, CURVATURE), n);
    record->largest = record->smallest = 0.0;
    for (int64_t s = 0; s < record->n_active;) {
        ptrdiff_t j = model->order[s];
        slopes loss = OF(logistic_slopes_along, VARIANT)(data, model, j);
        double w = model->coef[j], above = loss.gradient + 1.0, below = loss.gradient - 1.0;
        work += 2.0 * (double)OF(row_at, VARIANT)(data, j).n;
        if (w == 0.0 && above > bound && below < -bound) {
            drop(model->order, s, &record->n_active);
            continue;
        }
        l1_features(data, model, MOVED)[j] = w;
        l1_features(data, model, FEATURE_SLOPE)[j] = loss.gradient;
        l1_features(data, model, FEATURE_CURVATURE)[j] = loss.curvature;
        double violation = l1_violation(w, above, below);
        record->largest = larger(violation, record->largest);
        record->smallest += violation;
        s++;
    }
    end_point(data, model);
    return work;
}

/* A sweep over the quadratic model. */
static double OF(sweep_model, VARIANT)(const linear_data *data, cd_model *model) {
    cd_record *record = model->record;
    const double bound = record->bound_below / record->n_samples;
    const double *weight = l1_samples(data, model, CURVATURE);
    double *product = l1_samples(data, model, PRODUCT), *moved = l1_features(data, model, MOVED), work = 0.0;
    record->largest = record->smallest = 0.0;
    shuffle_first(model, record->n_active_inner);
    for (int64_t s = 0; s < record->n_active_inner;) {
        ptrdiff_t j = model->order[s];
        ROW row = OF(row_at, VARIANT)(data, j);
        double w = moved[j], curvature = l1_features(data, model, FEATURE_CURVATURE)[j];
        double slope = l1_features(data, model, FEATURE_SLOPE)[j] + OF(dot, VARIANT)(row, product) +
                       ADDED_CURVATURE * (w - model->coef[j]);
        double above = slope + 1.0, below = slope - 1.0;
        work += (double)row.n + WORK_PER_STEP;
        if (w == 0.0 && above > bound && below < -bound) {
            drop(model->order, s, &record->n_active_inner);
            continue;
        }
        double violation = l1_violation(w, above, below), step = l1_step(w, above, below, curvature);
        record->largest = larger(violation, record->largest);
        record->smallest += violation;
        s++;
        if (fabs(step) * larger(1.0, curvature) < SHORTEST_STEP) /* a large bias's steps are short */
            continue;
        moved[j] = w + step;
        work += 2.0 * (double)row.n;
        for (ptrdiff_t e = 0; e < row.n; e++) {
            ptrdiff_t i = COLUMN(row, e);
            product[i] += step * row.x[e] * weight[i];
        }
    }
    end_model_sweep(record);
    return work;
}

static double OF(search_line, VARIANT)(const linear_data *data, cd_model *model) {
    double *shift = l1_samples(data, model, SHIFT), work = 20.0 * (double)data->n_features;
    const double *moved = l1_features(data, model, MOVED);
    memset(shift, 0, (size_t)data->n_features * sizeof(double));
    for (int64_t s = 0; s < model->record->n_active; s++) {
        ptrdiff_t j = model->order[s];
        ROW row = OF(row_at, VARIANT)(data, j);
        if (moved[j] != model->coef[j]) {
            OF(add, VARIANT)(row, shift, moved[j] - model->coef[j]);
            work += (double)row.n;
        }
    }
    l1_accept(data, model, l1_share(data, model));
    return work;
}

static void OF(logistic_l1, VARIANT)(const linear_data *data, cd_model *model, double work) {
    while (!model->record->done && work > 0.0)
        switch (model->record->phase) {
        case PHASE_POINT:
            work -= OF(look_at_point, VARIANT)(data, model);
            break;
        case PHASE_MODEL:
            work -= OF(sweep_model, VARIANT)(data, model);
            break;
        default:
            work -= OF(search_line, VARIANT)(data, model);
        }
}
