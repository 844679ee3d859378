/* Logistic losses C log(1 + exp(-y m)) of margins m = w.x, in whole vectors: sums, slopes and curvatures.
 *
 * With p = 1 / (1 + exp(y m)), the slope along m is -C y p and the curvature C p (1 - p). signed_cost is C y.
 * exp is taken of -|m| alone, so that nothing overflows and small losses keep their digits.
 */
#ifndef FASTML_LOGISTIC_H
#define FASTML_LOGISTIC_H

#include "vector.h"

#define REAL double
#define KIND f64
#include "exp.h"
#include "log.h"
#undef REAL
#undef KIND

#define SIGN_BIT_f64 INT64_MIN

INLINE vec_f64 magnitude_f64(vec_f64 v) { return (vec_f64)((bits_f64)v & ~((bits_f64){0} + SIGN_BIT_f64)); }

/* y m, y being the sign of `signed_cost`. */
INLINE vec_f64 signed_margin(vec_f64 margin, vec_f64 signed_cost) {
    return (vec_f64)((bits_f64)margin ^ ((bits_f64)signed_cost & ((bits_f64){0} + SIGN_BIT_f64)));
}

/* log(1 + exp(-a)), given e = exp(-|a|); NaN for an a that is none, or infinite. */
INLINE vec_f64 softplus_f64(vec_f64 a, vec_f64 e) {
    const vec_f64 zero = {0};
    return log1p_unit_f64(e) + (select_f64(a < zero, -a, zero) + zero * a);
}

/* The losses' sum; their slopes and curvatures. n is a whole number of vectors. */
SHARED double logistic_terms(const double *margin, const double *signed_cost, double *slope,
                             double *curvature, ptrdiff_t n) {
    vec_f64 sum = {0};
    for (ptrdiff_t i = 0; i < n; i += LANES_f64) {
        vec_f64 signed_c = *(const mem_f64 *)(signed_cost + i), c = magnitude_f64(signed_c);
        vec_f64 a = signed_margin(*(const mem_f64 *)(margin + i), signed_c);
        vec_f64 e = exp_f64(-magnitude_f64(a)), nearer = 1.0 / (1.0 + e), farther = e * nearer;
        sum += c * softplus_f64(a, e);
        *(mem_f64 *)(slope + i) = -signed_c * select_f64(a < 0.0, nearer, farther);
        *(mem_f64 *)(curvature + i) = c * nearer * farther;
    }
    return sum_f64(sum);
}

/* By how much the losses' sum grows where margins move by step times shift: a sum of differences, which a
   difference of sums would lose. */
SHARED double logistic_change(const double *margin, const double *shift, double step,
                              const double *signed_cost, ptrdiff_t n) {
    vec_f64 sum = {0};
    for (ptrdiff_t i = 0; i < n; i += LANES_f64) {
        vec_f64 signed_c = *(const mem_f64 *)(signed_cost + i);
        vec_f64 m = *(const mem_f64 *)(margin + i), moved = m + step * *(const mem_f64 *)(shift + i);
        vec_f64 a = signed_margin(m, signed_c), b = signed_margin(moved, signed_c);
        sum += magnitude_f64(signed_c) *
               (softplus_f64(b, exp_f64(-magnitude_f64(b))) - softplus_f64(a, exp_f64(-magnitude_f64(a))));
    }
    return sum_f64(sum);
}

#endif
