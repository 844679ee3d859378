/* Which maxima have a gradient, by filter and by position, for REAL of KIND: a template.
 *
 * With AVX-512 sixteen at a time, to lists whose lengths are all different: element by element, with lengths
 * that are read where they were just written, a list took as long as the multiply-adds that it is for.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_CONV_MAXIMA_LISTS_H
#define FASTML_CONV_MAXIMA_LISTS_H

enum { LISTED_FILTERS = 32 }; /* of which a list by position is at most */

#if defined(__AVX512F__)
#define LIST_SIXTEEN 1

/* Of up to sixteen maxima, a bit for each that is above zero and has a gradient. */
INLINE __mmask16 live_f32(const float *dout, const float *out, __mmask16 some) {
    __mmask16 above = _mm512_cmp_ps_mask(_mm512_maskz_loadu_ps(some, out), _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_mask_cmp_ps_mask(above, _mm512_maskz_loadu_ps(some, dout), _mm512_setzero_ps(),
                                   _CMP_NEQ_UQ);
}
INLINE __mmask8 live_8_f64(const double *dout, const double *out, __mmask8 some) {
    __mmask8 above = _mm512_cmp_pd_mask(_mm512_maskz_loadu_pd(some, out), _mm512_setzero_pd(), _CMP_GT_OQ);
    return _mm512_mask_cmp_pd_mask(above, _mm512_maskz_loadu_pd(some, dout), _mm512_setzero_pd(),
                                   _CMP_NEQ_UQ);
}
INLINE __mmask16 live_f64(const double *dout, const double *out, __mmask16 some) {
    return (__mmask16)(live_8_f64(dout, out, (__mmask8)some) |
                       live_8_f64(dout + 8, out + 8, (__mmask8)(some >> 8)) << 8);
}

/* to[places[i]] = from[i] for each bit of `live`. */
INLINE void scatter_f32(float *to, __m512i places, const float *from, __mmask16 live) {
    _mm512_mask_i32scatter_ps(to, live, places, _mm512_maskz_loadu_ps(live, from), 4);
}
INLINE void scatter_f64(double *to, __m512i places, const double *from, __mmask16 live) {
    __mmask8 low = (__mmask8)live, high = (__mmask8)(live >> 8);
    _mm512_mask_i32scatter_pd(to, low, _mm512_castsi512_si256(places), _mm512_maskz_loadu_pd(low, from), 8);
    _mm512_mask_i32scatter_pd(to, high, _mm512_extracti64x4_epi64(places, 1),
                              _mm512_maskz_loadu_pd(high, from + 8), 8);
}

INLINE __mmask16 first_sixteen(ptrdiff_t n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }
#endif

#endif

/* Of each of m filters, its maxima with a gradient are lengthened by those of a window: gradients, and
   places, the window's and the position's in it; `most`: of one filter. A maximum outside of the window has
   none. */
INLINE void OF(list_window, KIND)(ptrdiff_t m, const REAL *dout, const REAL *out, const uint8_t *argmax,
                                  int32_t window, const int32_t *positions, ptrdiff_t n_positions,
                                  ptrdiff_t most, int32_t *counts, REAL *gradients, int32_t *places) {
#if defined(LIST_SIXTEEN)
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i starts = _mm512_mullo_epi32(numbers, _mm512_set1_epi32((int32_t)most));
    for (ptrdiff_t f = 0; f < m; f += 16) {
        __mmask16 some = first_sixteen(m - f), live = OF(live, KIND)(dout + f, out + f, some);
        __m512i count = _mm512_maskz_loadu_epi32(some, counts + f);
        __m512i at = _mm512_add_epi32(starts, count);
        __m128i bytes = _mm_maskz_loadu_epi8(live, argmax + f);
        live = _mm_mask_cmple_epu8_mask(live, bytes, _mm_set1_epi8((char)(n_positions - 1)));
        __m512i position = _mm512_cvtepu8_epi32(bytes);
        __m512i place = _mm512_mask_i32gather_epi32(position, live, position, positions, 4);
        place = _mm512_add_epi32(place, _mm512_set1_epi32(window));
        OF(scatter, KIND)(gradients + f * most, at, dout + f, live);
        _mm512_mask_i32scatter_epi32(places + f * most, live, at, place, 4);
        _mm512_mask_storeu_epi32(counts + f, live, _mm512_add_epi32(count, _mm512_set1_epi32(1)));
    }
#else
    for (ptrdiff_t f = 0; f < m; f++) {
        ptrdiff_t at = f * most + counts[f];
        bool live = out[f] > 0 && dout[f] != 0 && argmax[f] < n_positions;
        gradients[at] = dout[f];
        places[at] = window + positions[live ? argmax[f] : 0];
        counts[f] += live;
    }
#endif
}

/* sums += the gradients of m maxima that are above zero. */
INLINE void OF(add_maxima, KIND)(ptrdiff_t m, const REAL *dout, const REAL *out, REAL *sums) {
    for (ptrdiff_t f = 0; f < m; f += LANES) {
        VEC gradient = OF(load_up_to, KIND)(dout + f, m - f);
        BITS above = OF(load_up_to, KIND)(out + f, m - f) > 0;
        gradient = (VEC)((BITS)gradient & above);
        OF(store_up_to, KIND)(sums + f, OF(load_up_to, KIND)(sums + f, m - f) + gradient, m - f);
    }
}

/* Of a window and up to LISTED_FILTERS filters: the numbers of those whose maximum is at each position and
   has a gradient; a list has room for all. */
SHARED void OF(list_by_position, KIND)(ptrdiff_t n_filters, ptrdiff_t n_positions, const REAL *dout,
                                       const REAL *out, const uint8_t *argmax, uint8_t *counts,
                                       uint8_t *numbers) {
    memset(counts, 0, (size_t)n_positions);
#if defined(LIST_SIXTEEN)
    __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (ptrdiff_t f = 0; f < n_filters; f += 16) {
        __mmask16 live = OF(live, KIND)(dout + f, out + f, first_sixteen(n_filters - f));
        __m128i at = _mm_maskz_loadu_epi8(live, argmax + f);
        for (ptrdiff_t p = 0; p < n_positions; p++) {
            __mmask16 here = _mm_mask_cmpeq_epi8_mask(live, at, _mm_set1_epi8((char)p));
            __m512i packed = _mm512_maskz_compress_epi32(here, number);
            _mm_storeu_si128((__m128i *)(numbers + p * LISTED_FILTERS + counts[p]),
                             _mm512_cvtepi32_epi8(packed));
            counts[p] = (uint8_t)(counts[p] + __builtin_popcount(here));
        }
        number = _mm512_add_epi32(number, _mm512_set1_epi32(16));
    }
#else
    for (ptrdiff_t f = 0; f < n_filters; f++) {
        bool live = out[f] > 0 && dout[f] != 0 && argmax[f] < n_positions;
        uint8_t at = live ? argmax[f] : 0, *count = counts + at;
        numbers[at * LISTED_FILTERS + *count] = (uint8_t)f;
        *count = (uint8_t)(*count + live);
    }
#endif
}

#undef VEC
#undef MEM
#undef BITS
#undef LANES
