/* Rows laid side by side, for REAL of KIND: a template, to be included after transpose.h.
 *
 * What gemm.h multiplies: element k of all rows, then element k + 1. x86 processors shuffle on one port, but
 * load 128 bits into any part of a vector on others. So a square of LANES rows and columns is gathered by
 * such parts, from rows that are LANES / parts apart, and only within parts it needs a transposition: 0.21
 * cycles an element of float32 with AVX-512, 0.52 for a whole transposition by shuffles (measured, in the
 * first-level cache).
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_PACK_H
#define FASTML_PACK_H

#if defined(__AVX512F__)
#define PACK_BY_PARTS 1

INLINE __m512 parts_f32(const float *const *rows, int apart, ptrdiff_t k) {
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(rows[0] + k));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[apart] + k), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[2 * apart] + k), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(rows[3 * apart] + k), 3);
}
INLINE __m512d parts_f64(const double *const *rows, int apart, ptrdiff_t k) {
    __m512d v = _mm512_castpd128_pd512(_mm_loadu_pd(rows[0] + k));
    v = _mm512_insertf64x2(v, _mm_loadu_pd(rows[apart] + k), 1);
    v = _mm512_insertf64x2(v, _mm_loadu_pd(rows[2 * apart] + k), 2);
    return _mm512_insertf64x2(v, _mm_loadu_pd(rows[3 * apart] + k), 3);
}
#define PACK_LOW(a, b) _mm512_unpacklo_pd(a, b)
#define PACK_HIGH(a, b) _mm512_unpackhi_pd(a, b)
#define PACK_LOW_SINGLE(a, b) (__m512d) _mm512_unpacklo_ps(a, b)
#define PACK_HIGH_SINGLE(a, b) (__m512d) _mm512_unpackhi_ps(a, b)
typedef __m512 pack_f32;
typedef __m512d pack_f64;
#elif defined(__AVX__)
#define PACK_BY_PARTS 1

INLINE __m256 parts_f32(const float *const *rows, int apart, ptrdiff_t k) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(rows[0] + k)),
                                _mm_loadu_ps(rows[apart] + k), 1);
}
INLINE __m256d parts_f64(const double *const *rows, int apart, ptrdiff_t k) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(rows[0] + k)),
                                _mm_loadu_pd(rows[apart] + k), 1);
}
#define PACK_LOW(a, b) _mm256_unpacklo_pd(a, b)
#define PACK_HIGH(a, b) _mm256_unpackhi_pd(a, b)
#define PACK_LOW_SINGLE(a, b) (__m256d) _mm256_unpacklo_ps(a, b)
#define PACK_HIGH_SINGLE(a, b) (__m256d) _mm256_unpackhi_ps(a, b)
typedef __m256 pack_f32;
typedef __m256d pack_f64;
#endif

#if defined(PACK_BY_PARTS)
/* The columns k.. of a square, from its rows: 4 of float32, 2 of float64, `width` apart in the panel. */
INLINE void pack_columns_f32(const float *const *rows, ptrdiff_t k, float *panel, ptrdiff_t width) {
    pack_f32 part[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        part[i] = parts_f32(rows + i, 4, k);
    pack_f64 low = PACK_LOW_SINGLE(part[0], part[1]), high = PACK_HIGH_SINGLE(part[0], part[1]);
    pack_f64 low_after = PACK_LOW_SINGLE(part[2], part[3]), high_after = PACK_HIGH_SINGLE(part[2], part[3]);
    *(mem_f32 *)panel = (vec_f32)PACK_LOW(low, low_after);
    *(mem_f32 *)(panel + width) = (vec_f32)PACK_HIGH(low, low_after);
    *(mem_f32 *)(panel + 2 * width) = (vec_f32)PACK_LOW(high, high_after);
    *(mem_f32 *)(panel + 3 * width) = (vec_f32)PACK_HIGH(high, high_after);
}
INLINE void pack_columns_f64(const double *const *rows, ptrdiff_t k, double *panel, ptrdiff_t width) {
    pack_f64 even = parts_f64(rows, 2, k), odd = parts_f64(rows + 1, 2, k);
    *(mem_f64 *)panel = (vec_f64)PACK_LOW(even, odd);
    *(mem_f64 *)(panel + width) = (vec_f64)PACK_HIGH(even, odd);
}
#endif

#endif

/* LANES elements from k of LANES rows. */
INLINE void OF(pack_square, KIND)(const REAL *const *rows, ptrdiff_t k, REAL *panel, ptrdiff_t width) {
#if defined(PACK_BY_PARTS)
    enum { AT_A_TIME = 16 / sizeof(REAL) };
#pragma GCC unroll 4
    for (int j = 0; j < LANES; j += AT_A_TIME)
        OF(pack_columns, KIND)(rows, k + j, panel + j * width, width);
#else
    VEC square[LANES];
    for (int i = 0; i < LANES; i++)
        square[i] = *(const MEM *)(rows[i] + k);
    OF(transpose, KIND)(square);
    for (int j = 0; j < LANES; j++)
        *(MEM *)(panel + j * width) = square[j];
#endif
}

/* n elements of each of `width` rows. rows: a whole number of LANES of them, those beyond the width being any
   that can be read. Writes up to LANES - 1 elements beyond the panel. */
SHARED void OF(pack_rows, KIND)(const REAL *const *rows, ptrdiff_t n, REAL *panel, ptrdiff_t width) {
    ptrdiff_t last = (width - 1) / LANES * LANES, k = 0;
    /* From the last rows to the first: what a whole vector writes beyond the width is then overwritten. */
    for (; k + LANES <= n; k += LANES)
        for (ptrdiff_t r = last; r >= 0; r -= LANES)
            OF(pack_square, KIND)(rows + r, k, panel + k * width + r, width);
    if (k == n)
        return;
    REAL ends[LANES][LANES], square[LANES][LANES];
    const REAL *of_ends[LANES];
    for (ptrdiff_t r = last; r >= 0; r -= LANES) {
        for (ptrdiff_t i = 0; i < LANES; i++) {
            *(MEM *)ends[i] = OF(load_part, KIND)(rows[r + i] + k, n - k);
            of_ends[i] = ends[i];
        }
        OF(pack_square, KIND)(of_ends, 0, square[0], LANES);
        for (ptrdiff_t j = 0; j < n - k; j++)
            *(MEM *)(panel + (k + j) * width + r) = *(const MEM *)square[j];
    }
}

#undef VEC
#undef MEM
#undef LANES
