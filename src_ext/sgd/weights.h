/* What a model's weights need whatever the storage of X.
 *
 * fold_f32, fold_f64: make coef and average_coef of one model the weights themselves.
 * truncate_weight_f32, _f64: the cumulative l1 penalty on one weight.
 */
#include "scalars.h"

static void OF(fold, KIND)(const sgd_job *job, ptrdiff_t model) {
    sgd_progress *progress = &job->progress[model];
    ptrdiff_t n = job->n_features;
    REAL *coef = (REAL *)job->coef + model * job->coef_stride;
    if (job->average_coef) {
        REAL *average = (REAL *)job->average_coef + model * job->coef_stride;
        REAL a = (REAL)progress->average_a, b = (REAL)(1.0 / progress->average_b);
        for (ptrdiff_t j = 0; j < n; j++)
            average[j] = (average[j] + a * coef[j]) * b;
    }
    REAL wscale = (REAL)progress->wscale;
    for (ptrdiff_t j = 0; j < n; j++)
        coef[j] *= wscale;
    progress->wscale = 1.0;
    progress->average_a = 0.0;
    progress->average_b = 1.0;
}

INLINE void OF(truncate_weight, KIND)(REAL *w, REAL *applied, double wscale, double cumulative) {
    /* Without branches, whose outcomes are as random as the signs of weights; and fmax is a call. */
    double before = wscale * *w, above = before - (cumulative + *applied),
           below = before + (cumulative - *applied);
    above = above > 0.0 ? above : 0.0;
    below = below < 0.0 ? below : 0.0;
    double after = before > 0.0 ? above : before < 0.0 ? below : before;
    *w = (REAL)(after / wscale);
    *applied += (REAL)(after - before);
}
