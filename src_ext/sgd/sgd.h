/* Stochastic gradient descent, one row after another. The specification is kernels/reference/sgd.py. */
#ifndef FASTML_SGD_H
#define FASTML_SGD_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

/* In the order of kernels/sgd_state.py's LOSSES, PENALTIES and SCHEDULES. */
enum sgd_loss {
    LOSS_HINGE,
    LOSS_SQUARED_HINGE,
    LOSS_PERCEPTRON,
    LOSS_LOG,
    LOSS_MODIFIED_HUBER,
    LOSS_SQUARED_ERROR,
    LOSS_HUBER,
    LOSS_EPSILON_INSENSITIVE,
    LOSS_SQUARED_EPSILON_INSENSITIVE,
    LOSS_CUSTOM,
};
enum sgd_penalty { PENALTY_NONE, PENALTY_L2, PENALTY_L1, PENALTY_ELASTICNET };
enum sgd_schedule {
    SCHEDULE_CONSTANT,
    SCHEDULE_OPTIMAL,
    SCHEDULE_INVSCALING,
    SCHEDULE_ADAPTIVE,
    SCHEDULE_PA1,
    SCHEDULE_PA2,
};

/* kernels/sgd_state.py's MODEL and PROGRESS, field by field. */
typedef struct {
    int64_t positive_class;
    double alpha, l1_ratio, eta0, power_t, epsilon, optimal_init, weight_pos, weight_neg;
} sgd_model;

typedef struct {
    double wscale, intercept, t, eta, sq_norm, l1_norm, cumulative_l1;
    double average_a, average_b, average_intercept, loss, objective, finite, padding[3];
} sgd_progress;

typedef struct {
    /* X: dense (indices NULL, row i at data + i * n_features) or CSR. */
    const void *data, *indices, *indptr;
    ptrdiff_t n_features;
    /* One of the two: class labels, or values. */
    const int32_t *label;
    const double *value;
    const double *sample_weight; /* NULL: all ones */
    /* The rows to visit. */
    const int32_t *order;
    ptrdiff_t n_steps;
    /* Steps that may be interleaved: rows of a block, where a helper brings them (sgd_segment). */
    ptrdiff_t segment;
    /* Dense rows to be brought meanwhile, one a step; NULL: those of the steps to come. */
    const void *ahead_data;
    const int32_t *ahead_order;
    ptrdiff_t n_ahead;
    /* Which of the threads that share the models this is. */
    int share, n_shares;
    /* n_models x n_features each, of X's type, rows coef_stride elements apart; the last two may be NULL. */
    ptrdiff_t coef_stride;
    void *coef, *average_coef, *applied_l1;
    const sgd_model *models;
    sgd_progress *progress;
    /* The rule. */
    int loss, penalty, schedule, fit_intercept, one_class, record;
    double average, intercept_decay;
    /* LOSS_CUSTOM: f(y, margin), its derivative by the margin. */
    double (*custom_value)(double, double);
    double (*custom_derivative)(double, double);
} sgd_job;

/* Take the steps of `job` for the models active[0..n_active-1]; fold: one model's scalars into its arrays. */
typedef void (*sgd_run)(const sgd_job *job, const int32_t *active, ptrdiff_t n_active);
typedef void (*sgd_fold)(const sgd_job *job, ptrdiff_t model);

typedef struct {
    sgd_run dense_f32, dense_f64, csr_f32_i32, csr_f32_i64, csr_f64_i32, csr_f64_i64;
    sgd_fold fold_f32, fold_f64;
} sgd_kernels;

FASTML_DECLARE(sgd_kernels, sgd_kernels);
#define SGD_KERNELS(level) FASTML_SELECT(sgd_kernels, level)

/* Fisher-Yates with the draws of kernels/reference/sgd.py's shuffle. */
void sgd_shuffle(int32_t *order, ptrdiff_t n, uint32_t seed);

#endif
