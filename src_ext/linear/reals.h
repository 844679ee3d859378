/* Elements of X widened to doubles, in which all sums are taken; included once for each REAL and its KIND. */
#if defined(__AVX512F__)
#define WIDE_PART_f32(p, n) (vec_f64) _mm512_cvtps_pd(_mm256_maskz_loadu_ps((__mmask8)((1u << (n)) - 1), p))
#define WIDE_PART_f64(p, n) load_part_f64(p, n)
#endif

typedef REAL OF(mem_wide, KIND)
    __attribute__((vector_size(sizeof(REAL) * LANES_f64), aligned(sizeof(REAL)), may_alias));

INLINE vec_f64 OF(wide, KIND)(const REAL *p) {
    return __builtin_convertvector(*(const OF(mem_wide, KIND) *)p, vec_f64);
}

/* The first n < lanes elements, the other lanes zero. */
INLINE vec_f64 OF(wide_part, KIND)(const REAL *p, ptrdiff_t n) {
#if defined(__AVX512F__)
    return OF(WIDE_PART, KIND)(p, n);
#else
    vec_f64 v = {0};
    for (ptrdiff_t i = 0; i < n; i++)
        v[i] = p[i];
    return v;
#endif
}
