/* Trust-region Newton method for squared and logistic losses with an l2 penalty. The specification is
 * kernels/reference/newton.py. */
#ifndef FASTML_NEWTON_H
#define FASTML_NEWTON_H

#include "dispatch.h"
#include "linear_data.h"
#include "threads.h"

/* kernels/newton_state.py's MODEL, field by field. */
typedef struct {
    int64_t positive_class;
    double cost_positive, cost_negative, epsilon, tol;
    int64_t logistic, max_iter, phase, n_iter, n_products, done, finite, current, has_hessian;
    double objective, radius, gradient_norm, first_gradient_norm, sq_residual, credit, update_work;
} nt_record;

enum { MAX_BLOCKS = 256 };

typedef struct {
    nt_record *record;
    ptrdiff_t n_vector; /* length of a vector: features and bias, padded with zeros to whole vectors */
    double *vectors;    /* 8 x n_vector: in the order of enum nt_vector */
    /* Rows in blocks, each of which one thread walks: block b has rows block_start[b] to block_start[b + 1].
     */
    ptrdiff_t n_blocks;
    const int64_t *block_start;
    double *partial;      /* n_blocks x n_vector: sums over a block */
    int32_t *active[2];   /* n_rows each: rows that have a loss, of a block from block_start[b] on */
    int64_t *n_active;    /* 2 x n_blocks */
    double *curvature[2]; /* n_rows each, or NULL: half the loss's second derivative, C included, of active
                             rows */
    double *hessian;     /* n_blocks x n_vector x n_vector, or NULL: sum of C x x' over the rows in_hessian */
    uint8_t *in_hessian; /* n_rows */
} nt_model;

enum nt_loss { SQUARED_HINGE, SQUARED_EPSILON_INSENSITIVE, LOGISTIC };

enum nt_vector { WEIGHTS, TRIAL_WEIGHTS, GRADIENT, TRIAL_GRADIENT, STEP, RESIDUAL, DIRECTION, PRODUCT };

/* The passes over a block of rows; `list` chooses between the two lists of active rows. */
typedef struct {
    /* Loss at w, its gradient into partial, and the active rows into the list; in the order of enum nt_loss.
     */
    double (*evaluate[3])(const linear_data *data, nt_model *model, int block, const double *w, int list);
    /* Sum of C (x.v) x, or of curvature (x.v) x, over the active rows into partial. */
    void (*product)(const linear_data *data, nt_model *model, int block, const double *v, int list);
    /* Bring the block's share of the Hessian up to the list; with `count`, only tell how many multiply-adds.
     */
    double (*update_hessian)(const linear_data *data, nt_model *model, int block, int list, bool count);
} nt_passes;

typedef struct {
    const nt_passes *passes[6]; /* dense f32, f64; CSR f32 i32, i64; CSR f64 i32, i64 */
    /* Advance a model by some `work` multiply-adds or until record->done. fork_join wakes the threads that
       share its blocks. */
    void (*advance)(const nt_passes *passes, const linear_data *data, nt_model *model, double work,
                    fastml_fork_join_function *fork_join, int n_threads);
} nt_kernels;

FASTML_DECLARE(nt_kernels, nt_kernels);
#define NT_KERNELS(level) FASTML_SELECT(nt_kernels, level)

#endif
