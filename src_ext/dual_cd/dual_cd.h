/* Coordinate descent for linear support vector machines and logistic regression. The specification is
 * kernels/reference/dual_cd.py.
 */
#ifndef FASTML_DUAL_CD_H
#define FASTML_DUAL_CD_H

#include "dispatch.h"
#include "linear_data.h"

/* kernels/dual_cd_state.py's MODEL, field by field. */
typedef struct {
    int64_t positive_class;
    double cost_positive, cost_negative, epsilon, tol;
    int64_t max_iter, seed, n_coordinates, n_active, cursor, in_sweep, n_iter, done;
    double intercept, largest, smallest, bound_above, bound_below, first, violation;
    int64_t phase, n_inner, n_active_inner;
    double inner_tol, n_samples;
} cd_record;

/* One model: arrays of a kernels/dual_cd_state.py dataclass; which ones, each loop says. */
typedef struct {
    cd_record *record;
    int32_t *order; /* n_coordinates rows (or features), those that are active first */
    double *coef;   /* n_features, padded to whole vectors; Crammer-Singer: (n_features + 1) x n_classes */
    double *dual;   /* n_rows; Crammer-Singer: n_rows x n_classes; logistic: n_rows x 2 */
    /* Crammer-Singer */
    ptrdiff_t n_classes;
    const double *class_cost;
    int32_t *class_order, *n_active_classes; /* n_rows x n_classes, n_rows */
    double *scratch;                         /* 3 x n_classes */
    /* l1 */
    double *residual;          /* y - w.x of each sample */
    const double *signed_cost; /* C y of each sample */
    const double *curvature;   /* sum of C x^2 over the samples, of each feature */
    /* l1, logistic */
    double *samples;  /* 5 x n_samples, padded: in the order of enum l1_sample */
    double *features; /* 3 x n_features: in the order of enum l1_feature */
} cd_model;

/* Advance one model by some `work` multiply-adds, or until record->done. */
typedef void (*cd_advance)(const linear_data *data, cd_model *model, double work);

enum cd_loop {
    CD_HINGE,
    CD_SQUARED_HINGE,
    CD_SVR,
    CD_SQUARED_SVR,
    CD_CRAMMER_SINGER,
    CD_L1,
    CD_LOGISTIC_DUAL,
    CD_LOGISTIC_L1,
    CD_N_LOOPS
};

typedef struct {
    cd_advance loops[CD_N_LOOPS];
    void (*sq_norms)(const linear_data *data, double *sq_norm);
} cd_variant;

typedef struct {
    const cd_variant *variants[6]; /* dense f32, f64; CSR f32 i32, i64; CSR f64 i32, i64 */
} cd_kernels;

FASTML_DECLARE(cd_kernels, cd_kernels);
#define CD_KERNELS(level) FASTML_SELECT(cd_kernels, level)

#endif
