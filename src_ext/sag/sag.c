/* Every combination of loss, element type and storage; compiled once per instruction-set level. */
#include "sag.h"

#include "draw.h"
#include "lag.h"

INLINE ptrdiff_t smaller_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Multiply-adds that a step takes, more or less. */
static double row_work(const linear_data *data, const sag_rule *rule) {
    enum { PER_STEP = 30 };
    double entries = (double)data->n_values / (double)(data->n_rows > 0 ? data->n_rows : 1);
    return (4.0 * entries + PER_STEP) * (double)rule->n_columns;
}

/* scikit-learn's criterion: the largest change of a weight in an epoch, relative to the largest weight. */
static void end_epoch(const linear_data *data, const sag_rule *rule, sag_model *model) {
    sag_record *record = model->record;
    double largest = 0.0, change = 0.0, not_finite = 0.0;
    for (ptrdiff_t k = 0; k < rule->n_columns; k++) {
        double *w = model->coef + k * model->stride, *previous = model->previous + k * model->stride;
        for (ptrdiff_t j = 0; j < data->n_features; j++) {
            double size = fabs(w[j]), moved = fabs(w[j] - previous[j]);
            not_finite += w[j] - w[j];
            largest = size > largest ? size : largest;
            change = moved > change ? moved : change;
            previous[j] = w[j];
        }
        not_finite += model->intercept[k] - model->intercept[k];
    }
    record->cursor = 0;
    record->n_iter++;
    record->change = largest > 0.0 ? change / largest : change;
    record->finite = not_finite == 0.0;
    record->converged = record->finite && record->change <= (largest > 0.0 ? record->tol : 0.0);
    record->done = record->converged || !record->finite || record->n_iter >= record->max_iter;
}

#define LOOPS "epochs.h"
#include "instances.h"

const sag_kernels FASTML_AT_LEVEL(sag_kernels) = {
    advance_dense_f32,   advance_dense_f64,   advance_csr_f32_i32,
    advance_csr_f32_i64, advance_csr_f64_i32, advance_csr_f64_i64,
};
