/* The elementwise activations and their derivatives, of a vector of REAL of KIND: a template. Of the inputs
 * of a derivative, x and what the forward step gave, it uses whichever is cheaper. p: the parameters, in
 * Keras' order.
 */

#define FORMULA(name, expression)                                                                            \
    INLINE VEC OF(name##_value, KIND)(VEC x, const REAL *p) {                                                \
        (void)p;                                                                                             \
        return (expression);                                                                                 \
    }
#define DERIVATIVE(name, expression)                                                                         \
    INLINE VEC OF(name##_derivative, KIND)(VEC x, VEC out, const REAL *p) {                                  \
        (void)x;                                                                                             \
        (void)out;                                                                                           \
        (void)p;                                                                                             \
        return (expression);                                                                                 \
    }

#define CHOOSE OF(choose, KIND)
#define ALL OF(all, KIND)
#define AT_LEAST OF(at_least, KIND)
#define AT_MOST OF(at_most, KIND)
#define CLAMP OF(clamp, KIND)
#define MAGNITUDE OF(magnitude, KIND)
#define EXP OF(exp, KIND)
#define TANH OF(tanh, KIND)
#define SIGMOID OF(sigmoid, KIND)
#define ZERO ((VEC){0})
#define ONE ALL((REAL)1.0)
#define NEGATIVE_PART AT_MOST(ZERO, x)

#define SELU_ALPHA ((REAL)1.6732632423543772)
#define SELU_SCALE ((REAL)1.0507009873554805)
#define GELU_CUBIC ((REAL)0.044715)
#define ROOT_2_OVER_PI ((REAL)0.79788456080286536)
#define INVERSE_ROOT_2_PI ((REAL)0.39894228040143268)

FORMULA(celu, AT_LEAST(ZERO, x) + p[0] * OF(expm1, KIND)(NEGATIVE_PART / p[0]))
DERIVATIVE(celu, EXP(NEGATIVE_PART / p[0]))

FORMULA(elu, CHOOSE(x > 0, x, p[0] * OF(expm1, KIND)(NEGATIVE_PART)))
DERIVATIVE(elu, CHOOSE(x > 0, ONE, p[0] * EXP(NEGATIVE_PART)))

FORMULA(exponential, EXP(x))
DERIVATIVE(exponential, out)

INLINE VEC OF(gelu_value, KIND)(VEC x, const REAL *p) {
    VEC bell;
    (void)p;
    return x * OF(normal, KIND)(x, &bell);
}
INLINE VEC OF(gelu_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC bell, below = OF(normal, KIND)(x, &bell);
    (void)out;
    (void)p;
    return below + x * bell * INVERSE_ROOT_2_PI;
}

#define GELU_INNER TANH(ROOT_2_OVER_PI *(x + GELU_CUBIC * x * x * x))
FORMULA(gelu_approximate, (REAL)0.5 * x * ((REAL)1.0 + GELU_INNER))
INLINE VEC OF(gelu_approximate_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC inner = GELU_INNER, slope = ROOT_2_OVER_PI * ((REAL)1.0 + (REAL)3.0 * GELU_CUBIC * x * x);
    (void)out;
    (void)p;
    return (REAL)0.5 * ((REAL)1.0 + inner) + (REAL)0.5 * x * ((REAL)1.0 - inner * inner) * slope;
}

FORMULA(hard_shrink, CHOOSE(MAGNITUDE(x) <= p[0], ZERO, x))
DERIVATIVE(hard_shrink, CHOOSE(MAGNITUDE(x) > p[0], ONE, ZERO))

#define HARD_SIGMOID CLAMP((x + (REAL)3.0) / (REAL)6.0, (REAL)0.0, (REAL)1.0)
FORMULA(hard_sigmoid, HARD_SIGMOID)
DERIVATIVE(hard_sigmoid, CHOOSE(MAGNITUDE(x) < (REAL)3.0, ALL((REAL)1.0 / (REAL)6.0), ZERO))

FORMULA(hard_silu, x *HARD_SIGMOID)
DERIVATIVE(hard_silu, CHOOSE(MAGNITUDE(x) < (REAL)3.0, ((REAL)2.0 * x + (REAL)3.0) / (REAL)6.0,
                             CHOOSE(x >= (REAL)3.0, ONE, ZERO)))

FORMULA(hard_tanh, CLAMP(x, (REAL)-1.0, (REAL)1.0))
DERIVATIVE(hard_tanh, CHOOSE(MAGNITUDE(x) <= (REAL)1.0, ONE, ZERO))

FORMULA(leaky_relu, CHOOSE(x > 0, x, p[0] * x))
DERIVATIVE(leaky_relu, CHOOSE(x > 0, ONE, ALL(p[0])))

FORMULA(linear, x)
DERIVATIVE(linear, ONE)

FORMULA(log_sigmoid, -OF(softplus, KIND)(-x))
DERIVATIVE(log_sigmoid, SIGMOID(-x))

/* tanh(log(1 + e^x)) by e^-|x|, which can't overflow. */
INLINE VEC OF(mish_factor, KIND)(VEC x) {
    VEC e = EXP(-MAGNITUDE(x));
    VEC positive = e + e + (REAL)1.0, negative = e * (e + (REAL)2.0);
    VEC above = CHOOSE(x > 0, positive, negative);
    return above / (above + CHOOSE(x > 0, (REAL)2.0 * e * e, ALL((REAL)2.0)));
}
FORMULA(mish, x *OF(mish_factor, KIND)(x))
INLINE VEC OF(mish_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC inner = OF(mish_factor, KIND)(x);
    (void)out;
    (void)p;
    return inner + x * ((REAL)1.0 - inner * inner) * SIGMOID(x);
}

/* p: negative_slope, max_value, threshold. Without a slope it is 0 below, not -0 nor 0 times -inf; without a
   largest value infinity rises, too: conditions on p alone, which loops decide once. The derivative is of
   what the forward step gave: x may be gone. */
#define RELU_BELOW CHOOSE(ALL(p[0]) > 0, p[0] * (x - p[2]), ZERO)
#define RELU_AT_LARGEST ALL(p[1] < (REAL)INFINITY ? (REAL)0.0 : (REAL)1.0)
FORMULA(relu, CHOOSE(x <= p[2], RELU_BELOW, AT_MOST(ALL(p[1]), x)))
DERIVATIVE(relu, CHOOSE(out > 0, CHOOSE(out < p[1], ONE, RELU_AT_LARGEST), ALL(p[0])))

FORMULA(selu, CHOOSE(x > 0, SELU_SCALE *x, SELU_SCALE * SELU_ALPHA * OF(expm1, KIND)(NEGATIVE_PART)))
DERIVATIVE(selu, CHOOSE(x >= 0, ALL(SELU_SCALE), SELU_SCALE * SELU_ALPHA * EXP(NEGATIVE_PART)))

FORMULA(sigmoid, SIGMOID(x))
DERIVATIVE(sigmoid, out *((REAL)1.0 - out))

FORMULA(silu, x *SIGMOID(x))
INLINE VEC OF(silu_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC s = SIGMOID(x);
    (void)out;
    (void)p;
    return s * ((REAL)1.0 + x * ((REAL)1.0 - s));
}

FORMULA(soft_shrink, CHOOSE(MAGNITUDE(x) <= p[0], ZERO, CHOOSE(x > 0, x - p[0], x + p[0])))
DERIVATIVE(soft_shrink, CHOOSE(MAGNITUDE(x) > p[0], ONE, ZERO))

FORMULA(softplus, OF(softplus, KIND)(x))
DERIVATIVE(softplus, SIGMOID(x))

FORMULA(softsign, x / ((REAL)1.0 + MAGNITUDE(x)))
INLINE VEC OF(softsign_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC root = (REAL)1.0 / ((REAL)1.0 + MAGNITUDE(x));
    (void)out;
    (void)p;
    return root * root;
}

INLINE VEC OF(sparse_plus_value, KIND)(VEC x, const REAL *p) {
    VEC shifted = x + (REAL)1.0;
    (void)p;
    return CHOOSE(x <= (REAL)-1.0, ZERO, CHOOSE(x < (REAL)1.0, (REAL)0.25 * shifted * shifted, x));
}
#define RAMP CLAMP((REAL)0.5 * (x + (REAL)1.0), (REAL)0.0, (REAL)1.0)
DERIVATIVE(sparse_plus, RAMP)

FORMULA(sparse_sigmoid, RAMP)
DERIVATIVE(sparse_sigmoid, CHOOSE(MAGNITUDE(x) < (REAL)1.0, ALL((REAL)0.5), ZERO))

INLINE VEC OF(root, KIND)(VEC x) {
    for (int i = 0; i < N_LANES; i++)
        x[i] = _Generic(x[0], float: sqrtf, double: sqrt)(x[i]);
    return x;
}
/* sqrt(x^2 + b), where x^2 is beyond the range of numbers, too. */
INLINE VEC OF(squareplus_root, KIND)(VEC x, REAL b) {
    VEC square = x * x, size = MAGNITUDE(x);
    return CHOOSE(size > (REAL)1.0, size * OF(root, KIND)((REAL)1.0 + b / square),
                  OF(root, KIND)(square + b));
}
/* (x + root) / 2, so written that no digits cancel below 0. */
INLINE VEC OF(squareplus_value, KIND)(VEC x, const REAL *p) {
    VEC root = OF(squareplus_root, KIND)(x, p[0]);
    return CHOOSE(x >= 0, (REAL)0.5 * (x + root), (REAL)0.5 * p[0] / (root - x));
}
DERIVATIVE(squareplus, (REAL)0.5 * ((REAL)1.0 + x / OF(squareplus_root, KIND)(x, p[0])))

FORMULA(tanh, TANH(x))
DERIVATIVE(tanh, (REAL)1.0 - out * out)

FORMULA(tanh_shrink, x - TANH(x))
INLINE VEC OF(tanh_shrink_derivative, KIND)(VEC x, VEC out, const REAL *p) {
    VEC t = TANH(x);
    (void)out;
    (void)p;
    return t * t;
}

FORMULA(threshold, CHOOSE(x <= p[0], ALL(p[1]), x))
DERIVATIVE(threshold, CHOOSE(x > p[0], ONE, ZERO))

#undef FORMULA
#undef DERIVATIVE
