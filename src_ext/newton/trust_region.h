/* Lin, Weng and Keerthi (2008), algorithms 1 and 2: Newton steps inside a trust region, their directions by
 * conjugate gradients. One pass over the rows between two looks at the budget of work.
 *
 * Products with the Hessian I + 2 X' D X, where D has C of the active rows, either go over these rows, or are
 * with the matrix itself, once making it costs no more than the products over rows have cost since it was
 * last made (as with renting skis, at most twice the work of the better choice). From step to step few rows
 * become active or cease to be: the matrix is corrected for them.
 */
#ifndef FASTML_TRUST_REGION_H
#define FASTML_TRUST_REGION_H

#include <math.h>

#include "newton.h"

enum nt_phase { PHASE_START, PHASE_DIRECTION, PHASE_TRIAL };

/* Work under which a second thread costs more than it saves, per pass: some 15 us to wake one. */
#define MIN_WORK_TO_FORK 100000.0

typedef struct {
    const nt_passes *passes;
    const linear_data *data;
    nt_model *model;
    fastml_fork_join_function *fork_join;
    int n_threads;
    double row_work; /* multiply-adds of an average row */
    /* Of the pass at hand. */
    enum { EVALUATE, MULTIPLY, UPDATE, COUNT } kind;
    const double *vector;
    int list;
    double sums[MAX_BLOCKS];
} nt_run;

INLINE double *vector_of(const nt_run *run, enum nt_vector name) {
    return run->model->vectors + name * run->model->n_vector;
}

INLINE double inner(const double *a, const double *b, ptrdiff_t n) {
    vec_f64 sum = {0};
    for (ptrdiff_t j = 0; j < n; j += LANES_f64)
        sum += *(const mem_f64 *)(a + j) * *(const mem_f64 *)(b + j);
    return sum_f64(sum);
}

INLINE void add_to(double *a, double c, const double *b, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES_f64)
        *(mem_f64 *)(a + j) += c * *(const mem_f64 *)(b + j);
}

INLINE enum nt_loss loss_of(const nt_run *run) {
    if (run->model->record->logistic)
        return LOGISTIC;
    return run->data->label ? SQUARED_HINGE : SQUARED_EPSILON_INSENSITIVE;
}

static void pass_over_block(void *context, int block, int n_blocks) {
    (void)n_blocks;
    nt_run *run = context;
    const linear_data *data = run->data;
    switch (run->kind) {
    case EVALUATE:
        run->sums[block] =
            run->passes->evaluate[loss_of(run)](data, run->model, block, run->vector, run->list);
        break;
    case MULTIPLY:
        run->passes->product(data, run->model, block, run->vector, run->list);
        break;
    default:
        run->sums[block] =
            run->passes->update_hessian(data, run->model, block, run->list, run->kind == COUNT);
    }
}

/* One pass over all blocks; what they sum up, added in their order. */
static double pass(nt_run *run, int kind, const double *vector, int list, double work) {
    int n_blocks = (int)run->model->n_blocks;
    run->kind = kind;
    run->vector = vector;
    run->list = list;
    if (n_blocks == 1 || run->n_threads == 1 || work < MIN_WORK_TO_FORK)
        for (int block = 0; block < n_blocks; block++)
            pass_over_block(run, block, n_blocks);
    else
        run->fork_join(pass_over_block, run, n_blocks, run->n_threads);
    double sum = 0.0;
    for (int block = 0; block < n_blocks; block++)
        sum += run->sums[block];
    return sum;
}

static void add_partials(const nt_run *run, double *sum, double c) {
    for (ptrdiff_t block = 0; block < run->model->n_blocks; block++)
        add_to(sum, c, run->model->partial + block * run->model->n_vector, run->model->n_vector);
}

static double objective(nt_run *run, const double *w, double *gradient, int list) {
    const ptrdiff_t n = run->model->n_vector;
    double loss = pass(run, EVALUATE, w, list, run->row_work * (double)run->data->n_rows);
    memcpy(gradient, w, (size_t)n * sizeof(double));
    add_partials(run, gradient, 1.0);
    return loss + 0.5 * inner(w, w, n);
}

static double n_active(const nt_run *run) {
    const nt_model *model = run->model;
    double sum = 0.0;
    for (ptrdiff_t block = 0; block < model->n_blocks; block++)
        sum += (double)model->n_active[model->record->current * model->n_blocks + block];
    return sum;
}

/* The blocks' corrections into the first one's matrix, and its lower triangle into the upper one. */
static void gather_hessian(const nt_run *run) {
    const ptrdiff_t n = run->model->n_vector;
    double *hessian = run->model->hessian;
    for (ptrdiff_t block = 1; block < run->model->n_blocks; block++) {
        double *part = hessian + block * n * n;
        add_to(hessian, 1.0, part, n * n);
        memset(part, 0, (size_t)(n * n) * sizeof(double));
    }
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t k = 0; k < j; k++)
            hessian[k * n + j] = hessian[j * n + k];
}

/* Hessian times `v` into PRODUCT; what it cost. */
static double multiply(nt_run *run, const double *v) {
    nt_model *model = run->model;
    nt_record *record = model->record;
    const ptrdiff_t n = model->n_vector;
    double *product = vector_of(run, PRODUCT), work = run->row_work * n_active(run);
    int list = (int)record->current;
    if (model->hessian && !record->has_hessian && record->credit >= record->update_work) {
        pass(run, UPDATE, NULL, list, record->update_work);
        gather_hessian(run);
        record->has_hessian = 1;
        record->credit = 0.0;
    }
    memcpy(product, v, (size_t)n * sizeof(double));
    if (record->has_hessian) {
        for (ptrdiff_t j = 0; j < n; j++)
            product[j] += 2.0 * inner(model->hessian + j * n, v, n);
        return (double)(n * n);
    }
    pass(run, MULTIPLY, v, list, work);
    add_partials(run, product, 2.0);
    record->credit += work;
    return work;
}

/* Start conjugate gradients at a step of zero. */
static void begin_direction(nt_run *run) {
    nt_record *record = run->model->record;
    const ptrdiff_t n = run->model->n_vector;
    double *gradient = vector_of(run, GRADIENT), *residual = vector_of(run, RESIDUAL);
    memset(vector_of(run, STEP), 0, (size_t)n * sizeof(double));
    for (ptrdiff_t j = 0; j < n; j++)
        residual[j] = -gradient[j];
    memcpy(vector_of(run, DIRECTION), residual, (size_t)n * sizeof(double));
    record->sq_residual = inner(residual, residual, n);
    record->n_products = 0;
    record->phase = PHASE_DIRECTION;
}

/* Where the step, moved along the direction, leaves the trust region: the positive root of |s + t d| =
 * radius. */
static double to_boundary(double sq_step, double across, double sq_direction, double radius) {
    double room = radius * radius - sq_step, root = sqrt(across * across + sq_direction * room);
    return across >= 0.0 ? room / (across + root) : (root - across) / sq_direction;
}

/* One step of conjugate gradients. */
static double refine_direction(nt_run *run) {
    enum { PRODUCTS_PER_DIMENSION = 10 }; /* rounding may keep the residual up for ever */
    nt_record *record = run->model->record;
    const ptrdiff_t n = run->model->n_vector;
    double *step = vector_of(run, STEP), *residual = vector_of(run, RESIDUAL);
    double *direction = vector_of(run, DIRECTION), *product = vector_of(run, PRODUCT);
    if (sqrt(record->sq_residual) <= 0.1 * record->gradient_norm ||
        record->n_products > PRODUCTS_PER_DIMENSION * n) {
        record->phase = PHASE_TRIAL;
        return 0.0;
    }
    double work = multiply(run, direction);
    record->n_products++;
    double length = record->sq_residual / inner(direction, product, n);
    double sq_step = inner(step, step, n), across = inner(step, direction, n);
    double sq_direction = inner(direction, direction, n);
    double sq_moved = sq_step + length * (2.0 * across + length * sq_direction);
    bool leaves = sqrt(sq_moved) > record->radius;
    if (leaves)
        length = to_boundary(sq_step, across, sq_direction, record->radius);
    add_to(step, length, direction, n);
    add_to(residual, -length, product, n);
    if (leaves || !isfinite(length)) {
        record->phase = PHASE_TRIAL;
        return work;
    }
    double sq_residual = inner(residual, residual, n), beta = sq_residual / record->sq_residual;
    for (ptrdiff_t j = 0; j < n; j++)
        direction[j] = residual[j] + beta * direction[j];
    record->sq_residual = sq_residual;
    return work;
}

/* Algorithm 1, step 4: the radius after a step of this length, which brought `actual` of the `predicted`. */
static double next_radius(double radius, double length, double actual, double predicted, double slope) {
    double excess = -actual - slope, best = 4.0; /* the quadratic through both ends has its minimum there */
    if (excess > 0.0)
        best = fmax(0.25, -0.5 * slope / excess);
    if (actual < 1e-4 * predicted)
        return fmin(fmax(best, 0.25) * length, 0.5 * radius);
    double suggested = best * length;
    if (actual < 0.25 * predicted)
        return fmax(0.25 * radius, fmin(suggested, 0.5 * radius));
    if (actual < 0.75 * predicted)
        return fmax(0.25 * radius, fmin(suggested, 4.0 * radius));
    return fmax(radius, fmin(suggested, 4.0 * radius));
}

static void accept(nt_run *run, double value) {
    nt_model *model = run->model;
    nt_record *record = model->record;
    const ptrdiff_t n = model->n_vector;
    memcpy(vector_of(run, WEIGHTS), vector_of(run, TRIAL_WEIGHTS), (size_t)n * sizeof(double));
    memcpy(vector_of(run, GRADIENT), vector_of(run, TRIAL_GRADIENT), (size_t)n * sizeof(double));
    record->objective = value;
    record->current ^= 1;
    record->n_iter++;
    record->gradient_norm = sqrt(inner(vector_of(run, GRADIENT), vector_of(run, GRADIENT), n));
    record->has_hessian = 0;
    if (model->hessian)
        record->update_work = pass(run, COUNT, NULL, (int)record->current, 0.0);
    record->done = record->gradient_norm <= record->tol * record->first_gradient_norm ||
                   record->n_iter >= record->max_iter;
}

static void try_step(nt_run *run) {
    nt_record *record = run->model->record;
    const ptrdiff_t n = run->model->n_vector;
    const double *step = vector_of(run, STEP);
    double *trial = vector_of(run, TRIAL_WEIGHTS);
    memcpy(trial, vector_of(run, WEIGHTS), (size_t)n * sizeof(double));
    add_to(trial, 1.0, step, n);
    double slope = inner(vector_of(run, GRADIENT), step, n);
    double predicted = -0.5 * (slope - inner(step, vector_of(run, RESIDUAL), n));
    double value = objective(run, trial, vector_of(run, TRIAL_GRADIENT), (int)record->current ^ 1);
    double actual = record->objective - value, length = sqrt(inner(step, step, n));
    if (record->n_iter == 0)
        record->radius = fmin(record->radius, length);
    record->radius = next_radius(record->radius, length, actual, predicted, slope);
    record->finite = isfinite(value) && isfinite(length);
    if (actual > 1e-4 * predicted)
        accept(run, value);
    /* Nothing to be gained but by rounding. */
    double smallest = 1e-12 * fabs(record->objective);
    record->done |= !record->finite || (actual <= 0.0 && predicted <= 0.0) ||
                    (fabs(actual) <= smallest && fabs(predicted) <= smallest);
    begin_direction(run);
}

static void start(nt_run *run) {
    nt_record *record = run->model->record;
    double *gradient = vector_of(run, GRADIENT);
    record->objective = objective(run, vector_of(run, WEIGHTS), gradient, (int)record->current);
    record->gradient_norm = sqrt(inner(gradient, gradient, run->model->n_vector));
    record->first_gradient_norm = record->radius = record->gradient_norm;
    record->finite = isfinite(record->gradient_norm) && isfinite(record->objective);
    record->done = !record->finite || record->gradient_norm <= record->tol * record->first_gradient_norm;
    if (run->model->hessian)
        record->update_work = pass(run, COUNT, NULL, (int)record->current, 0.0);
    begin_direction(run);
}

static void advance(const nt_passes *passes, const linear_data *data, nt_model *model, double work,
                    fastml_fork_join_function *fork_join, int n_threads) {
    nt_run run = {passes, data, model, fork_join, n_threads, 0.0, EVALUATE, NULL, 0, {0}};
    /* A row of average length, twice, and what starting on one costs. */
    run.row_work = 2.0 * (double)data->n_values / (double)data->n_rows + 8.0;
    while (!model->record->done && work > 0.0) {
        switch (model->record->phase) {
        case PHASE_START:
            start(&run);
            work -= run.row_work * (double)data->n_rows;
            break;
        case PHASE_DIRECTION:
            work -= refine_direction(&run);
            break;
        default:
            try_step(&run);
            work -= run.row_work * (double)data->n_rows;
        }
    }
}

#endif
