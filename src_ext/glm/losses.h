/* Losses of one column, and their first two derivatives by the margin, of as many rows as a vector has lanes;
 * for REAL of KIND: a template. `loss` is a compile-time constant wherever these are used: every switch folds
 * away.
 */
#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define SELECT OF(select, KIND)

INLINE VEC OF(positive_part, KIND)(VEC x) { return OF(at_least, KIND)((VEC){0}, x); }

/* Of both signs of `like`; NaN is no matter. */
INLINE VEC OF(with_sign, KIND)(VEC x, VEC like) { return SELECT(like < 0, -x, x); }

INLINE VEC OF(magnitude, KIND)(VEC x) { return OF(at_least, KIND)(-x, x); }

/* The user's function of each lane. */
INLINE VEC OF(each_lane, KIND)(double (*function)(double, double), VEC y, VEC z) {
    VEC result;
    for (int i = 0; i < OF(LANES, KIND); i++)
        result[i] = (REAL)function((double)y[i], (double)z[i]);
    return result;
}

INLINE VEC OF(loss, KIND)(const glm_job *job, const int loss, VEC y, VEC z, VEC *slope) {
    const REAL epsilon = (REAL)job->epsilon;
    const VEC zero = {0};
    VEC yz = y * z, residual = z - y, distance = OF(magnitude, KIND)(residual);
    VEC slack = OF(positive_part, KIND)((REAL)1.0 - yz);
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        *slope = residual;
        return (REAL)0.5 * residual * residual;
    case LOSS_HUBER: {
        BITS near = distance <= epsilon;
        *slope = SELECT(near, residual, OF(with_sign, KIND)(zero + epsilon, residual));
        return SELECT(near, (REAL)0.5 * residual * residual, epsilon * (distance - (REAL)0.5 * epsilon));
    }
    case LOSS_SQUARED_EPSILON_INSENSITIVE: {
        VEC excess = OF(positive_part, KIND)(distance - epsilon);
        *slope = OF(with_sign, KIND)((REAL)2.0 * excess, residual);
        return excess * excess;
    }
    case LOSS_POISSON: {
        VEC mean = OF(exp, KIND)(z);
        *slope = mean - y;
        return mean - yz;
    }
    case LOSS_LOG: {
        VEC e = OF(exp, KIND)(-OF(magnitude, KIND)(yz));
        *slope = -y * SELECT(yz < 0, zero + (REAL)1.0, e) / ((REAL)1.0 + e);
        return OF(log1p_unit, KIND)(e) + OF(positive_part, KIND)(-yz);
    }
    case LOSS_SQUARED_HINGE:
        *slope = (REAL)-2.0 * y * slack;
        return slack * slack;
    case LOSS_MODIFIED_HUBER: {
        BITS curved = yz >= (REAL)-1.0;
        *slope = y * SELECT(curved, (REAL)-2.0 * slack, zero - (REAL)4.0);
        return SELECT(curved, slack * slack, (REAL)-4.0 * yz);
    }
    default:
        *slope = OF(each_lane, KIND)(job->custom_derivative, y, z);
        return OF(each_lane, KIND)(job->custom_value, y, z);
    }
}

INLINE VEC OF(curvature, KIND)(const glm_job *job, const int loss, VEC y, VEC z) {
    const VEC zero = {0}, one = zero + (REAL)1.0, two = zero + (REAL)2.0;
    VEC yz = y * z, distance = OF(magnitude, KIND)(z - y);
    switch (loss) {
    case LOSS_SQUARED_ERROR:
        return one;
    case LOSS_HUBER:
        return SELECT(distance <= (REAL)job->epsilon, one, zero);
    case LOSS_SQUARED_EPSILON_INSENSITIVE:
        return SELECT(distance > (REAL)job->epsilon, two, zero);
    case LOSS_POISSON:
        return OF(exp, KIND)(z);
    case LOSS_LOG: {
        VEC e = OF(exp, KIND)(-OF(magnitude, KIND)(z)), sum = (REAL)1.0 + e;
        return e / (sum * sum);
    }
    case LOSS_SQUARED_HINGE:
        return SELECT(yz < (REAL)1.0, two, zero);
    case LOSS_MODIFIED_HUBER:
        return SELECT((yz < (REAL)1.0) & (yz >= (REAL)-1.0), two, zero);
    default:
        return OF(each_lane, KIND)(job->custom_second_derivative, y, z);
    }
}

#undef VEC
#undef BITS
#undef SELECT
