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
    const ptrdiff_t size = sag_column_size(K), n = data->n_features;
    pack_rows(model->coef, model->stride, model->columns, size, n, K);
    pack_rows(model->gradient_sum, model->stride, model->columns + K, size, n, K);
    pack_rows(model->previous, model->stride, sag_packed_previous(data, model, K), K, n, K);
    for (ptrdiff_t j = 0; j < n; j++)
        model->columns[j * size + 2 * K] = 0.0;
}

SHARED void OF(unpack, VARIANT)(const linear_data *data, sag_model *model, sag_lag *lag, ptrdiff_t K) {
    const ptrdiff_t size = sag_column_size(K), n = data->n_features;
    OF(flush, VARIANT)(data, model, lag, K);
    unpack_rows(model->columns, size, model->coef, model->stride, n, K);
    unpack_rows(model->columns + K, size, model->gradient_sum, model->stride, n, K);
    unpack_rows(sag_packed_previous(data, model, K), K, model->previous, model->stride, n, K);
}

/* Make good all steps that wait, and compare: an epoch ends in the records as they lie, of which there may be
   as many as entries in its rows. */
SHARED sag_change OF(epoch_change, VARIANT)(const linear_data *data, sag_model *model, sag_lag *lag,
                                            ptrdiff_t K) {
    const bool prox = lag->step.bound > 0.0;
    const ptrdiff_t size = sag_column_size(K);
    double *previous = sag_packed_previous(data, model, K);
    sag_change out = {0.0, 0.0, 0.0};
    ptrdiff_t j = 0;
#if defined(__AVX512F__)
    vec_f64 largest = {0}, change = {0}, not_finite = {0};
    for (; !prox && K > 1 && j < data->n_features; j++) {
        double *column = model->columns + j * size;
        const double waiting = lag->now - column[2 * K];
        for (ptrdiff_t k = 0; k < K; k += LANES_f64) {
            const __mmask8 present = columns_from(k, K);
            vec_f64 w = (vec_f64)_mm512_maskz_loadu_pd(present, column + k);
            w = lag->scale * (w - (vec_f64)_mm512_maskz_loadu_pd(present, column + K + k) * waiting);
            vec_f64 moved = w - (vec_f64)_mm512_maskz_loadu_pd(present, previous + j * K + k);
            largest = at_least_f64(largest, (vec_f64)_mm512_abs_pd((__m512d)w));
            change = at_least_f64(change, (vec_f64)_mm512_abs_pd((__m512d)moved));
            not_finite += w - w;
            _mm512_mask_storeu_pd(column + k, present, (__m512d)w);
            _mm512_mask_storeu_pd(previous + j * K + k, present, (__m512d)w);
        }
        column[2 * K] = 0.0;
    }
    for (int lane = 0; lane < LANES_f64; lane++)
        out = sag_larger(out, largest[lane], change[lane], not_finite[lane]);
#endif
    for (; j < data->n_features; j++) {
        double *column = model->columns + j * size;
        for (ptrdiff_t k = 0; k < K; k++) {
            double w = lag->scale * catch_up(lag, column[k], column[K + k], column[2 * K], prox);
            out = sag_larger(out, fabs(w), fabs(w - previous[j * K + k]), w - w);
            column[k] = previous[j * K + k] = w;
        }
        column[2 * K] = 0.0;
    }
    lag->now = 0.0;
    lag->scale = 1.0;
    return out;
}

#if defined(__AVX512F__)
/* `margins` and `move` without l1 of some columns that a vector takes: a loop over five of them would be all
   remainder. */
INLINE void OF(margins_wide, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double *z, ptrdiff_t K) {
    const ptrdiff_t size = sag_column_size(K);
    const __mmask8 present = columns_from(0, K);
    vec_f64 sum = {0};
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *column = model->columns + COLUMN(row, e) * size, x = row.x[e];
        vec_f64 w = (vec_f64)_mm512_maskz_loadu_pd(present, column);
        w -= (vec_f64)_mm512_maskz_loadu_pd(present, column + K) * (lag->now - column[2 * K]);
        _mm512_mask_storeu_pd(column, present, (__m512d)w);
        sum += w * x;
    }
    _mm512_mask_storeu_pd(z, present, (__m512d)sum);
}

INLINE void OF(move_wide, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double own,
                                   const double *change, ptrdiff_t K) {
    const ptrdiff_t size = sag_column_size(K);
    const __mmask8 present = columns_from(0, K);
    const vec_f64 changed = (vec_f64)_mm512_maskz_loadu_pd(present, change), moved = own * changed;
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *column = model->columns + COLUMN(row, e) * size, x = row.x[e];
        vec_f64 w = (vec_f64)_mm512_maskz_loadu_pd(present, column);
        vec_f64 sums = (vec_f64)_mm512_maskz_loadu_pd(present, column + K);
        _mm512_mask_storeu_pd(column, present, (__m512d)(w - moved * x));
        _mm512_mask_storeu_pd(column + K, present, (__m512d)(sums + changed * x));
        column[2 * K] = lag->now;
    }
}
#endif

/* Margins of a row, but for scale and intercept; its weights are brought up to date. */
INLINE void OF(margins, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double *z, const ptrdiff_t K,
                                 const bool prox) {
#if defined(__AVX512F__)
    if (!prox && K > 1 && K <= LANES_f64) {
        OF(margins_wide, VARIANT)(row, model, lag, z, K);
        return;
    }
#endif
    const ptrdiff_t size = sag_column_size(K);
    for (ptrdiff_t k = 0; k < K; k++)
        z[k] = 0.0;
    for (ptrdiff_t e = 0; e < row.n; e++) {
        double *column = model->columns + COLUMN(row, e) * size, last = column[2 * K], x = row.x[e];
        for (ptrdiff_t k = 0; k < K; k++) {
            column[k] = catch_up(lag, column[k], column[K + k], last, prox);
            z[k] += x * column[k];
        }
    }
}

INLINE void OF(move, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double own, const double *change,
                              const ptrdiff_t K) {
#if defined(__AVX512F__)
    if (K > 1 && K <= LANES_f64) {
        OF(move_wide, VARIANT)(row, model, lag, own, change, K);
        return;
    }
#endif
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

/* The same for one column and a row of SHORT entries at most, whose weights, brought up to date, pass through
   `caught_up` and are stored once, a feature's record as a whole: a load of parts of it that follows soon
   would else wait for the stores of each. */
INLINE double OF(margin, VARIANT)(ROW row, const sag_model *model, const sag_lag *lag, double *caught_up,
                                  double *sums_of, const bool prox) {
    double even = 0.0, odd = 0.0;
    ptrdiff_t e = 0;
#if defined(__AVX512F__)
    vec_f64 sums = {0};
    for (; prox && e < row.n; e += LANES_f64) {
        __mmask8 present = row.n - e >= LANES_f64 ? 0xFF : (__mmask8)((1u << (row.n - e)) - 1);
        vec_f64 moved = lag_prox_wide(lag, model->columns, OF(wide_columns, INDEX)(row.columns + e, present),
                                      present, sums_of + e);
        _mm512_storeu_pd(caught_up + e, (__m512d)moved);
        sums += moved * OF(wide_part, KIND)(row.x + e, row.n - e < LANES_f64 ? row.n - e : LANES_f64);
    }
    if (prox)
        return sum_f64(sums);
#endif
    for (; e < row.n; e++) {
        const double *column = model->columns + COLUMN(row, e) * 4;
        sums_of[e] = column[1];
        caught_up[e] = catch_up(lag, column[0], sums_of[e], column[2], prox);
        if (e % 2)
            odd += row.x[e] * caught_up[e];
        else
            even += row.x[e] * caught_up[e];
    }
    return even + odd;
}

INLINE void OF(move_one, VARIANT)(ROW row, sag_model *model, const sag_lag *lag, double own, double change,
                                  const double *caught_up, const double *sums_of) {
    const sag_column direction = {-own, change, 0.0, 0.0};
    for (ptrdiff_t e = 0; e < row.n; e++) {
        sag_column column = {caught_up[e], sums_of[e], lag->now, 0.0};
        ((sag_column *)model->columns)[COLUMN(row, e)] = column + row.x[e] * direction;
    }
}

INLINE void OF(steps, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model, sag_lag *lag,
                               const int32_t *order, ptrdiff_t n, const int loss, const ptrdiff_t K,
                               const bool prox) {
    enum { SHORT = 64 };
    const double smallest_scale = 1e-9;
    double caught_up[SHORT], sums_of[SHORT];
    double *z = model->scratch, *change = z + sag_scratch_size(K) / 2;
    for (ptrdiff_t t = 0; t < n; t++) {
        ptrdiff_t i = order[t];
        ROW row = OF(row_at, VARIANT)(data, i);
        OF(prefetch, VARIANT)(data, order, t, n);
        prefetch_scalars(data, model, K, order, t, n);
        const bool is_short = K == 1 && row.n <= SHORT;
        if (is_short)
            z[0] = OF(margin, VARIANT)(row, model, lag, caught_up, sums_of, prox);
        else
            OF(margins, VARIANT)(row, model, lag, z, K, prox);
        for (ptrdiff_t k = 0; k < K; k++)
            z[k] = (prox ? z[k] : lag->scale * z[k]) + model->intercept[k];
        gradient_change(data, rule, model, loss, K, i, z, change);
        sag_step step = step_factors(model->record);
        move_intercepts(model, &step, K, change);
        /* The step on this row is the first of those that wait: what it has beyond the others is put before
           it, where it will be shrunk with the weight. */
        lag->scale *= prox ? 1.0 : step.shrink;
        double own = prox ? step.intercept_own : step.own / lag->scale;
        if (is_short)
            OF(move_one, VARIANT)(row, model, lag, own * change[0], change[0], caught_up, sums_of);
        else
            OF(move, VARIANT)(row, model, lag, own, change, K);
        lag->now += prox ? 1.0 : step.shared / lag->scale;
        if (!prox && lag->scale < smallest_scale)
            OF(flush, VARIANT)(data, model, lag, K);
    }
}
