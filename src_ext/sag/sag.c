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

/* Of an epoch: the largest size of a weight and of its change; not_finite is 0 or NaN. */
typedef struct {
    double largest, change, not_finite;
} sag_change;

INLINE sag_change sag_larger(sag_change so_far, double size, double moved, double not_finite) {
    return (sag_change){size > so_far.largest ? size : so_far.largest,
                        moved > so_far.change ? moved : so_far.change, so_far.not_finite + not_finite};
}

INLINE double *sag_packed_previous(const linear_data *data, const sag_model *model, ptrdiff_t K) {
    return model->columns + data->n_features * sag_column_size(K);
}

/* K rows of n numbers to records of `size`, and back: some records at a time, which stay in a cache, as K
   rows read number by number would be too many streams. */
enum { RECORDS = 32 };

static void pack_rows(const double *rows, ptrdiff_t stride, double *records, ptrdiff_t size, ptrdiff_t n,
                      ptrdiff_t K) {
    for (ptrdiff_t first = 0; first < n; first += RECORDS)
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t j = first; j < smaller_of(first + RECORDS, n); j++)
                records[j * size + k] = rows[k * stride + j];
}

static void unpack_rows(const double *records, ptrdiff_t size, double *rows, ptrdiff_t stride, ptrdiff_t n,
                        ptrdiff_t K) {
    for (ptrdiff_t first = 0; first < n; first += RECORDS)
        for (ptrdiff_t k = 0; k < K; k++)
            for (ptrdiff_t j = first; j < smaller_of(first + RECORDS, n); j++)
                rows[k * stride + j] = records[j * size + k];
}

static sag_change dense_epoch_change(const linear_data *data, sag_model *model, ptrdiff_t K) {
    sag_change out = {0.0, 0.0, 0.0};
    for (ptrdiff_t k = 0; k < K; k++) {
        double *w = model->coef + k * model->stride, *previous = model->previous + k * model->stride;
        for (ptrdiff_t j = 0; j < data->n_features; j++) {
            out = sag_larger(out, fabs(w[j]), fabs(w[j] - previous[j]), w[j] - w[j]);
            previous[j] = w[j];
        }
    }
    return out;
}

/* Where all weights are 0 their changes tell nothing: the largest step of an intercept, relative to it and to
   what the step is the sum of. */
static double intercept_change(const linear_data *data, const sag_model *model, ptrdiff_t K) {
    const double step = model->record->step_size;
    double largest = 0.0;
    for (ptrdiff_t k = 0; k < K && model->record->fit_intercept; k++) {
        double size = fabs(model->intercept[k]);
        for (ptrdiff_t i = 0; i < data->n_rows; i++)
            size += isnan(model->memory[i * K + k]) ? 0.0 : step * fabs(model->memory[i * K + k]);
        const double moved = step * fabs(model->intercept_gradient[k]);
        if (moved > largest * size)
            largest = moved / size;
    }
    return largest;
}

/* scikit-learn's criterion: the largest change of a weight in an epoch, relative to the largest weight. */
static void end_epoch(const linear_data *data, const sag_rule *rule, sag_model *model, sag_change epoch) {
    sag_record *record = model->record;
    const double largest = epoch.largest, change = epoch.change;
    double not_finite = epoch.not_finite;
    for (ptrdiff_t k = 0; k < rule->n_columns; k++)
        not_finite += model->intercept[k] - model->intercept[k];
    record->cursor = 0;
    record->n_iter++;
    if (largest > 0.0)
        record->change = change / largest;
    else
        record->change = change > 0.0 ? INFINITY : intercept_change(data, model, rule->n_columns);
    record->finite = not_finite == 0.0;
    record->converged = record->finite && record->change <= record->tol;
    record->done = record->converged || !record->finite || record->n_iter >= record->max_iter;
}

#define LOOPS "epochs.h"
#include "instances.h"

const sag_kernels FASTML_AT_LEVEL(sag_kernels) = {
    advance_dense_f32,   advance_dense_f64,   advance_csr_f32_i32,
    advance_csr_f32_i64, advance_csr_f64_i32, advance_csr_f64_i64,
};
