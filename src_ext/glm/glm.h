/* One pass over the rows for generalised linear models. The specification is kernels/reference/glm.py. */
#ifndef FASTML_GLM_H
#define FASTML_GLM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "linear_data.h"

/* In the order of kernels/glm_data.py's LOSSES. */
enum glm_loss {
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

/* What is made of a block's margins, before the block is multiplied from the left. */
enum glm_pass { PASS_EVALUATE, PASS_HESSIAN_PRODUCT, PASS_MARGINS };

/* kernels/glm_data.py's MODEL, field by field. */
typedef struct {
    int64_t positive_class, target, weighting, active;
} glm_model;

typedef struct {
    linear_data x;        /* X, and class codes where targets are codes */
    const double *target; /* n_targets x n_rows; NULL: class codes */
    const double *weight; /* n_weightings x n_rows; NULL: none */
    const glm_model *models;
    const int64_t *active; /* the models to compute; the others are left alone */
    ptrdiff_t n_active;
    int pass, loss, n_columns;
    double epsilon;
    double (*custom_value)(double, double);
    double (*custom_derivative)(double, double);
    double (*custom_second_derivative)(double, double);
    const double *weights; /* n_models * n_columns x (n_features + 1): weights, or the vectors of a product */
    double *gradient;      /* the same shape: gradient, or product; NULL: not wanted */
    double *value;         /* n_models; PASS_EVALUATE */
    void *prediction;      /* n_models * n_columns x n_rows, X's type; NULL: not wanted, or not needed */
    void *margins;         /* n_rows x n_columns, X's type; PASS_MARGINS */
    double *hessian;       /* n_columns * (n_features + 1), squared; zeros on entry */
    int n_shares;
    void *scratch; /* as many bytes as `scratch` says, on a cache line's boundary */
} glm_job;

/* For one element type and storage. Between `pack` and `reduce`, `run` is called for each share. */
typedef struct {
    size_t (*scratch)(const glm_job *);
    void (*pack)(const glm_job *);
    void (*run)(const glm_job *, int share);
    void (*reduce)(const glm_job *);
    /* The Hessian of one model: `hessian_run` is called for each share. */
    size_t (*hessian_scratch)(const glm_job *);
    void (*hessian_run)(const glm_job *, int share);
} glm_passes;

typedef struct {
    const glm_passes *passes[6]; /* dense f32, f64; CSR f32 i32, i64; CSR f64 i32, i64 */
} glm_kernels;

/* The shares of a pass, which threads take as they come to be idle: whoever loses its processor for a while
   keeps the others waiting for one share at most. What is summed up in which order does not depend on it. */
typedef struct {
    const glm_passes *passes;
    const glm_job *job;
    atomic_int next;
} glm_queue;

static inline void glm_begin(glm_queue *queue, const glm_passes *passes, const glm_job *job) {
    queue->passes = passes;
    queue->job = job;
    atomic_init(&queue->next, 0);
}

static inline void glm_work(glm_queue *queue) {
    void (*run)(const glm_job *, int) = queue->job->hessian ? queue->passes->hessian_run : queue->passes->run;
    for (int share; (share = atomic_fetch_add(&queue->next, 1)) < queue->job->n_shares;)
        run(queue->job, share);
}

FASTML_DECLARE(glm_kernels, glm_kernels);
#define GLM_KERNELS(level) FASTML_SELECT(glm_kernels, level)

#endif
