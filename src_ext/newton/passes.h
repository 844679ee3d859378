/* The passes over rows, for one element type and storage. */

/* A row is read once: its margin, whether it has a loss, and its part of the gradient. */
INLINE double OF(evaluate, VARIANT)(const linear_data *data, nt_model *model, int block, const double *w,
                                    int list, const bool classifies) {
    const nt_record *record = model->record;
    const double bias = data->bias, bias_weight = bias != 0.0 ? w[data->n_features] : 0.0;
    double *gradient = model->partial + block * model->n_vector;
    int32_t *active = model->active[list] + model->block_start[block];
    ptrdiff_t n_active = 0;
    double loss = 0.0, bias_gradient = 0.0;
    memset(gradient, 0, (size_t)model->n_vector * sizeof(double));
    for (ptrdiff_t i = model->block_start[block]; i < model->block_start[block + 1]; i++) {
        ROW row = OF(row_at, VARIANT)(data, i);
        double y = linear_target(data, record->positive_class, i);
        double residual = OF(dot, VARIANT)(row, w) + bias * bias_weight - y;
        if (classifies ? y * residual >= 0.0 : fabs(residual) <= record->epsilon)
            continue;
        double cost =
            linear_cost(data, record->cost_positive, record->cost_negative, classifies ? y : 1.0, i);
        if (cost == 0.0)
            continue;
        if (!classifies)
            residual -= copysign(record->epsilon, residual);
        active[n_active++] = (int32_t)i;
        loss += cost * residual * residual;
        double slope = 2.0 * cost * residual;
        OF(add, VARIANT)(row, gradient, slope);
        bias_gradient += slope;
    }
    if (bias != 0.0)
        gradient[data->n_features] += bias * bias_gradient;
    model->n_active[list * model->n_blocks + block] = n_active;
    return loss;
}

static double OF(evaluate_svc, VARIANT)(const linear_data *data, nt_model *model, int block, const double *w,
                                        int list) {
    return OF(evaluate, VARIANT)(data, model, block, w, list, true);
}
static double OF(evaluate_svr, VARIANT)(const linear_data *data, nt_model *model, int block, const double *w,
                                        int list) {
    return OF(evaluate, VARIANT)(data, model, block, w, list, false);
}

/* The logistic loss, of which every row has some: margins of a few rows, their losses in whole vectors, and
   then the rows, which are still in the first-level cache, into the gradient. */
static double OF(evaluate_logistic, VARIANT)(const linear_data *data, nt_model *model, int block,
                                             const double *w, int list) {
    enum { GROUP = 16 };
    const nt_record *record = model->record;
    const double bias = data->bias, bias_part = bias != 0.0 ? bias * w[data->n_features] : 0.0;
    const ptrdiff_t start = model->block_start[block], end = model->block_start[block + 1];
    double *gradient = model->partial + block * model->n_vector, *halves = model->curvature[list] + start;
    int32_t *active = model->active[list] + start;
    double loss = 0.0, bias_gradient = 0.0;
    ptrdiff_t n_active = 0;
    memset(gradient, 0, (size_t)model->n_vector * sizeof(double));
    for (ptrdiff_t first = start; first < end; first += GROUP) {
        double margin[GROUP] = {0}, signed_cost[GROUP] = {0}, slope[GROUP], curvature[GROUP];
        const ptrdiff_t n = end - first < GROUP ? end - first : GROUP;
        for (ptrdiff_t k = 0; k < n; k++) {
            double y = linear_target(data, record->positive_class, first + k);
            margin[k] = OF(dot, VARIANT)(OF(row_at, VARIANT)(data, first + k), w) + bias_part;
            signed_cost[k] =
                y * linear_cost(data, record->cost_positive, record->cost_negative, y, first + k);
        }
        loss += logistic_terms(margin, signed_cost, slope, curvature, GROUP);
        for (ptrdiff_t k = 0; k < n; k++) {
            if (signed_cost[k] == 0.0)
                continue;
            active[n_active] = (int32_t)(first + k);
            halves[n_active++] = 0.5 * curvature[k];
            OF(add, VARIANT)(OF(row_at, VARIANT)(data, first + k), gradient, slope[k]);
            bias_gradient += slope[k];
        }
    }
    if (bias != 0.0)
        gradient[data->n_features] += bias * bias_gradient;
    model->n_active[list * model->n_blocks + block] = n_active;
    return loss;
}

INLINE double OF(cost_at, VARIANT)(const linear_data *data, const nt_record *record, ptrdiff_t i) {
    double y = data->label ? linear_target(data, record->positive_class, i) : 1.0;
    return linear_cost(data, record->cost_positive, record->cost_negative, y, i);
}

static void OF(product, VARIANT)(const linear_data *data, nt_model *model, int block, const double *v,
                                 int list) {
    const double bias = data->bias, bias_part = bias != 0.0 ? bias * v[data->n_features] : 0.0;
    const int32_t *active = model->active[list] + model->block_start[block];
    const ptrdiff_t n_active = model->n_active[list * model->n_blocks + block];
    const double *halves =
        model->record->logistic ? model->curvature[list] + model->block_start[block] : NULL;
    double *sum = model->partial + block * model->n_vector, bias_sum = 0.0;
    memset(sum, 0, (size_t)model->n_vector * sizeof(double));
    for (ptrdiff_t k = 0; k < n_active; k++) {
        ROW row = OF(row_at, VARIANT)(data, active[k]);
        double c = halves ? halves[k] : OF(cost_at, VARIANT)(data, model->record, active[k]);
        c *= OF(dot, VARIANT)(row, v) + bias_part;
        OF(add, VARIANT)(row, sum, c);
        bias_sum += c;
    }
    if (bias != 0.0)
        sum[data->n_features] += bias * bias_sum;
}

/* Add c x x' to the lower triangle; what a dense row's whole vectors leave above it is written over later. */
INLINE void OF(add_outer, VARIANT)(const linear_data *data, ROW row, double *hessian, ptrdiff_t stride,
                                   double c) {
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *line = hessian + COLUMN(row, e) * stride, scaled = c * row.x[e];
#ifdef DENSE
        OF(add, VARIANT)((ROW){row.x, e + 1}, line, scaled);
#else
        for (ptrdiff_t f = 0; f <= e; f++)
            line[row.columns[f]] += scaled * row.x[f];
#endif
    }
    if (data->bias != 0.0) {
        double *line = hessian + data->n_features * stride;
        OF(add, VARIANT)(row, line, c * data->bias);
        line[data->n_features] += c * data->bias * data->bias;
    }
}

static double OF(update_hessian, VARIANT)(const linear_data *data, nt_model *model, int block, int list,
                                          bool count) {
    const ptrdiff_t n_vector = model->n_vector;
    const int32_t *active = model->active[list] + model->block_start[block];
    const int32_t *end = active + model->n_active[list * model->n_blocks + block];
    double *hessian = model->hessian + block * n_vector * n_vector, work = 0.0;
    for (ptrdiff_t i = model->block_start[block]; i < model->block_start[block + 1]; i++) {
        uint8_t is_active = active < end && *active == i;
        active += is_active;
        if (is_active == model->in_hessian[i])
            continue;
        ROW row = OF(row_at, VARIANT)(data, i);
        work += 0.5 * (double)(row.n + 1) * (double)(row.n + 2);
        if (count)
            continue;
        double cost = OF(cost_at, VARIANT)(data, model->record, i);
        OF(add_outer, VARIANT)(data, row, hessian, n_vector, is_active ? cost : -cost);
        model->in_hessian[i] = is_active;
    }
    return work;
}

static const nt_passes OF(passes, VARIANT) = {
    {OF(evaluate_svc, VARIANT), OF(evaluate_svr, VARIANT), OF(evaluate_logistic, VARIANT)},
    OF(product, VARIANT),
    OF(update_hessian, VARIANT),
};
