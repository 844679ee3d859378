/* A square of LANES vectors, transposed in registers, for KIND: a template, included once per element type.
 *
 * log2(LANES) rounds, each of which interleaves the first half of the vectors with the second: a perfect
 * shuffle of rows and columns at a time (H. Stone, "Parallel Processing with the Perfect Shuffle", IEEE
 * Trans. Computers C-20, 1971).
 */
#ifndef FASTML_TRANSPOSE_H
#define FASTML_TRANSPOSE_H

#if defined(__clang__)
#define SHUFFLE(bits, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(bits, a, b, ...) __builtin_shuffle(a, b, (bits){__VA_ARGS__})
#endif

/* interleave_low: a0 b0 a1 b1 ...; interleave_high: the same of the upper halves. By number of lanes. */
#define INTERLEAVE_LOW_2 0, 2
#define INTERLEAVE_HIGH_2 1, 3
#define INTERLEAVE_LOW_4 0, 4, 1, 5
#define INTERLEAVE_HIGH_4 2, 6, 3, 7
#define INTERLEAVE_LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVE_HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define INTERLEAVE_LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31

#if VEC_BYTES == 64
#define INTERLEAVE_f32(half) INTERLEAVE_##half##_16
#define INTERLEAVE_f64(half) INTERLEAVE_##half##_8
#elif VEC_BYTES == 32
#define INTERLEAVE_f32(half) INTERLEAVE_##half##_8
#define INTERLEAVE_f64(half) INTERLEAVE_##half##_4
#else
#define INTERLEAVE_f32(half) INTERLEAVE_##half##_4
#define INTERLEAVE_f64(half) INTERLEAVE_##half##_2
#endif

#endif

/* rows[i][j] and rows[j][i] change places. */
INLINE void OF(transpose, KIND)(OF(vec, KIND) * rows) {
    enum { N = OF(LANES, KIND) };
    OF(vec, KIND) mixed[N];
#pragma GCC unroll 4
    for (int round = 1; round < N; round *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < N / 2; i++) {
            mixed[2 * i] = SHUFFLE(OF(bits, KIND), rows[i], rows[i + N / 2], OF(INTERLEAVE, KIND)(LOW));
            mixed[2 * i + 1] = SHUFFLE(OF(bits, KIND), rows[i], rows[i + N / 2], OF(INTERLEAVE, KIND)(HIGH));
        }
#pragma GCC unroll 16
        for (int i = 0; i < N; i++)
            rows[i] = mixed[i];
    }
}

/* The sum over the lanes of each of LANES vectors: of rows[i] in lane i. Half the shuffles of sums one by
   one, no store. rows are written over. */
INLINE OF(vec, KIND) OF(sum_each, KIND)(OF(vec, KIND) * rows) {
#pragma GCC unroll 4
    for (int n = OF(LANES, KIND) / 2; n > 0; n /= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            rows[i] = SHUFFLE(OF(bits, KIND), rows[i], rows[i + n], OF(INTERLEAVE, KIND)(LOW)) +
                      SHUFFLE(OF(bits, KIND), rows[i], rows[i + n], OF(INTERLEAVE, KIND)(HIGH));
    }
    return rows[0];
}
