/* Each optimizer's pass over parameters, gradient and state, for REAL of KIND: a template. The loops are
 * plain, for the compiler to make vectors of; what differs (momentum or none, ...) is a constant of each. */

/* Whether there is an array: a constant in each copy of a loop. */
#define EITHER(array, with, without)                                                                         \
    if (array)                                                                                               \
        with;                                                                                                \
    else                                                                                                     \
        without

#define ARRAY(pointer) ((pointer) ? (REAL *)(pointer) + part * job->part_size : NULL)

INLINE void OF(sgd_loop, KIND)(REAL *restrict w, const REAL *restrict g, REAL *restrict velocity, ptrdiff_t n,
                               const double *settings, int has_velocity) {
    REAL rate = (REAL)settings[0], momentum = (REAL)settings[1], decay = (REAL)(settings[0] * settings[3]);
    int nesterov = settings[2] != 0.0;
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL decayed = w[i] - w[i] * decay;
        if (has_velocity) {
            REAL speed = momentum * velocity[i] - rate * g[i];
            velocity[i] = speed;
            w[i] = decayed + (nesterov ? momentum * speed - rate * g[i] : speed);
        } else {
            w[i] = decayed - rate * g[i];
        }
    }
}

static void OF(sgd, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_update *job = context;
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size);
    REAL *w = ARRAY(job->w), *g = ARRAY(job->g), *velocity = ARRAY(job->state[0]);
    EITHER(velocity, OF(sgd_loop, KIND)(w, g, velocity, n, job->settings, 1),
           OF(sgd_loop, KIND)(w, g, NULL, n, job->settings, 0));
}

INLINE void OF(rmsprop_loop, KIND)(REAL *restrict w, const REAL *restrict g, REAL *restrict v,
                                   REAL *restrict mean, REAL *restrict velocity, ptrdiff_t n,
                                   const double *settings, int has_mean, int has_velocity) {
    REAL rate = (REAL)settings[0], rho = (REAL)settings[1], rest = (REAL)(1.0 - settings[1]);
    REAL momentum = (REAL)settings[2], epsilon = (REAL)settings[3], decay = (REAL)(settings[0] * settings[4]);
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL decayed = w[i] - w[i] * decay;
        REAL variance = v[i] = rho * v[i] + rest * (g[i] * g[i]);
        if (has_mean) {
            REAL centre = mean[i] = rho * mean[i] + rest * g[i];
            variance -= centre * centre;
        }
        REAL step = rate * g[i] / ROOT(variance + epsilon);
        if (has_velocity)
            velocity[i] = step = momentum * velocity[i] + step;
        w[i] = decayed - step;
    }
}

static void OF(rmsprop, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_update *job = context;
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size);
    REAL *w = ARRAY(job->w), *g = ARRAY(job->g), *v = ARRAY(job->state[0]);
    REAL *mean = ARRAY(job->state[1]), *velocity = ARRAY(job->state[2]);
    if (mean) {
        EITHER(velocity, OF(rmsprop_loop, KIND)(w, g, v, mean, velocity, n, job->settings, 1, 1),
               OF(rmsprop_loop, KIND)(w, g, v, mean, NULL, n, job->settings, 1, 0));
    } else {
        EITHER(velocity, OF(rmsprop_loop, KIND)(w, g, v, NULL, velocity, n, job->settings, 0, 1),
               OF(rmsprop_loop, KIND)(w, g, v, NULL, NULL, n, job->settings, 0, 0));
    }
}

SHARED void OF(adagrad_loop, KIND)(REAL *restrict w, const REAL *restrict g, REAL *restrict accumulator,
                                   ptrdiff_t n, const double *settings) {
    REAL rate = (REAL)settings[0], epsilon = (REAL)settings[1], decay = (REAL)(settings[0] * settings[2]);
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL decayed = w[i] - w[i] * decay;
        REAL total = accumulator[i] += g[i] * g[i];
        w[i] = decayed - rate * g[i] / ROOT(total + epsilon);
    }
}

static void OF(adagrad, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_update *job = context;
    OF(adagrad_loop, KIND)(ARRAY(job->w), ARRAY(job->g), ARRAY(job->state[0]),
                           elements_of_part(part, job->n, job->part_size), job->settings);
}

INLINE void OF(adam_loop, KIND)(REAL *restrict w, const REAL *restrict g, REAL *restrict m, REAL *restrict v,
                                REAL *restrict vhat, ptrdiff_t n, const double *settings, int has_vhat) {
    REAL alpha = (REAL)(settings[0] * sqrt(1.0 - settings[5]) / (1.0 - settings[4]));
    REAL rest1 = (REAL)(1.0 - settings[1]), rest2 = (REAL)(1.0 - settings[2]), epsilon = (REAL)settings[3];
    REAL decay = (REAL)(settings[0] * settings[6]);
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL decayed = w[i] - w[i] * decay;
        REAL mean = m[i] += rest1 * (g[i] - m[i]);
        REAL variance = v[i] += rest2 * (g[i] * g[i] - v[i]);
        if (has_vhat)
            vhat[i] = variance = vhat[i] > variance ? vhat[i] : variance;
        w[i] = decayed - alpha * mean / (ROOT(variance) + epsilon);
    }
}

static void OF(adam, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_update *job = context;
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size);
    REAL *w = ARRAY(job->w), *g = ARRAY(job->g), *m = ARRAY(job->state[0]), *v = ARRAY(job->state[1]);
    REAL *vhat = ARRAY(job->state[2]);
    EITHER(vhat, OF(adam_loop, KIND)(w, g, m, v, vhat, n, job->settings, 1),
           OF(adam_loop, KIND)(w, g, m, v, NULL, n, job->settings, 0));
}

/* Eight elements wherever they lie. */
typedef REAL OF(eight, KIND) __attribute__((vector_size(8 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* In double: a square of float32 can't overflow there. */
INLINE void OF(add_squares, KIND)(const REAL *x, eight_sums *sums) {
    eight_sums values = __builtin_convertvector(*(const OF(eight, KIND) *)x, eight_sums);
    *sums += values * values;
}

static void OF(squared_norm, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_clip *job = context;
    const REAL *g = ARRAY(job->g);
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size), i = 0;
    eight_sums sums = {0.0};
    for (; i + 8 <= n; i += 8)
        OF(add_squares, KIND)(g + i, &sums);
    for (; i < n; i++)
        sums[0] += (double)g[i] * (double)g[i];
    job->sums[part] = sum_of_eight(&sums);
}

/* As squared_norm, of w, whose gradient is changed in the same pass. */
static void OF(add_ridge, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_clip *job = context;
    const REAL *restrict w = ARRAY(job->w);
    REAL *restrict g = ARRAY(job->g), strength = (REAL)*job->strength;
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size), i = 0;
    eight_sums sums = {0.0};
    for (; i + 8 <= n; i += 8) {
        *(OF(eight, KIND) *)(g + i) += strength * *(const OF(eight, KIND) *)(w + i);
        OF(add_squares, KIND)(w + i, &sums);
    }
    for (; i < n; i++) {
        g[i] += strength * w[i];
        sums[0] += (double)w[i] * (double)w[i];
    }
    job->sums[part] = sum_of_eight(&sums);
}

static void OF(scale_by_norm, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_clip *job = context;
    REAL *g = ARRAY(job->g);
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size);
    double norm = sqrt(*job->squared), factor = norm > job->limit ? job->limit / norm : 1.0;
    REAL scale = isfinite(norm) ? (REAL)factor : (REAL)NAN;
    if (scale == (REAL)1.0)
        return;
    for (ptrdiff_t i = 0; i < n; i++)
        g[i] *= scale;
}

static void OF(clip, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const opt_clip *job = context;
    REAL *g = ARRAY(job->g), limit = (REAL)job->limit;
    ptrdiff_t n = elements_of_part(part, job->n, job->part_size);
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL below = g[i] > limit ? limit : g[i];
        g[i] = below < -limit ? -limit : below;
    }
}

#undef ARRAY
#undef EITHER
