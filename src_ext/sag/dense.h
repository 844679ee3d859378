/* Steps on dense rows. All weights move in each: one pass over the features takes the step and, on its way,
 * the next row's margins. */

/* One column's part of a step; what it returns is next . w after it. */
INLINE double OF(move, VARIANT)(ROW row, ROW next, double *w, double *sums, double change, sag_step step,
                                const bool prox) {
    enum { L = LANES_f64 };
    const double own = step.own * change;
    vec_f64 dots[2] = {{0}}, upper = (vec_f64){0} + step.bound, lower = -upper;
    for (ptrdiff_t j = 0, u = 0; j < row.n; j += L, u ^= 1) {
        bool whole = j + L <= row.n;
        vec_f64 x = whole ? OF(wide, KIND)(row.x + j) : OF(wide_part, KIND)(row.x + j, row.n - j);
        vec_f64 y = whole ? OF(wide, KIND)(next.x + j) : OF(wide_part, KIND)(next.x + j, row.n - j);
        vec_f64 sum = *(const mem_f64 *)(sums + j) + change * x;
        vec_f64 moved = step.shrink * *(const mem_f64 *)(w + j) - step.shared * sum - own * x;
        if (prox)
            moved -= at_most_f64(upper, at_least_f64(lower, moved));
        *(mem_f64 *)(sums + j) = sum;
        *(mem_f64 *)(w + j) = moved;
        dots[u] += moved * y;
    }
    return sum_f64(dots[0] + dots[1]);
}

INLINE void OF(steps, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model, sag_lag *lag,
                               const int32_t *order, ptrdiff_t n, const int loss, const ptrdiff_t K,
                               const bool prox) {
    (void)lag;
    double *z = model->scratch, *change = z + sag_scratch_size(K) / 2;
    for (ptrdiff_t k = 0; k < K; k++)
        z[k] = OF(dot, VARIANT)(OF(row_at, VARIANT)(data, order[0]), model->coef + k * model->stride);
    for (ptrdiff_t t = 0; t < n; t++) {
        ptrdiff_t i = order[t];
        ROW row = OF(row_at, VARIANT)(data, i);
        ROW next = OF(row_at, VARIANT)(data, order[t + 1 < n ? t + 1 : t]);
        OF(prefetch, VARIANT)(data, order, t, n);
        prefetch_scalars(data, model, K, order, t, n);
        for (ptrdiff_t k = 0; k < K; k++)
            z[k] += model->intercept[k];
        gradient_change(data, rule, model, loss, K, i, z, change);
        sag_step step = step_factors(model->record);
        move_intercepts(model, &step, K, change);
        for (ptrdiff_t k = 0; k < K; k++)
            z[k] = OF(move, VARIANT)(row, next, model->coef + k * model->stride,
                                     model->gradient_sum + k * model->stride, change[k], step, prox);
    }
}
