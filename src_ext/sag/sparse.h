/* Steps on rows of CSR: the features of a row alone are touched; the others' steps wait (lag.h). */

/* Make good all steps that wait. */
SHARED void OF(flush, VARIANT)(const linear_data *data, sag_model *model, sag_lag *lag, ptrdiff_t K) {
    const bool prox = lag->step.bound > 0.0;
    const ptrdiff_t size = sag_column_size(K);
    for (ptrdiff_t j = 0; j < data->n_features; j++) {
        double *column = model->columns + j * size;
        for (ptrdiff_t k = 0; k < K; k++)
            column[k] = lag->scale * catch_up(lag, column[k], column[K + k], column[2 * K], prox);
        column[2 * K] = 0.0;
    }
    lag->now = 0.0;
    lag->scale = 1.0;
}

SHARED void OF(pack, VARIANT)(const linear_data *data, sag_model *model, sag_lag *lag, ptrdiff_t K) {
    (void)lag;
    const ptrdiff_t size = sag_column_size(K);
    for (ptrdiff_t j = 0; j < data->n_features; j++) {
        double *column = model->columns + j * size;
        for (ptrdiff_t k = 0; k < K; k++) {
            column[k] = model->coef[k * model->stride + j];
            column[K + k] = model->gradient_sum[k * model->stride + j];
        }
        column[2 * K] = 0.0;
    }
}

SHARED void OF(unpack, VARIANT)(const linear_data *data, sag_model *model, sag_lag *lag, ptrdiff_t K) {
    const ptrdiff_t size = sag_column_size(K);
    OF(flush, VARIANT)(data, model, lag, K);
    for (ptrdiff_t j = 0; j < data->n_features; j++) {
        const double *column = model->columns + j * size;
        for (ptrdiff_t k = 0; k < K; k++) {
            model->coef[k * model->stride + j] = column[k];
            model->gradient_sum[k * model->stride + j] = column[K + k];
        }
    }
}

/* Margins of a row, but for scale and intercept; its weights are brought up to date. */
INLINE void OF(margins, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double *z, const ptrdiff_t K,
                                 const bool prox) {
    const ptrdiff_t size = sag_column_size(K);
    double even = 0.0, odd = 0.0;
    for (ptrdiff_t k = 0; k < K; k++)
        z[k] = 0.0;
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *column = model->columns + COLUMN(row, e) * size, last = column[2 * K], x = row.x[e];
        for (ptrdiff_t k = 0; k < K; k++) {
            double w = column[k] = catch_up(lag, column[k], column[K + k], last, prox);
            if (K > 1)
                z[k] += x * w;
            else if (e % 2)
                odd += x * w;
            else
                even += x * w;
        }
    }
    z[0] += even + odd;
}

INLINE void OF(move, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double own, const double *change,
                              const ptrdiff_t K) {
    const ptrdiff_t size = sag_column_size(K);
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *column = model->columns + COLUMN(row, e) * size, x = row.x[e];
        for (ptrdiff_t k = 0; k < K; k++) {
            column[k] -= own * change[k] * x;
            column[K + k] += change[k] * x;
        }
        column[2 * K] = lag->now;
    }
}

INLINE void OF(steps, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model, sag_lag *lag,
                               const int32_t *order, ptrdiff_t n, const int loss, const ptrdiff_t K,
                               const bool prox) {
    const double smallest_scale = 1e-9;
    double *z = model->scratch, *change = z + sag_scratch_size(K) / 2;
    for (ptrdiff_t t = 0; t < n; t++) {
        ptrdiff_t i = order[t];
        ROW row = OF(row_at, VARIANT)(data, i);
        OF(prefetch, VARIANT)(data, order, t, n);
        prefetch_scalars(data, model, K, order, t, n);
        OF(margins, VARIANT)(row, model, lag, z, K, prox);
        for (ptrdiff_t k = 0; k < K; k++)
            z[k] = (prox ? z[k] : lag->scale * z[k]) + model->intercept[k];
        gradient_change(data, rule, model, loss, K, i, z, change);
        sag_step step = step_factors(model->record);
        move_intercepts(model, &step, K, change);
        /* The step on this row is the first of those that wait: what it has beyond the others is put before
           it, where it will be shrunk with the weight. */
        if (prox) {
            OF(move, VARIANT)(row, model, lag, step.intercept_own, change, K);
            lag->now += 1.0;
        } else {
            lag->scale *= step.shrink;
            OF(move, VARIANT)(row, model, lag, step.own / lag->scale, change, K);
            lag->now += step.shared / lag->scale;
            if (lag->scale < smallest_scale)
                OF(flush, VARIANT)(data, model, lag, K);
        }
    }
}
