/* exp, tanh and whole powers of every lane, for REAL of KIND: a template, included once per element type.
 *
 * exp(x) = 2^n e^r with n = round(x / ln 2) and |r| <= ln(2) / 2, the reduction by a two-part ln 2 (W. Cody,
 * W. Waite, "Software Manual for the Elementary Functions", 1980, ch. 6) and e^r = 1 + r + r^2 q(r), q
 * interpolated at Chebyshev's nodes in 60 digits: relative error 1.0e-8 (0.17 units of float32) with 5
 * coefficients, 1.5e-17 (0.14 units of float64) with 10. Measured beside NumPy's longdouble over the whole
 * range: exp is at most 1.06 units in the last place off in either type at every instruction-set level,
 * denormal results included; tanh at most 2.6.
 */
#ifndef FASTML_EXP_H
#define FASTML_EXP_H

/* exp is 0 below the first of each pair and inf above the second. */
#define EXP_LOWEST_f32 (-104.0f)
#define EXP_HIGHEST_f32 89.0f
#define EXP_LOWEST_f64 (-746.0)
#define EXP_HIGHEST_f64 710.0
/* 2^-x is 0 from there on. */
#define POWER_LIMIT_f32 151.0f
#define POWER_LIMIT_f64 1076.0
/* tanh is 1 above, to the last place. */
#define TANH_HIGHEST_f32 10.0f
#define TANH_HIGHEST_f64 20.0

/* ln 2 in two parts, the first with so few digits that n times it is exact; its inverse. */
#define LN2_HIGH_f32 0.693359375f
#define LN2_LOW_f32 (-2.12194440054690583e-4f)
#define LN2_HIGH_f64 6.93147180369123816490e-01
#define LN2_LOW_f64 1.90821492927058770002e-10
#define LOG2_E_f32 1.44269504088896341f
#define LOG2_E_f64 1.44269504088896341

/* Added to a number below 2^22 (2^51), it leaves that number, rounded, in the low bits of the sum. */
#define ROUNDER_f32 12582912.0f
#define ROUNDER_f64 6755399441055744.0
#define EXPONENT_BIAS_f32 127.0f
#define EXPONENT_BIAS_f64 1023.0
#define FRACTION_BITS_f32 23
#define FRACTION_BITS_f64 52

INLINE vec_f32 exp_series_f32(vec_f32 r) {
    vec_f32 q = 0.0013926183587713494f * r + 0.0083631790527225781f;
    q = q * r + 0.041666554617204574f;
    q = q * r + 0.16666576989698775f;
    return q * r + 0.5f;
}

INLINE vec_f64 exp_series_f64(vec_f64 r) {
    vec_f64 q = 2.510038549551032e-08 * r + 2.7620088445409746e-07;
    q = q * r + 2.7557268459997064e-06;
    q = q * r + 2.4801521295954376e-05;
    q = q * r + 0.00019841269863053618;
    q = q * r + 0.0013888888917213717;
    q = q * r + 0.0083333333333300615;
    q = q * r + 0.041666666666624129;
    q = q * r + 0.16666666666666669;
    return q * r + 0.50000000000000011;
}

/* 2^r, by the same series: its coefficients times powers of ln 2. */
INLINE vec_f32 power_series_f32(vec_f32 r) {
    vec_f32 q = 0.000154448922f * r + 0.00133813121f;
    q = q * r + 0.00961810324f;
    q = q * r + 0.05550381f;
    q = q * r + 0.240226507f;
    q = q * r + 0.693147181f;
    return q * r + 1.0f;
}

INLINE vec_f64 power_series_f64(vec_f64 r) {
    vec_f64 q = 4.4541051252934162e-10 * r + 7.0709810833657675e-09;
    q = q * r + 1.0178067259946989e-07;
    q = q * r + 1.3215451619146607e-06;
    q = q * r + 1.5252733820805852e-05;
    q = q * r + 0.0001540353042479538;
    q = q * r + 0.0013333558146423209;
    q = q * r + 0.0096181291076186583;
    q = q * r + 0.05550410866482159;
    q = q * r + 0.24022650695910078;
    q = q * r + 0.69314718055994529;
    return q * r + 1.0;
}

#endif

#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define CONSTANT(name) OF(name, KIND)

/* 2^n for whole n in the range of normal numbers. */
INLINE VEC OF(power_of_two, KIND)(VEC n) {
    VEC biased = n + (CONSTANT(ROUNDER) + CONSTANT(EXPONENT_BIAS));
    return (VEC)((BITS)biased << CONSTANT(FRACTION_BITS));
}

/* x 2^n for whole n; beyond the normal numbers too, rounded once. */
INLINE VEC OF(times_power_of_two, KIND)(VEC x, VEC n) {
#if defined(__AVX512F__)
    return _Generic(x,
        vec_f32: (VEC)_mm512_scalef_ps((__m512)x, (__m512)n),
        vec_f64: (VEC)_mm512_scalef_pd((__m512d)x, (__m512d)n));
#else
    VEC half = (n * (REAL)0.5 + CONSTANT(ROUNDER)) - CONSTANT(ROUNDER);
    return x * OF(power_of_two, KIND)(half) * OF(power_of_two, KIND)(n - half);
#endif
}

/* n and r of the reduction. */
INLINE VEC OF(exp_reduced, KIND)(VEC x, VEC *n) {
    VEC rounded = x * CONSTANT(LOG2_E) + CONSTANT(ROUNDER);
    *n = rounded - CONSTANT(ROUNDER);
    return (x - *n * CONSTANT(LN2_HIGH)) - *n * CONSTANT(LN2_LOW);
}

INLINE VEC OF(exp, KIND)(VEC x) {
    const VEC zero = {0};
    VEC n;
    x = OF(at_least, KIND)(CONSTANT(EXP_LOWEST) + zero, OF(at_most, KIND)(CONSTANT(EXP_HIGHEST) + zero, x));
    VEC r = OF(exp_reduced, KIND)(x, &n);
    VEC less_one = (r * r) * CONSTANT(exp_series)(r) + r;
    return OF(times_power_of_two, KIND)(less_one + (REAL)1.0, n);
}

/* exp(-gamma x) for x >= 0, gamma >= 0, given rate = gamma log2(e) and limit = POWER_LIMIT / rate. Four
   operations of exp's eighteen fewer: what is left of the whole power of two comes from the product itself,
   unrounded where there is a fused multiply-add, and exactly 1 for x = 0. */
INLINE VEC OF(exp_decay, KIND)(VEC x, REAL rate, REAL limit) {
    const VEC zero = {0};
    x = OF(at_most, KIND)(limit + zero, x);
    VEC n = OF(multiply_add_lanes, KIND)(zero - rate, x, CONSTANT(ROUNDER) + zero) - CONSTANT(ROUNDER);
    VEC r = OF(multiply_add_lanes, KIND)(zero - rate, x, -n);
    return OF(times_power_of_two, KIND)(CONSTANT(power_series)(r), n);
}

/* By expm1(2|x|) = e, as e / (e + 2): no digit is lost near 0. */
INLINE VEC OF(tanh, KIND)(VEC x) {
    const VEC zero = {0};
    const BITS sign = (BITS)(zero - (REAL)0.0) | (BITS)(-(zero + (REAL)0.0));
    VEC magnitude = (VEC)((BITS)x & ~sign), n;
    VEC doubled = OF(at_most, KIND)((REAL)2.0 * CONSTANT(TANH_HIGHEST) + zero, magnitude + magnitude);
    VEC r = OF(exp_reduced, KIND)(doubled, &n);
    VEC less_one = (r * r) * CONSTANT(exp_series)(r) + r;
    VEC scale = OF(power_of_two, KIND)(n);
    VEC e = scale * less_one + (scale - (REAL)1.0);
    return (VEC)((BITS)(e / (e + (REAL)2.0)) | ((BITS)x & sign));
}

/* x^n for n >= 0, by squaring (Knuth, TAOCP 2, 4.6.3, algorithm A). */
INLINE VEC OF(whole_power, KIND)(VEC x, int n) {
    VEC result = (VEC){0} + (REAL)1.0;
    for (; n > 1; n >>= 1) {
        if (n & 1)
            result *= x;
        x *= x;
    }
    return n ? result * x : result;
}

#undef VEC
#undef BITS
#undef CONSTANT
