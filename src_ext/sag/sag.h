/* Stochastic average gradient (SAG) and SAGA. The specification is kernels/reference/sag.py. */
#ifndef FASTML_SAG_H
#define FASTML_SAG_H

#include "dispatch.h"
#include "linear_data.h"

/* kernels/cpu/sag.py hands these over; the losses in the order of glm_data.py's LOSSES. */
enum sag_loss {
    LOSS_SQUARED_ERROR,
    LOSS_HUBER,
    LOSS_SQUARED_EPSILON_INSENSITIVE,
    LOSS_POISSON,
    LOSS_LOG,
    LOSS_SQUARED_HINGE,
    LOSS_MODIFIED_HUBER,
    LOSS_MULTINOMIAL,
    LOSS_CUSTOM,
};

typedef struct {
    int loss;
    ptrdiff_t n_columns;
    double epsilon;
    double (*custom_derivative)(double, double);
} sag_rule;

/* kernels/sag_state.py's RECORD, field by field. */
typedef struct {
    int64_t positive_class, target, weighting, saga, fit_intercept, n_draws, max_iter;
    uint64_t seed;
    int64_t n_begun, cursor, n_seen, n_iter, done, finite, converged;
    double step_size, alpha, beta, tol, change;
} sag_record;

/* One model: a kernels/sag_state.py Model. */
typedef struct {
    sag_record *record;
    const int32_t *rows;                    /* the rows that are drawn from; NULL: all */
    const double *value;                    /* targets, where data->label is NULL */
    const double *weight;                   /* of each row; NULL: all ones */
    ptrdiff_t stride;                       /* n_features, padded to whole vectors */
    double *coef, *gradient_sum, *previous; /* n_columns x stride */
    double *intercept, *intercept_gradient; /* n_columns */
    double *memory;                         /* n_rows x n_columns; NaN: this row has not been seen */
    double *columns;                        /* sparse X: working memory, `sag_columns_size` doubles */
    double *scratch;                        /* `sag_scratch_size` doubles */
} sag_model;

/* A feature's weights and gradient sums, and up to where these have been applied to those (sparse.h): one
   record, so that a feature costs one cache miss; whole halves of a cache line. */
static inline ptrdiff_t sag_column_size(ptrdiff_t n_columns) { return (2 * n_columns + 1 + 3) / 4 * 4; }
/* Behind the records the weights as they were at the last epoch's end, feature by feature. */
static inline ptrdiff_t sag_columns_size(ptrdiff_t n_features, ptrdiff_t n_columns) {
    return n_features * (sag_column_size(n_columns) + n_columns);
}
/* The record where there is one column: weight, gradient sum, up to where; one double is unused. */
typedef double sag_column __attribute__((vector_size(32), may_alias));
/* Two vectors of a number for each column, padded to the widest vector. */
static inline ptrdiff_t sag_scratch_size(ptrdiff_t n_columns) { return 2 * ((n_columns + 7) / 8 * 8); }

/* Advance one model by some `work` multiply-adds, or until record->done. */
typedef void (*sag_advance)(const linear_data *data, const sag_rule *rule, sag_model *model, double work);

typedef struct {
    sag_advance dense_f32, dense_f64, csr_f32_i32, csr_f32_i64, csr_f64_i32, csr_f64_i64;
} sag_kernels;

FASTML_DECLARE(sag_kernels, sag_kernels);
#define SAG_KERNELS(level) FASTML_SELECT(sag_kernels, level)

#endif
