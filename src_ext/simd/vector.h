/* Vectors of the widest kind that the level being compiled has, in GCC's and Clang's portable notation. */
#ifndef FASTML_VECTOR_H
#define FASTML_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif

typedef float vec_f32 __attribute__((vector_size(VEC_BYTES)));
typedef double vec_f64 __attribute__((vector_size(VEC_BYTES)));
/* The same in memory, at any address that suits an element. */
typedef float mem_f32 __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));
typedef double mem_f64 __attribute__((vector_size(VEC_BYTES), aligned(8), may_alias));
enum { LANES_f32 = VEC_BYTES / 4, LANES_f64 = VEC_BYTES / 8 };
/* Integers as wide as the elements: what comparisons give, and what bits are worked on as. */
typedef int32_t bits_f32 __attribute__((vector_size(VEC_BYTES)));
typedef int64_t bits_f64 __attribute__((vector_size(VEC_BYTES)));

/* A template's names: OF(tile, f32) is tile_f32. */
#define OF_(name, kind) name##_##kind
#define OF(name, kind) OF_(name, kind)

#define INLINE static inline __attribute__((always_inline))
/* A function that many specialised loops share: inlined into each, it would only lengthen the build. */
#define SHARED static __attribute__((noinline))

/* Compilers may load a vector anew for each use, as an operand in memory: not one that is kept in a register.
   (Measured: a product of rows that lie across cache lines took three times as long.) */
#if !defined(__GNUC__)
#define KEEP_IN_REGISTER(v) (void)(v)
#elif defined(__AVX512F__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined(__SSE2__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+w"(v))
#else
#define KEEP_IN_REGISTER(v) (void)(v)
#endif

/* load_part: the first n elements at p (0 <= n <= lanes), the others zero; store_part writes just those
   (fewer than lanes). load_end: n elements (fewer than lanes) in the last lanes. */
#if defined(__AVX512F__)
/* By the narrowest loads that do: a load fetches the lines that its whole width touches, masked out or not
   (measured on rows of 100 floats in random order, one thread: 105 ns a step with one wide load, 94 with
   these). */
INLINE __m256 load_part_8(const float *p, ptrdiff_t n) {
    if (n <= 4)
        return _mm256_zextps128_ps256(_mm_maskz_loadu_ps((__mmask8)((1u << n) - 1), p));
    return _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p);
}
INLINE vec_f32 load_part_f32(const float *p, ptrdiff_t n) {
    if (n <= 8)
        return (vec_f32)_mm512_zextps256_ps512(load_part_8(p, n));
    return (vec_f32)_mm512_insertf32x8(_mm512_zextps256_ps512(_mm256_loadu_ps(p)), load_part_8(p + 8, n - 8),
                                       1);
}
INLINE vec_f64 load_part_f64(const double *p, ptrdiff_t n) {
    if (n <= 4)
        return (vec_f64)_mm512_zextpd256_pd512(_mm256_maskz_loadu_pd((__mmask8)((1u << n) - 1), p));
    return (vec_f64)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
INLINE vec_f32 load_end_f32(const float *p, ptrdiff_t n) {
    return (vec_f32)_mm512_maskz_expandloadu_ps((__mmask16)(0xffffu << (16 - n)), p);
}
INLINE vec_f64 load_end_f64(const double *p, ptrdiff_t n) {
    return (vec_f64)_mm512_maskz_expandloadu_pd((__mmask8)(0xffu << (8 - n)), p);
}
INLINE void store_part_f32(float *p, vec_f32 v, ptrdiff_t n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
INLINE void store_part_f64(double *p, vec_f64 v, ptrdiff_t n) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#elif defined(__AVX2__)
/* By masks, of which one array holds all: 8 words that are set between words that are not. */
static const int32_t part_words[24] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};
#define PART_MASK(first) _mm256_loadu_si256((const __m256i *)(part_words + (first)))
INLINE vec_f32 load_part_f32(const float *p, ptrdiff_t n) {
    return (vec_f32)_mm256_maskload_ps(p, PART_MASK(16 - n));
}
INLINE vec_f64 load_part_f64(const double *p, ptrdiff_t n) {
    return (vec_f64)_mm256_maskload_pd(p, PART_MASK(16 - 2 * n));
}
/* Nothing is read before p. */
INLINE vec_f32 load_end_f32(const float *p, ptrdiff_t n) {
    uintptr_t start = (uintptr_t)p - (uintptr_t)(8 - n) * sizeof *p;
    return (vec_f32)_mm256_maskload_ps((const float *)start, PART_MASK(n));
}
INLINE vec_f64 load_end_f64(const double *p, ptrdiff_t n) {
    uintptr_t start = (uintptr_t)p - (uintptr_t)(4 - n) * sizeof *p;
    return (vec_f64)_mm256_maskload_pd((const double *)start, PART_MASK(2 * n));
}
INLINE void store_part_f32(float *p, vec_f32 v, ptrdiff_t n) {
    _mm256_maskstore_ps(p, PART_MASK(16 - n), (__m256)v);
}
INLINE void store_part_f64(double *p, vec_f64 v, ptrdiff_t n) {
    _mm256_maskstore_pd(p, PART_MASK(16 - 2 * n), (__m256d)v);
}
#undef PART_MASK
#else
#define DEFINE_PARTS(kind, real)                                                                             \
    INLINE vec_##kind load_part_##kind(const real *p, ptrdiff_t n) {                                         \
        vec_##kind v = {0};                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                                    \
            v[i] = p[i];                                                                                     \
        return v;                                                                                            \
    }                                                                                                        \
    INLINE vec_##kind load_end_##kind(const real *p, ptrdiff_t n) {                                          \
        vec_##kind v = {0};                                                                                  \
        for (ptrdiff_t i = 0; i < n; i++)                                                                    \
            v[LANES_##kind - n + i] = p[i];                                                                  \
        return v;                                                                                            \
    }                                                                                                        \
    INLINE void store_part_##kind(real *p, vec_##kind v, ptrdiff_t n) {                                      \
        for (ptrdiff_t i = 0; i < n; i++)                                                                    \
            p[i] = v[i];                                                                                     \
    }
DEFINE_PARTS(f32, float)
DEFINE_PARTS(f64, double)
#undef DEFINE_PARTS
#endif

/* The same for any n: load_up_to and store_up_to leave out what is beyond the lanes; n <= 0 is none. */
#define DEFINE_UP_TO(kind, real)                                                                             \
    INLINE vec_##kind load_up_to_##kind(const real *p, ptrdiff_t n) {                                        \
        if (n >= LANES_##kind)                                                                               \
            return *(const mem_##kind *)p;                                                                   \
        return n > 0 ? load_part_##kind(p, n) : (vec_##kind){0};                                             \
    }                                                                                                        \
    INLINE void store_up_to_##kind(real *p, vec_##kind v, ptrdiff_t n) {                                     \
        if (n >= LANES_##kind)                                                                               \
            *(mem_##kind *)p = v;                                                                            \
        else if (n > 0)                                                                                      \
            store_part_##kind(p, v, n);                                                                      \
    }
DEFINE_UP_TO(f32, float)
DEFINE_UP_TO(f64, double)
#undef DEFINE_UP_TO

/* a where `mask` holds, else b. */
#define DEFINE_SELECT(kind)                                                                                  \
    INLINE vec_##kind select_##kind(bits_##kind mask, vec_##kind a, vec_##kind b) {                          \
        return (vec_##kind)(((bits_##kind)a & mask) | ((bits_##kind)b & ~mask));                             \
    }
DEFINE_SELECT(f32)
DEFINE_SELECT(f64)
#undef DEFINE_SELECT

/* at_least: the larger of two, at_most: the smaller; a NaN in x stays one, in bound it counts for nothing. */
#if defined(__AVX512F__)
INLINE vec_f32 at_least_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm512_max_ps(bound, x); }
INLINE vec_f64 at_least_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm512_max_pd(bound, x); }
INLINE vec_f32 at_most_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm512_min_ps(bound, x); }
INLINE vec_f64 at_most_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm512_min_pd(bound, x); }
#elif defined(__AVX__)
INLINE vec_f32 at_least_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm256_max_ps(bound, x); }
INLINE vec_f64 at_least_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm256_max_pd(bound, x); }
INLINE vec_f32 at_most_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm256_min_ps(bound, x); }
INLINE vec_f64 at_most_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm256_min_pd(bound, x); }
#elif defined(__SSE2__)
INLINE vec_f32 at_least_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm_max_ps(bound, x); }
INLINE vec_f64 at_least_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm_max_pd(bound, x); }
INLINE vec_f32 at_most_f32(vec_f32 bound, vec_f32 x) { return (vec_f32)_mm_min_ps(bound, x); }
INLINE vec_f64 at_most_f64(vec_f64 bound, vec_f64 x) { return (vec_f64)_mm_min_pd(bound, x); }
#else
#define DEFINE_BOUNDS(kind)                                                                                  \
    INLINE vec_##kind at_least_##kind(vec_##kind bound, vec_##kind x) {                                      \
        return select_##kind(bound > x, bound, x);                                                           \
    }                                                                                                        \
    INLINE vec_##kind at_most_##kind(vec_##kind bound, vec_##kind x) {                                       \
        return select_##kind(bound < x, bound, x);                                                           \
    }
DEFINE_BOUNDS(f32)
DEFINE_BOUNDS(f64)
#undef DEFINE_BOUNDS
#endif

/* a b + c, rounded as the vector code rounds it at this level. (The compiler fuses `c += a * b` of vectors,
   but of a scalar sum it vectorises the products, and adds them unfused.) */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
INLINE float multiply_add_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
INLINE double multiply_add_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
INLINE float multiply_add_f32(float a, float b, float c) { return a * b + c; }
INLINE double multiply_add_f64(double a, double b, double c) { return a * b + c; }
#endif

/* The same of vectors, where all instances of a template must round alike: of a lone chain of `c += a * b`
   GCC may take the multiply-adds apart again, since some processors run those with less delay (its
   avoid-fma-max-bits). */
#if defined(__AVX512F__)
INLINE vec_f32 multiply_add_lanes_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
    return (vec_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
INLINE vec_f64 multiply_add_lanes_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
    return (vec_f64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__FMA__)
INLINE vec_f32 multiply_add_lanes_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
    return (vec_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
INLINE vec_f64 multiply_add_lanes_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
    return (vec_f64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#else
INLINE vec_f32 multiply_add_lanes_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return a * b + c; }
INLINE vec_f64 multiply_add_lanes_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return a * b + c; }
#endif

/* Small whole numbers in lanes, to and from as many bytes. GCC converts vectors by a factor of two at a time,
   and element by element beyond that. */
#if defined(__AVX512F__)
INLINE void store_bytes_f32(uint8_t *to, bits_f32 lanes) {
    _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8((__m512i)lanes));
}
INLINE void store_bytes_f64(uint8_t *to, bits_f64 lanes) {
    _mm_storel_epi64((__m128i *)to, _mm512_cvtepi64_epi8((__m512i)lanes));
}
INLINE bits_f32 load_bytes_f32(const uint8_t *from) {
    return (bits_f32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
}
INLINE bits_f64 load_bytes_f64(const uint8_t *from) {
    return (bits_f64)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)from));
}
#else
#define DEFINE_BYTES(kind)                                                                                   \
    INLINE void store_bytes_##kind(uint8_t *to, bits_##kind lanes) {                                         \
        for (int i = 0; i < LANES_##kind; i++)                                                               \
            to[i] = (uint8_t)lanes[i];                                                                       \
    }                                                                                                        \
    INLINE bits_##kind load_bytes_##kind(const uint8_t *from) {                                              \
        bits_##kind lanes = {0};                                                                             \
        for (int i = 0; i < LANES_##kind; i++)                                                               \
            lanes[i] = from[i];                                                                              \
        return lanes;                                                                                        \
    }
DEFINE_BYTES(f32)
DEFINE_BYTES(f64)
#undef DEFINE_BYTES
#endif

/* Whether any lane of a comparison holds. */
INLINE int any_lane(const void *comparison) {
    uint64_t words[VEC_BYTES / 8], any = 0;
    memcpy(words, comparison, sizeof words);
    for (int i = 0; i < VEC_BYTES / 8; i++)
        any |= words[i];
    return any != 0;
}

/* Sum over the lanes, by halves. */
INLINE float sum_f32(vec_f32 v) {
    typedef float quarter __attribute__((vector_size(16)));
    quarter parts[VEC_BYTES / 16];
    memcpy(parts, &v, sizeof v);
    quarter s = parts[0];
#if VEC_BYTES >= 32
    s += parts[1];
#endif
#if VEC_BYTES >= 64
    s += parts[2] + parts[3];
#endif
    return (s[0] + s[2]) + (s[1] + s[3]);
}

INLINE double sum_f64(vec_f64 v) {
    typedef double half __attribute__((vector_size(16)));
    half parts[VEC_BYTES / 16];
    memcpy(parts, &v, sizeof v);
    half s = parts[0];
#if VEC_BYTES >= 32
    s += parts[1];
#endif
#if VEC_BYTES >= 64
    s += parts[2] + parts[3];
#endif
    return s[0] + s[1];
}

#endif
