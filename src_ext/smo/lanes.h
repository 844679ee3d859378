/* Vectors for the scans over a block: the best of each lane, and the position that it has it from. */
#ifndef FASTML_SMO_LANES_H
#define FASTML_SMO_LANES_H

#include "vector.h"

/* As many floats as a vector has doubles. */
typedef float half_f32 __attribute__((vector_size(VEC_BYTES / 2)));
typedef float mem_half_f32 __attribute__((vector_size(VEC_BYTES / 2), aligned(4), may_alias));

#if defined(__AVX512F__)
INLINE void keep_less(vec_f64 v, bits_f64 at, vec_f64 *best, bits_f64 *best_at) {
    __mmask8 less = _mm512_cmp_pd_mask((__m512d)v, (__m512d)*best, _CMP_LT_OQ);
    *best = (vec_f64)_mm512_mask_mov_pd((__m512d)*best, less, (__m512d)v);
    *best_at = (bits_f64)_mm512_mask_mov_epi64((__m512i)*best_at, less, (__m512i)at);
}
INLINE void keep_greater(vec_f32 v, bits_f32 at, vec_f32 *best, bits_f32 *best_at) {
    __mmask16 greater = _mm512_cmp_ps_mask((__m512)v, (__m512)*best, _CMP_GT_OQ);
    *best = (vec_f32)_mm512_mask_mov_ps((__m512)*best, greater, (__m512)v);
    *best_at = (bits_f32)_mm512_mask_mov_epi32((__m512i)*best_at, greater, (__m512i)at);
}
/* b^2 / a, to 14 bits of 1 / a: one of two nearly equal partners may win for the other. */
INLINE vec_f32 score_f32(vec_f32 b, vec_f32 a) { return b * b * (vec_f32)_mm512_rcp14_ps((__m512)a); }
INLINE half_f32 narrow(vec_f64 v) { return (half_f32)_mm512_cvtpd_ps((__m512d)v); }
INLINE vec_f64 widen(half_f32 v) { return (vec_f64)_mm512_cvtps_pd((__m256)v); }
#else
INLINE void keep_less(vec_f64 v, bits_f64 at, vec_f64 *best, bits_f64 *best_at) {
    bits_f64 less = v < *best;
    *best = select_f64(less, v, *best);
    *best_at = (less & at) | (~less & *best_at);
}
INLINE void keep_greater(vec_f32 v, bits_f32 at, vec_f32 *best, bits_f32 *best_at) {
    bits_f32 greater = v > *best;
    *best = select_f32(greater, v, *best);
    *best_at = (greater & at) | (~greater & *best_at);
}
INLINE vec_f32 score_f32(vec_f32 b, vec_f32 a) { return b * b / a; }
INLINE half_f32 narrow(vec_f64 v) { return __builtin_convertvector(v, half_f32); }
#if defined(__AVX__)
INLINE vec_f64 widen(half_f32 v) { return (vec_f64)_mm256_cvtps_pd((__m128)v); }
#else
INLINE vec_f64 widen(half_f32 v) { return __builtin_convertvector(v, vec_f64); }
#endif
#endif

/* Through memory, two halves would cost a failed store-to-load forwarding each time. */
INLINE vec_f32 narrow_two(vec_f64 low, vec_f64 high) {
#if defined(__AVX512F__)
    return (vec_f32)_mm512_insertf32x8(_mm512_castps256_ps512((__m256)narrow(low)), (__m256)narrow(high), 1);
#elif defined(__AVX__)
    return (vec_f32)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#elif defined(__SSE2__)
    return (vec_f32)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
#else
    half_f32 halves[2] = {narrow(low), narrow(high)};
    vec_f32 v;
    memcpy(&v, halves, sizeof v);
    return v;
#endif
}

/* LANES_f64 elements of a kernel row, as doubles. */
INLINE vec_f64 strip_f32(const float *p) { return widen((half_f32) * (const mem_half_f32 *)p); }
INLINE vec_f64 strip_f64(const double *p) { return *(const mem_f64 *)p; }

/* Twice as many of d_i + d_j - 2 K_ij, as floats: it decides between partners, the step has it in double. */
INLINE vec_f32 curvatures_f32(double d_i, const float *d, const float *row) {
    return *(const mem_f32 *)d + (float)d_i - 2.0f * *(const mem_f32 *)row;
}
INLINE vec_f32 curvatures_f64(double d_i, const double *d, const double *row) {
    return narrow_two(*(const mem_f64 *)d + d_i - 2.0 * *(const mem_f64 *)row,
                      *(const mem_f64 *)(d + LANES_f64) + d_i - 2.0 * *(const mem_f64 *)(row + LANES_f64));
}

#endif
