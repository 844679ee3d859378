/* What a step computes from a row's margins, whatever the storage of X. `loss` and `K`, the columns of a
 * model, are compile-time constants where these are inlined, or K is at least not 1.
 */
#ifndef FASTML_SAG_GRADIENT_H
#define FASTML_SAG_GRADIENT_H

#include <math.h>

#include "sag.h"

#define REAL double
#define KIND f64
#include "exp.h"
#undef REAL
#undef KIND

/* Of the losses of one column, by the margin z. */
INLINE double loss_derivative(const sag_rule *rule, int loss, double y, double z) {
    double slack = 1.0 - y * z, residual = z - y, excess = fabs(residual) - rule->epsilon;
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return residual;
    case LOSS_HUBER:
        return excess <= 0.0 ? residual : copysign(rule->epsilon, residual);
    case LOSS_SQUARED_EPSILON_INSENSITIVE:
        return excess > 0.0 ? copysign(2.0 * excess, residual) : 0.0 * residual;
    case LOSS_LOG:
        return -y / (1.0 + exp(y * z));
    case LOSS_SQUARED_HINGE:
        return slack <= 0.0 ? 0.0 : -2.0 * y * slack;
    case LOSS_MODIFIED_HUBER:
        return slack <= 0.0 ? 0.0 : slack > 2.0 ? -4.0 * y : -2.0 * y * slack;
    default:
        return rule->custom_derivative(y, z);
    }
}

/* p = softmax(z), both of K numbers padded to whole vectors. */
INLINE void softmax(double *z, double *p, ptrdiff_t K) {
    enum { L = LANES_f64 };
    double largest = z[0], sum = 0.0;
    for (ptrdiff_t k = 1; k < K; k++)
        largest = z[k] > largest ? z[k] : largest;
    for (ptrdiff_t k = K; k % L; k++)
        z[k] = largest;
    for (ptrdiff_t k = 0; k < K; k += L)
        *(mem_f64 *)(p + k) = exp_f64(*(const mem_f64 *)(z + k) - largest);
    for (ptrdiff_t k = 0; k < K; k++)
        sum += p[k];
    for (ptrdiff_t k = 0; k < K; k++)
        p[k] /= sum;
}

/* The gradient by the margins of row i: `gradient`, padded as z is, which is used up. */
INLINE void margin_gradient(const linear_data *data, const sag_rule *rule, const sag_model *model, int loss,
                            ptrdiff_t K, ptrdiff_t i, double *z, double *gradient) {
    double weight = model->weight ? model->weight[i] : 1.0;
    if (loss == LOSS_MULTINOMIAL) {
        softmax(z, gradient, K);
        gradient[data->label[i]] -= 1.0;
        for (ptrdiff_t k = 0; k < K; k++)
            gradient[k] *= weight;
        return;
    }
    double y = data->label ? (data->label[i] == model->record->positive_class ? 1.0 : -1.0) : model->value[i];
    gradient[0] = weight * loss_derivative(rule, loss, y, z[0]);
}

/* Remember row i's gradient; `change` is what it has changed by since it was last drawn. */
INLINE void gradient_change(const linear_data *data, const sag_rule *rule, const sag_model *model, int loss,
                            ptrdiff_t K, ptrdiff_t i, double *z, double *change) {
    double *memory = model->memory + i * K;
    margin_gradient(data, rule, model, loss, K, i, z, change);
    bool unseen = isnan(memory[0]);
    model->record->n_seen += unseen;
    for (ptrdiff_t k = 0; k < K; k++) {
        double now = change[k];
        change[k] = now - (unseen ? 0.0 : memory[k]);
        memory[k] = now;
    }
}

/* The factors of a step: w <- S(shrink w - own change x - shared (sum of gradients), bound), where shrink is
   that of the l2 penalty's proximal step and a factor of the other three, too. The intercept has no penalty.
 */
typedef struct {
    double shrink, own, shared, bound, intercept_own, intercept_shared;
} sag_step;

INLINE sag_step step_factors(const sag_record *record) {
    double step = record->step_size, shared = step / (double)record->n_seen;
    double own = record->saga ? step - shared : 0.0, shrink = 1.0 / (1.0 + step * record->alpha);
    return (sag_step){shrink, shrink * own, shrink * shared, shrink * step * record->beta, own, shared};
}

INLINE void move_intercepts(const sag_model *model, const sag_step *step, ptrdiff_t K, const double *change) {
    if (!model->record->fit_intercept)
        return;
    for (ptrdiff_t k = 0; k < K; k++) {
        model->intercept_gradient[k] += change[k];
        model->intercept[k] -=
            step->intercept_own * change[k] + step->intercept_shared * model->intercept_gradient[k];
    }
}

/* Targets, weights and gradients are visited in random order too. */
INLINE void prefetch_scalars(const linear_data *data, const sag_model *model, ptrdiff_t K,
                             const int32_t *order, ptrdiff_t step, ptrdiff_t n) {
    enum { AHEAD = 16 };
    if (step + AHEAD >= n)
        return;
    ptrdiff_t i = order[step + AHEAD];
    __builtin_prefetch(data->label ? (const void *)(data->label + i) : (const void *)(model->value + i));
    __builtin_prefetch(model->memory + i * K, 1);
    if (model->weight)
        __builtin_prefetch(model->weight + i);
}

#endif
