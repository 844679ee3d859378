/* The losses. `loss` is a compile-time constant wherever these are used: every switch folds away. */
#ifndef FASTML_SGD_LOSS_H
#define FASTML_SGD_LOSS_H

#include <math.h>

#include "sgd.h"
#include "vector.h"

/* kernels/sgd_state.py's. */
#define MAX_DLOSS 1e12

INLINE double loss_value(const sgd_job *job, const sgd_model *model, int loss, double y, double p) {
    double z = y * p, residual = fabs(y - p), slack = 1.0 - z, excess = residual - model->epsilon;
    switch (loss) {
    case LOSS_HINGE:
        return slack > 0.0 ? slack : 0.0;
    case LOSS_PERCEPTRON:
        return z < 0.0 ? -z : 0.0;
    case LOSS_SQUARED_HINGE:
        return slack > 0.0 ? slack * slack : 0.0;
    case LOSS_LOG:
        return log1p(exp(-fabs(z))) + (z < 0.0 ? -z : 0.0);
    case LOSS_MODIFIED_HUBER:
        return z >= 1.0 ? 0.0 : z >= -1.0 ? slack * slack : -4.0 * z;
    case LOSS_SQUARED_ERROR:
        return 0.5 * residual * residual;
    case LOSS_HUBER:
        return residual <= model->epsilon ? 0.5 * residual * residual
                                          : model->epsilon * (residual - 0.5 * model->epsilon);
    case LOSS_EPSILON_INSENSITIVE:
        return excess > 0.0 ? excess : 0.0;
    case LOSS_SQUARED_EPSILON_INSENSITIVE:
        return excess > 0.0 ? excess * excess : 0.0;
    default:
        return job->custom_value(y, p);
    }
}

INLINE double loss_derivative(const sgd_job *job, const sgd_model *model, int loss, double y, double p) {
    double z = y * p, slack = 1.0 - z, residual = p - y, excess = fabs(residual) - model->epsilon;
    switch (loss) {
    case LOSS_HINGE:
        return z <= 1.0 ? -y : 0.0;
    case LOSS_PERCEPTRON:
        return z <= 0.0 ? -y : 0.0;
    case LOSS_SQUARED_HINGE:
        return slack > 0.0 ? -2.0 * y * slack : 0.0;
    case LOSS_LOG:
        return -y / (1.0 + exp(z));
    case LOSS_MODIFIED_HUBER:
        return z >= 1.0 ? 0.0 : z >= -1.0 ? -2.0 * y * slack : -4.0 * y;
    case LOSS_SQUARED_ERROR:
        return residual;
    case LOSS_HUBER:
        return fabs(residual) <= model->epsilon ? residual : copysign(model->epsilon, residual);
    case LOSS_EPSILON_INSENSITIVE:
        return excess > 0.0 ? copysign(1.0, residual) : 0.0;
    case LOSS_SQUARED_EPSILON_INSENSITIVE:
        return excess > 0.0 ? copysign(2.0 * excess, residual) : 0.0;
    default:
        return job->custom_derivative(y, p);
    }
}

/* Targets and weights are visited in random order too; 4 or 8 bytes of a line each, so far ahead. */
INLINE void prefetch_target(const sgd_job *job, ptrdiff_t step) {
    enum { AHEAD = 32 };
    if (step + AHEAD >= job->n_steps)
        return;
    ptrdiff_t i = job->order[step + AHEAD];
    __builtin_prefetch(job->label ? (const void *)(job->label + i) : (const void *)(job->value + i));
    if (job->sample_weight)
        __builtin_prefetch(job->sample_weight + i);
}

#endif
