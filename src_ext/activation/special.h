/* expm1, log(1 + e) for 0 <= e <= 1, the normal distribution and selections, for REAL of KIND: a template.
 *
 * Polynomials are interpolated at Chebyshev's nodes in 60 digits; the relative error of each stands beside
 * it.
 */
#ifndef FASTML_SPECIAL_H
#define FASTML_SPECIAL_H

/* expm1 is -1 below, to the last place. */
#define EXPM1_LOWEST_f32 (-20.0f)
#define EXPM1_LOWEST_f64 (-40.0)

/* atanh(s) / s by powers of s^2 <= 1/9: 4.1e-9. */
static const float ATANH_f32[] = {0.140788892f, 0.139825789f, 0.200122976f, 0.333331608f, 1.0f};
/* The same: 4.7e-17. */
static const double ATANH_f64[] = {
    0.088903819130566514, 0.049403945243823931,
    0.067956527427899469, 0.076818381244458171,
    0.090914299002369555, 0.11111095430673142,
    0.1428571455582858,   0.199999999976438,
    0.33333333333341287,  1.0,
};

/* (t + K) e^(t^2) erfc(t) by powers of (t - K) / (t + K), a variable of J. Schonfelder, "Chebyshev Expansions
   for the Error and Related Functions", Mathematics of Computation 32, 1978: 2.3e-8 up to t = 11 with K
   = 2.5. */
#define ERFC_CENTRE_f32 2.5f
static const float ERFC_f32[] = {
    0.000155959425f, 0.000647432101f, -0.000536070054f, -0.004822424f, 0.00842344615f,
    0.0283664755f,   -0.171254741f,   0.453913559f,     -0.804651729f, 1.05403183f,
};
/* The same: 5.9e-18 up to t = 28 with K = 4. */
#define ERFC_CENTRE_f64 4.0
static const double ERFC_f64[] = {
    9.0845417712139067e-10,  -6.3690374625306793e-10, -1.5213206819950385e-8, 3.3863100022513686e-9,
    1.2397022621920957e-7,   -7.9000300073247831e-8,  -8.4629150172521103e-7, 1.4268525380407012e-6,
    4.6946199765833127e-6,   -1.8862135071311392e-5,  -3.635296646587849e-6,  0.00017681319046764807,
    -0.00045505264556396543, -0.00028095893558087195, 0.0061120556492774556,  -0.026370053332303208,
    0.076381514909877719,    -0.17401093724044453,    0.33085158787798812,    -0.54085383131322007,
    0.77320870226523746,     -0.97654872908088213,    1.0959956610004911,
};

#endif

#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define CONSTANT(name) OF(name, KIND)
#define N_LANES OF(LANES, KIND)
#define N_COEFFICIENTS(series) ((int)(sizeof(series) / sizeof(series)[0]))

INLINE VEC OF(all, KIND)(REAL x) { return (VEC){0} + x; }

/* Lanes of `yes` where the comparison holds, of `no` elsewhere. */
INLINE VEC OF(choose, KIND)(BITS where, VEC yes, VEC no) {
    return (VEC)((where & (BITS)yes) | (~where & (BITS)no));
}

INLINE VEC OF(magnitude, KIND)(VEC x) {
    const BITS sign = (BITS)(-(VEC){0});
    return (VEC)((BITS)x & ~sign);
}

INLINE VEC OF(clamp, KIND)(VEC x, REAL low, REAL high) {
    return OF(at_least, KIND)(OF(all, KIND)(low), OF(at_most, KIND)(OF(all, KIND)(high), x));
}

/* e^x - 1 for x <= 0; no digit is lost near 0. */
INLINE VEC OF(expm1, KIND)(VEC x) {
    VEC n, r = OF(exp_reduced, KIND)(OF(at_least, KIND)(OF(all, KIND)(CONSTANT(EXPM1_LOWEST)), x), &n);
    VEC less_one = (r * r) * CONSTANT(exp_series)(r) + r;
    VEC scale = OF(power_of_two, KIND)(n);
    return scale * less_one + (scale - (REAL)1.0);
}

/* 1 / (1 + e^-x). */
INLINE VEC OF(sigmoid, KIND)(VEC x) { return (REAL)1.0 / ((REAL)1.0 + OF(exp, KIND)(-x)); }

/* log(1 + e) = 2 atanh(e / (2 + e)). */
INLINE VEC OF(log1p, KIND)(VEC e) {
    VEC s = e / (e + (REAL)2.0), square = s * s;
    VEC series = OF(all, KIND)(CONSTANT(ATANH)[0]);
    for (int i = 1; i < N_COEFFICIENTS(CONSTANT(ATANH)); i++)
        series = series * square + CONSTANT(ATANH)[i];
    return (s + s) * series;
}

/* log(1 + e^x). */
INLINE VEC OF(softplus, KIND)(VEC x) {
    VEC e = OF(exp, KIND)(-OF(magnitude, KIND)(x));
    return OF(at_least, KIND)((VEC){0}, x) + OF(log1p, KIND)(e);
}

/* The distribution function of the normal distribution, and e^(-x^2 / 2). */
INLINE VEC OF(normal, KIND)(VEC x, VEC *bell) {
    VEC t = OF(magnitude, KIND)(x) * (REAL)0.70710678118654752;
    VEC inverse = (REAL)1.0 / (t + CONSTANT(ERFC_CENTRE));
    VEC u = (REAL)1.0 - (REAL)2.0 * CONSTANT(ERFC_CENTRE) * inverse;
    VEC series = OF(all, KIND)(CONSTANT(ERFC)[0]);
    for (int i = 1; i < N_COEFFICIENTS(CONSTANT(ERFC)); i++)
        series = series * u + CONSTANT(ERFC)[i];
    *bell = OF(exp, KIND)((REAL)-0.5 * x * x);
    VEC tail = (REAL)0.5 * *bell * (series * inverse);
    return OF(choose, KIND)(x > (REAL)0.0, (REAL)1.0 - tail, tail);
}

#undef N_COEFFICIENTS
