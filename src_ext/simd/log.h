/* log of every lane, for REAL of KIND: a template, included once per element type.
 *
 * log m = 2 atanh s with s = (m - 1) / (m + 1), for m within sqrt(2) of 1 (W. Cody, W. Waite, "Software
 * Manual for the Elementary Functions", 1980, ch. 5), and atanh s = s + s^3 q(s^2), q interpolated at
 * Chebyshev's nodes in 60 digits: relative error 2.8e-9 (0.05 units of float32) with 3 coefficients, 4.6e-18
 * with 7.
 */
#ifndef FASTML_LOG_H
#define FASTML_LOG_H

#define LN2_f32 0.693147180559945309f
#define LN2_f64 0.693147180559945309
#define SQRT_HALF_BITS_f32 0x3f3504f3
#define SQRT_HALF_BITS_f64 0x3fe6a09e667f3bcdLL
#define MANTISSA_BITS_f32 23
#define MANTISSA_BITS_f64 52

INLINE vec_f32 atanh_series_f32(vec_f32 t) {
    vec_f32 q = 0.14790492964987212f * t + 0.19994378858302422f;
    return q * t + 0.33333342547714534f;
}

INLINE vec_f64 atanh_series_f64(vec_f64 t) {
    vec_f64 q = 0.07308903576708663 * t + 0.07665805861027504;
    q = q * t + 0.09091446216268435;
    q = q * t + 0.11111105544689748;
    q = q * t + 0.14285714313126918;
    q = q * t + 0.19999999999949444;
    return q * t + 0.3333333333333335;
}

#endif

#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define CONSTANT(name) OF(name, KIND)

/* Of positive, finite, normal x. */
INLINE VEC OF(log, KIND)(VEC x) {
    /* x = 2^n m with m in [sqrt(1/2), sqrt(2)). */
    BITS n = ((BITS)x - CONSTANT(SQRT_HALF_BITS)) >> CONSTANT(MANTISSA_BITS);
    VEC m = (VEC)((BITS)x - (n << CONSTANT(MANTISSA_BITS)));
    VEC s = (m - (REAL)1.0) / (m + (REAL)1.0), t = s * s;
    VEC log_m = 2 * s + 2 * s * t * CONSTANT(atanh_series)(t);
    return __builtin_convertvector(n, VEC) * CONSTANT(LN2) + log_m;
}

/* log(1 + e) for e in [0, 1], to the last places of small e too. */
INLINE VEC OF(log1p_unit, KIND)(VEC e) {
    const VEC zero = {0};
    /* 1 + e as it is, or its half: 2 atanh of e / (e + 2) or of (e - 1) / (e + 3). */
    BITS halved = e > (REAL)0.41421356237309503;
    VEC shift = (VEC)((BITS)(zero + (REAL)1.0) & halved);
    VEC s = (e - shift) / (e + (REAL)2.0 + shift), t = s * s;
    return shift * CONSTANT(LN2) + (2 * s + 2 * s * t * CONSTANT(atanh_series)(t));
}

#undef VEC
#undef BITS
#undef CONSTANT
