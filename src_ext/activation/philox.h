/* Philox4x32-10 (J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3), as
 * many counters at a time as a vector has 64-bit lanes. A lane's high half may hold anything between rounds.
 */
#ifndef FASTML_PHILOX_H
#define FASTML_PHILOX_H

#include "vector.h"

typedef uint64_t philox_lanes __attribute__((vector_size(VEC_BYTES)));

enum { PHILOX_ROUNDS = 10, PHILOX_LANES = VEC_BYTES / 8 };

/* The 64-bit product of the low halves. */
INLINE philox_lanes philox_product(philox_lanes a, philox_lanes b) {
#if defined(__AVX512F__)
    return (philox_lanes)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (philox_lanes)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (philox_lanes)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/* The words, in the low halves, of the blocks first, first + 1, ... of a call. */
INLINE void philox(uint64_t key, uint64_t call, uint64_t first, philox_lanes words[4]) {
    const philox_lanes zero = {0}, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    philox_lanes low = zero + first;
    for (int i = 0; i < PHILOX_LANES; i++)
        low[i] += i;
    philox_lanes c0 = low, c1 = low >> 32, c2 = zero + call, c3 = zero + (call >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        philox_lanes p0 = philox_product(c0, m0), p1 = philox_product(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ (zero + k0);
        c2 = (p0 >> 32) ^ c3 ^ (zero + k1);
        c1 = p1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0 & 0xFFFFFFFFu;
    words[1] = c1 & 0xFFFFFFFFu;
    words[2] = c2 & 0xFFFFFFFFu;
    words[3] = c3 & 0xFFFFFFFFu;
}

/* Of 64 elements in order (word w of 16 blocks is the elements from 16 w on): 1 where it is at least
 * threshold. */
INLINE void philox_mask(uint64_t key, uint64_t call, uint64_t group, uint64_t threshold, uint8_t mask[64]) {
    typedef uint8_t bytes __attribute__((vector_size(PHILOX_LANES)));
    for (int i = 0; i < 16; i += PHILOX_LANES) {
        philox_lanes words[4];
        philox(key, call, 16 * group + i, words);
        for (int w = 0; w < 4; w++) {
            bytes kept = __builtin_convertvector(words[w] >= threshold + (philox_lanes){0}, bytes) & 1;
            memcpy(mask + 16 * w + i, &kept, sizeof kept);
        }
    }
}

#endif
