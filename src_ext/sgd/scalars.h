/* The scalar part of a step: what it computes from one margin, whatever the type and storage of X. The
 * comments number the steps as kernels/reference/sgd.py does.
 */
#ifndef FASTML_SGD_SCALARS_H
#define FASTML_SGD_SCALARS_H

#include <stdbool.h>

#include "loss.h"

INLINE double learning_rate(const sgd_job *job, const sgd_model *model, const sgd_progress *progress,
                            double t) { /* 2 */
    switch (job->schedule) {
    case SCHEDULE_OPTIMAL:
        return 1.0 / (model->alpha * (model->optimal_init + t - 1.0));
    case SCHEDULE_INVSCALING:
        /* pow costs as much as a short row; the two defaults are square roots. */
        return model->eta0 / (model->power_t == 0.5    ? sqrt(t)
                              : model->power_t == 0.25 ? sqrt(sqrt(t))
                                                       : pow(t, model->power_t));
    default:
        return progress->eta;
    }
}

/* Loss and objective at margin p, before the step. */
INLINE void record_loss(const sgd_job *job, const sgd_model *model, sgd_progress *progress, int loss,
                        double y, double p) {
    double value = loss_value(job, model, loss, y, p);
    progress->loss += value;
    if (job->schedule < SCHEDULE_PA1) {
        if (job->penalty != PENALTY_NONE)
            value += model->alpha * ((1.0 - model->l1_ratio) * 0.5 * progress->sq_norm +
                                     model->l1_ratio * progress->l1_norm);
        if (job->one_class)
            value += progress->intercept * model->alpha;
    }
    progress->objective += value;
}

/* Crammer et al., eqs. 3 and 7. */
INLINE double passive_aggressive(const sgd_job *job, const sgd_model *model, int loss, double y, double p,
                                 double sq_norm_x) {
    double value = loss_value(job, model, loss, y, p), length;
    if (job->schedule == SCHEDULE_PA1)
        length = fmin(model->eta0, value / sq_norm_x);
    else
        length = value / (sq_norm_x + 0.5 / model->eta0);
    if (loss == LOSS_HINGE)
        return length * y;
    return y - p < 0.0 ? -length : length;
}

/* Steps 1 to 3 at x . w = dot: *update is what the weights receive of x. False where the row is passed over.
   sq_norm_x is of use to the passive-aggressive schedules alone. */
INLINE bool find_update(const sgd_job *job, const sgd_model *model, sgd_progress *progress, int loss,
                        double y, double sample_weight, double dot, double sq_norm_x, double *update) {
    double p = progress->wscale * dot + progress->intercept; /* 1 */
    progress->finite += p - p;
    double eta = progress->eta = learning_rate(job, model, progress, progress->t);
    if (job->record)
        record_loss(job, model, progress, loss, y, p);

    double weight = (y > 0.0 ? model->weight_pos : model->weight_neg) * sample_weight;
    if (job->schedule >= SCHEDULE_PA1 && (loss == LOSS_HINGE || loss == LOSS_EPSILON_INSENSITIVE)) {
        if (job->schedule == SCHEDULE_PA1 && sq_norm_x == 0.0)
            return false;
        *update = weight * passive_aggressive(job, model, loss, y, p, sq_norm_x);
    } else {
        double derivative = loss_derivative(job, model, loss, y, p);
        /* Written so that a NaN stays one. */
        derivative = derivative < -MAX_DLOSS ? -MAX_DLOSS : derivative > MAX_DLOSS ? MAX_DLOSS : derivative;
        /* In this order: all but the last factor is known before the margin is. */
        *update = (-eta * weight) * derivative;
    }
    if (job->penalty != PENALTY_NONE) { /* 3 */
        double shrink = 1.0 - (1.0 - model->l1_ratio) * eta * model->alpha;
        shrink = shrink < 0.0 ? 0.0 : shrink;
        progress->wscale *= shrink;
        progress->sq_norm *= shrink * shrink;
        progress->l1_norm *= shrink;
    }
    return true;
}

INLINE void move_intercept(const sgd_job *job, const sgd_model *model, sgd_progress *progress,
                           double update) {
    if (job->fit_intercept) {
        double step = (update - (job->one_class ? progress->eta * model->alpha : 0.0)) * job->intercept_decay;
        /* Fused with the sum, a step there and one back would leave what rounding takes from the product, and
           rows without entries would be on a side of a margin that is 0. */
        KEEP_IN_REGISTER(step);
        progress->intercept += step;
    }
}

INLINE bool averages(const sgd_job *job, const sgd_progress *progress) {
    return job->average_coef && job->average <= progress->t;
}

/* What the average's weights receive of x, given the update of the weights. */
INLINE double average_update(const sgd_progress *progress, double update) {
    return -update / progress->wscale * progress->average_a;
}

/* The rest of step 5. */
INLINE void advance_average(const sgd_job *job, sgd_progress *progress) {
    double n_averaged = progress->t - job->average + 1.0;
    if (n_averaged > 1.0)
        progress->average_b /= 1.0 - 1.0 / n_averaged;
    progress->average_a += progress->average_b * progress->wscale / n_averaged;
    progress->average_intercept += (progress->intercept - progress->average_intercept) / n_averaged;
}

INLINE double target_of(const sgd_job *job, ptrdiff_t k, ptrdiff_t i) {
    if (job->label)
        return job->label[i] == job->models[k].positive_class ? 1.0 : -1.0;
    return job->value[i];
}

#endif
