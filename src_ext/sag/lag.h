/* Steps that a weight has yet to take. While a feature is in no drawn row, its gradient sum stands still and
 * its weight takes the same step again and again; only when the feature comes up are they made good, all at
 * once (Schmidt et al., section 4.1, "just-in-time updates").
 *
 * Without l1 penalty, w = scale v, and v has lost `applied` times the gradient sum. With it, k steps
 * w <- S(shrink w - shared sum, bound), S the soft threshold, have a closed form: away from zero each is an
 * affine map, and zero is crossed once at most.
 */
#ifndef FASTML_SAG_LAG_H
#define FASTML_SAG_LAG_H

#include <math.h>

#include "gradient.h"

/* Of k steps, shrink^k and the sum of shrink^i, i < k: from a table, mostly. */
enum { LAGS = 256 };

typedef struct {
    double now;   /* with l1: steps taken; without: the sum of shared / scale over them */
    double scale; /* without l1 */
    sag_step step;
    double power[LAGS], sum[LAGS];
} sag_lag;

SHARED void begin_lag(sag_lag *lag, const sag_record *record) {
    lag->now = 0.0;
    lag->scale = 1.0;
    lag->step = step_factors(record);
    if (record->beta == 0.0)
        return;
    double power = 1.0, sum = 0.0;
    for (int k = 0; k < LAGS; k++) {
        lag->power[k] = power;
        lag->sum[k] = sum;
        sum += power;
        power *= lag->step.shrink;
    }
}

INLINE double lag_power(const sag_lag *lag, double k) {
    return k < LAGS ? lag->power[(int)k] : exp(k * log(lag->step.shrink));
}

INLINE double lag_sum(const sag_lag *lag, double k) {
    if (k < LAGS)
        return lag->sum[(int)k];
    double decay = log(lag->step.shrink);
    return decay == 0.0 ? k : expm1(k * decay) / expm1(decay);
}

/* |w| = size comes to zero within k steps and goes on beyond it, as drift > bound: where does it arrive on
   the other side? m steps stay on this one, the next crosses. */
SHARED double lag_beyond_zero(const sag_lag *lag, double size, double drift, double k) {
    const double shrink = lag->step.shrink, bound = lag->step.bound;
    double each = drift + bound, m;
    if (shrink == 1.0)
        m = ceil(size / each) - 1.0;
    else
        m = ceil(log1p(size * (1.0 - shrink) / each) / -log(shrink)) - 1.0;
    m = m > k - 1.0 ? k - 1.0 : m > 0.0 ? m : 0.0;
    double before = lag_power(lag, m) * size - each * lag_sum(lag, m);
    double crossed = drift - shrink * before - bound;
    crossed = crossed > 0.0 ? crossed : 0.0;
    double left = k - 1.0 - m;
    return -(lag_power(lag, left) * crossed + (drift - bound) * lag_sum(lag, left));
}

/* w after k steps with a gradient sum that stands still. */
INLINE double lag_prox(const sag_lag *lag, double w, double gradient_sum, double k) {
    const double bound = lag->step.bound;
    double drift = lag->step.shared * gradient_sum;
    double sign = copysign(1.0, w == 0.0 ? -drift : w), size = fabs(w);
    drift *= sign;
    double moved = lag_power(lag, k) * size - (drift + bound) * lag_sum(lag, k);
    if (__builtin_expect(moved < 0.0 && drift > bound, 0))
        moved = lag_beyond_zero(lag, size, drift, k);
    else
        moved = moved < 0.0 ? 0.0 : moved;
    return sign * moved;
}

#if defined(__AVX512F__)
/* The columns of a model from k on that a vector takes. */
INLINE __mmask8 columns_from(ptrdiff_t k, ptrdiff_t K) {
    return K - k >= LANES_f64 ? 0xFF : (__mmask8)((1u << (K - k)) - 1);
}

INLINE __m512i wide_columns_int32_t(const int32_t *columns, __mmask8 present) {
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(present, columns));
}
INLINE __m512i wide_columns_int64_t(const int64_t *columns, __mmask8 present) {
    return _mm512_maskz_loadu_epi64(present, columns);
}

/* lag_prox of eight features with records of four doubles; a lane that is not present gives 0. */
INLINE vec_f64 lag_prox_wide(const sag_lag *lag, const double *columns, __m512i column, __mmask8 present,
                             double *sums) {
    const vec_f64 zero = {0};
    const bits_f64 sign_bit = (bits_f64){0} + INT64_MIN;
    __m512i offset = _mm512_slli_epi64(column, 2);
    vec_f64 w = (vec_f64)_mm512_mask_i64gather_pd((__m512d)zero, present, offset, columns, 8);
    vec_f64 sum = (vec_f64)_mm512_mask_i64gather_pd((__m512d)zero, present, offset, columns + 1, 8);
    vec_f64 last =
        (vec_f64)_mm512_mask_i64gather_pd((__m512d)(zero + lag->now), present, offset, columns + 2, 8);
    _mm512_storeu_pd(sums, (__m512d)sum);
    vec_f64 k = lag->now - last, drift = lag->step.shared * sum;
    vec_f64 power = zero + 1.0, steps = k;
    if (lag->step.shrink < 1.0) {
        __m512i place = _mm512_cvttpd_epi64((__m512d)at_most_f64(zero + (double)(LAGS - 1), k));
        power = (vec_f64)_mm512_i64gather_pd(place, lag->power, 8);
        steps = (vec_f64)_mm512_i64gather_pd(place, lag->sum, 8);
    }
    bits_f64 is_zero = w == zero;
    bits_f64 sign = ((is_zero & (bits_f64)(-drift)) | (bits_f64)w) & sign_bit;
    vec_f64 size = (vec_f64)((bits_f64)w & ~sign_bit);
    drift = (vec_f64)((bits_f64)drift ^ sign);
    vec_f64 moved = power * size - (drift + lag->step.bound) * steps;
    bits_f64 rare = (moved < zero) & (drift > lag->step.bound);
    if (lag->step.shrink < 1.0)
        rare |= k >= (double)LAGS;
    moved = (vec_f64)((bits_f64)at_least_f64(zero, moved) | sign);
    if (__builtin_expect(_mm512_test_epi64_mask((__m512i)rare, (__m512i)rare), 0))
        for (int lane = 0; lane < LANES_f64; lane++)
            if (rare[lane])
                moved[lane] = lag_prox(lag, w[lane], sum[lane], k[lane]);
    return moved;
}
#endif

/* The weight, up to the scale, with all steps up to now. `last` is lag->now when the feature last came up. */
INLINE double catch_up(const sag_lag *lag, double w, double gradient_sum, double last, const bool prox) {
    return prox ? lag_prox(lag, w, gradient_sum, lag->now - last) : w - gradient_sum * (lag->now - last);
}

#endif
