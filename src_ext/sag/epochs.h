/* The epochs of one model, for one element type and storage of X: begin, draw, step, compare, stop. */
#ifdef DENSE
#include "dense.h"
#define PACK(data, model, lag, K) ((void)0)
#define UNPACK(data, model, lag, K) ((void)0)
#define EPOCH_CHANGE(data, model, lag, K) dense_epoch_change(data, model, K)
#else
#include "sparse.h"
#define PACK OF(pack, VARIANT)
#define UNPACK OF(unpack, VARIANT)
#define EPOCH_CHANGE OF(epoch_change, VARIANT)
#endif

#define STEPS(loss, K, prox) OF(steps, VARIANT)(data, rule, model, lag, order, n, loss, K, prox)

/* One function for each instance of the loop: kept apart, they compile sooner and to better code. */
#define DEFINE_STEPS(name, loss, K, prox)                                                                    \
    SHARED void OF(name, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model,           \
                                  sag_lag *lag, const int32_t *order, ptrdiff_t n) {                         \
        STEPS(loss, K, prox);                                                                                \
    }
DEFINE_STEPS(steps_log, LOSS_LOG, 1, false)
DEFINE_STEPS(steps_log_prox, LOSS_LOG, 1, true)
DEFINE_STEPS(steps_squared, LOSS_SQUARED_ERROR, 1, false)
DEFINE_STEPS(steps_squared_prox, LOSS_SQUARED_ERROR, 1, true)
DEFINE_STEPS(steps_multinomial, LOSS_MULTINOMIAL, rule->n_columns, false)
DEFINE_STEPS(steps_multinomial_prox, LOSS_MULTINOMIAL, rule->n_columns, true)
/* Here the loss is decided in every step, always alike. */
DEFINE_STEPS(steps_other, rule->loss, 1, false)
DEFINE_STEPS(steps_other_prox, rule->loss, 1, true)
#undef DEFINE_STEPS
#undef STEPS

SHARED void OF(block, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model, sag_lag *lag,
                               const int32_t *order, ptrdiff_t n) {
    bool prox = model->record->beta > 0.0;
    switch (rule->loss) {
    case LOSS_LOG:
        (prox ? OF(steps_log_prox, VARIANT) : OF(steps_log, VARIANT))(data, rule, model, lag, order, n);
        break;
    case LOSS_SQUARED_ERROR:
        (prox ? OF(steps_squared_prox, VARIANT) : OF(steps_squared, VARIANT))(data, rule, model, lag, order,
                                                                              n);
        break;
    case LOSS_MULTINOMIAL:
        (prox ? OF(steps_multinomial_prox, VARIANT) : OF(steps_multinomial, VARIANT))(data, rule, model, lag,
                                                                                      order, n);
        break;
    default:
        (prox ? OF(steps_other_prox, VARIANT) : OF(steps_other, VARIANT))(data, rule, model, lag, order, n);
    }
}

/* SAGA's table at the starting weights: the gradients of the rows from record->n_begun on. */
SHARED void OF(begin, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model,
                               ptrdiff_t until) {
    const ptrdiff_t K = rule->n_columns;
    double *z = model->scratch, *gradient = z + sag_scratch_size(K) / 2;
    for (ptrdiff_t t = model->record->n_begun; t < until; t++) {
        ptrdiff_t i = model->rows ? model->rows[t] : t;
        ROW row = OF(row_at, VARIANT)(data, i);
        for (ptrdiff_t k = 0; k < K; k++)
            z[k] = OF(dot, VARIANT)(row, model->coef + k * model->stride) + model->intercept[k];
        margin_gradient(data, rule, model, rule->loss, K, i, z, gradient);
        for (ptrdiff_t k = 0; k < K; k++) {
            OF(add, VARIANT)(row, model->gradient_sum + k * model->stride, gradient[k]);
            model->intercept_gradient[k] += gradient[k];
            model->memory[i * K + k] = gradient[k];
        }
    }
    model->record->n_begun = model->record->n_seen = until;
}

static void OF(advance, VARIANT)(const linear_data *data, const sag_rule *rule, sag_model *model,
                                 double work) {
    enum { BLOCK = 1024 };
    int32_t order[BLOCK];
    sag_record *record = model->record;
    sag_lag lag;
    const ptrdiff_t K = rule->n_columns;
    const double per_row = row_work(data, rule);
    for (; record->saga && record->n_begun < record->n_draws && work > 0.0; work -= BLOCK * per_row)
        OF(begin, VARIANT)(data, rule, model, smaller_of(record->n_begun + BLOCK, record->n_draws));
    if (work <= 0.0)
        return;
    begin_lag(&lag, record);
    PACK(data, model, &lag, K);
    while (!record->done && work > 0.0) {
        ptrdiff_t n = smaller_of(BLOCK, record->n_draws - record->cursor);
        draw_rows(model, order, n);
        OF(block, VARIANT)(data, rule, model, &lag, order, n);
        work -= (double)n * per_row;
        record->cursor += n;
        if (record->cursor == record->n_draws) {
            end_epoch(data, rule, model, EPOCH_CHANGE(data, model, &lag, K));
            work -= (double)(data->n_features * K);
        }
    }
    UNPACK(data, model, &lag, K);
}
#undef PACK
#undef UNPACK
#undef EPOCH_CHANGE
