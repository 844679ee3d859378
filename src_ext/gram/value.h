/* Kernel values from products of rows, for REAL of KIND: a template.
 *
 * rbf takes |a - b|^2 as |a|^2 + |b|^2 - 2 a.b. The norms are the very sums that the product of a row with
 * itself is, so that equal rows give exactly 0, and what rounding leaves below 0 is raised to it: no value
 * exceeds 1. The difference is wrong by some 8 units in the last place of |a|^2 + |b|^2 (dozens to hundreds
 * of features), and the value by gamma times that times the value. Where this is more than RBF_LIMIT allows,
 * 8e-6 for float32 and 1e-10 for float64, and where norms overflow, the value is computed anew in float64
 * from the differences of the rows (refined). That is rare: near neighbours far from all others, which no
 * common shift (dense.h) brings near the origin.
 */
#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_GRAM_VALUE_H
#define FASTML_GRAM_VALUE_H

/* How far off |a - b|^2 may be, of |a|^2 + |b|^2: 8 units in the last place. */
#define RBF_ROUNDING_f32 0x1p-21f
#define RBF_ROUNDING_f64 0x1p-50
/* Of gamma (|a|^2 + |b|^2) times the value. */
#define RBF_LIMIT_f32 16.0
#define RBF_LIMIT_f64 131072.0

/* Whether a value among these may need refining. False for a NaN, then negated: it may. */
INLINE bool gram_is_plain(const gram_job *job, double max_sq_norm_a, double limit) {
    return job->kernel != GRAM_RBF || job->gamma * (max_sq_norm_a + job->b.max_sq_norm) <= limit;
}

#endif

/* kernel, a compile-time constant, of rows with these products and sums of squared norms. */
INLINE VEC OF(value, KIND)(const gram_job *job, const int kernel, VEC products, VEC norms) {
    const VEC zero = {0};
    VEC linear = products * (REAL)job->gamma + (REAL)job->coef0;
    switch (kernel) {
    case GRAM_POLY:
        return OF(whole_power, KIND)(linear, job->degree);
    case GRAM_SIGMOID:
        return OF(tanh, KIND)(linear);
    case GRAM_RBF:
        return OF(exp_decay, KIND)(
            OF(at_least, KIND)(zero, OF(multiply_add_lanes, KIND)(zero - (REAL)2.0, products, norms)),
            (REAL)job->rate, (REAL)(OF(POWER_LIMIT, KIND) / job->rate));
    default:
        return products;
    }
}

/* Which rbf values of rows with these products and norms are to be refined; any_lane tells whether one is.
   What is compared is the largest that the value may be, given how far off the difference may be. */
INLINE BITS OF(to_refine, KIND)(const gram_job *job, VEC products, VEC norms) {
    const VEC zero = {0};
    VEC scaled = norms * (REAL)job->gamma;
    VEC distances = (REAL)job->gamma * OF(at_least, KIND)(zero, norms - (REAL)2.0 * products);
    VEC largest = OF(exp, KIND)(scaled * OF(RBF_ROUNDING, KIND) - distances);
    return ~(BITS)(largest * scaled <= (REAL)OF(RBF_LIMIT, KIND));
}

INLINE REAL OF(max_of, KIND)(const REAL *values, ptrdiff_t n) {
    REAL largest = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        if (!(values[i] <= largest))
            largest = values[i];
    return largest;
}

#undef VEC
#undef BITS
#undef LANES
