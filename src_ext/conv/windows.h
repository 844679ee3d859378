/* Few input channels and windows of 2 x 2, for REAL of KIND: a template. What comes before the pooling is in
 * no memory at all.
 *
 * Forward, a tile is of whole windows, whose maxima are taken in registers. To the filters, of a window's
 * four positions only one counts for each channel, another one for each: with AVX-512, what a tap sees from
 * the four is loaded into every quarter of a vector, and each channel's lane picks its own by a permutation.
 * That is a quarter of the multiply-adds that a gradient with zeros would take.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define BITS OF(bits, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

#ifndef FASTML_CONV_WINDOWS_H
#define FASTML_CONV_WINDOWS_H

enum { TILE_WINDOWS = GEMM_ROWS / 4 };

#if defined(__AVX512F__)
#define PICK_BY_PERMUTATION 1

/* In each lane, the one of four values that `at` says. */
INLINE vec_f32 pick_f32(const float *four, bits_f32 at) {
    return (vec_f32)_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(four)), (__m512i)at);
}
INLINE vec_f64 pick_f64(const double *four, bits_f64 at) {
    return (vec_f64)_mm512_permutexvar_pd((__m512i)at, _mm512_broadcast_f64x4(_mm256_loadu_pd(four)));
}
INLINE void put_pairs_f32(float *to, const float *first, const float *second) {
    __m128 pair = _mm_castpd_ps(_mm_load_sd((const double *)first));
    _mm_storeu_ps(to, _mm_loadh_pi(pair, (const __m64 *)second));
}
INLINE void put_pairs_f64(double *to, const double *first, const double *second) {
    _mm256_storeu_pd(
        to, _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(first)), _mm_loadu_pd(second), 1));
}
#endif

#endif

/* `windows` windows beside each other, from the strip's place `shift` on; below: from one row of positions to
   the next. Sums begin with the bias, as row_output's. */
INLINE void OF(window_output, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift, ptrdiff_t below,
                                    const REAL *restrict b, const VEC *bias, REAL *restrict out,
                                    uint8_t *restrict argmax, ptrdiff_t m, ptrdiff_t n_columns,
                                    const int windows) {
    VEC sum[TILE_WINDOWS][4][GEMM_VECTORS];
#pragma GCC unroll 4
    for (int w = 0; w < windows; w++)
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++)
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++)
                sum[w][p][v] = bias[v];
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < depth; k++, b += COLUMNS) {
        const REAL *row = a[k] + shift, *next = row + below;
        KEEP_POINTER(row);
        KEEP_POINTER(next);
        VEC of_b[GEMM_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            of_b[v] = *(const MEM *)(b + v * LANES);
#pragma GCC unroll 4
        for (int w = 0; w < windows; w++)
#pragma GCC unroll 4
            for (int p = 0; p < 4; p++)
#pragma GCC unroll 2
                for (int v = 0; v < GEMM_VECTORS; v++)
                    sum[w][p][v] += (p < 2 ? row : next)[2 * w + p % 2] * of_b[v];
    }
#pragma GCC unroll 4
    for (int w = 0; w < windows; w++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++) {
            VEC best = sum[w][0][v];
            BITS at = {0};
#pragma GCC unroll 4
            for (int p = 1; p < 4; p++)
                OF(keep_larger, KIND)(&best, &at, sum[w][p][v], p);
            OF(store_maximum, KIND)(best, at, n_columns - v * LANES, out + w * m + v * LANES,
                                    argmax + w * m + v * LANES);
        }
}

static void OF(window_outputs, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift, ptrdiff_t below,
                                     const REAL *b, const VEC *bias, REAL *out, uint8_t *argmax, ptrdiff_t m,
                                     ptrdiff_t n_columns, int windows) {
#define WINDOW_CASE(n)                                                                                       \
    case n:                                                                                                  \
        if (n <= TILE_WINDOWS)                                                                               \
            OF(window_output, KIND)(depth, a, shift, below, b, bias, out, argmax, m, n_columns,              \
                                    n <= TILE_WINDOWS ? n : 1);                                              \
        break;
    switch (windows) {
        WINDOW_CASE(1)
        WINDOW_CASE(2)
        WINDOW_CASE(3)
    }
#undef WINDOW_CASE
}

/* As direct_rows, pooled: n_rows rows of positions, from row y. */
static void OF(direct_pooled, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                    REAL *out, uint8_t *argmax, void *scratch) {
    ptrdiff_t depth = job->kh * job->kw * job->c, below = job->stride_y * strip_length(job);
    ptrdiff_t across = job->ow / 2, n_tiles = product_ceil(across, TILE_WINDOWS);
    ptrdiff_t lower = across / n_tiles, n_higher = across % n_tiles;
    const REAL **a = scratch, *b = job->packed;
    REAL *strip = (REAL *)(a + depth);
    OF(fill_strip, KIND)(job, image, y, n_rows, strip);
    OF(strip_places, KIND)(job, n_rows, strip, a);
    for (ptrdiff_t column = 0; column < job->m; column += COLUMNS, b += depth * COLUMNS) {
        VEC bias[GEMM_VECTORS];
        OF(load_bias, KIND)(job, column, bias);
        for (ptrdiff_t r = 0; r < n_rows; r += 2)
            for (ptrdiff_t t = 0, x = 0, windows; t < n_tiles; t++, x += windows) {
                ptrdiff_t to = (r / 2 * across + x) * job->m + column;
                windows = lower + (t < n_higher);
                OF(window_outputs, KIND)(depth, a, r * below + 2 * x, below, b, bias, out + to, argmax + to,
                                         job->m, job->m - column, (int)windows);
            }
    }
}

#if defined(PICK_BY_PERMUTATION)
/* tile += the sum over windows of what each of `height` taps sees from where the maxima were, times the
   gradient to them; bias: increased by the gradient. four: for each tap, of the first window. */
INLINE void OF(window_product, KIND)(const conv_job *job, ptrdiff_t n_y, const REAL *const *four,
                                     ptrdiff_t step, const REAL *dout, const REAL *out, const uint8_t *argmax,
                                     ptrdiff_t n_columns, VEC *restrict tile, VEC *restrict bias, bool first,
                                     const int height) {
    ptrdiff_t across = job->ow / 2, m = job->m;
    VEC sum[TAP_ROWS][GEMM_VECTORS], of_bias[GEMM_VECTORS];
    const REAL *taps[TAP_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < height; i++) {
        taps[i] = four[i];
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            sum[i][v] = first ? (VEC){0} : tile[i * GEMM_VECTORS + v];
    }
#pragma GCC unroll 2
    for (int v = 0; v < GEMM_VECTORS; v++)
        of_bias[v] = bias[v];
    for (ptrdiff_t y = 0; y < n_y; y++)
#pragma GCC unroll 1
        for (ptrdiff_t x = 0, at_four = y * step; x < across;
             x++, at_four += 8, dout += m, out += m, argmax += m) {
            VEC gradient[GEMM_VECTORS];
            BITS at[GEMM_VECTORS];
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++) {
                OF(load_maximum, KIND)(dout + v * LANES, out + v * LANES, argmax + v * LANES,
                                       n_columns - v * LANES, &gradient[v], &at[v]);
                of_bias[v] += gradient[v];
            }
#pragma GCC unroll 16
            for (int i = 0; i < height; i++)
#pragma GCC unroll 2
                for (int v = 0; v < GEMM_VECTORS; v++)
                    sum[i][v] += OF(pick, KIND)(taps[i] + at_four, at[v]) * gradient[v];
        }
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] = sum[i][v];
#pragma GCC unroll 2
    for (int v = 0; v < GEMM_VECTORS; v++)
        bias[v] = of_bias[v];
}

static void OF(window_tile, KIND)(const conv_job *job, ptrdiff_t n_y, const REAL *const *four, ptrdiff_t step,
                                  const REAL *dout, const REAL *out, const uint8_t *argmax,
                                  ptrdiff_t n_columns, VEC *tile, VEC *bias, bool first, int height) {
#define TILE_CASE(n)                                                                                         \
    case n:                                                                                                  \
        OF(window_product, KIND)(job, n_y, four, step, dout, out, argmax, n_columns, tile, bias, first, n);  \
        break;
    switch (height) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
    }
#undef TILE_CASE
}

/* Gradients to the filters and the bias, from the maxima of n_rows rows of positions, from row y. */
static void OF(direct_windows, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                     const REAL *dout, const REAL *out, const uint8_t *argmax, bool first,
                                     REAL *sums, REAL *bias_sums, void *scratch) {
    ptrdiff_t depth = job->kh * job->kw * job->c, below = job->stride_y * strip_length(job);
    ptrdiff_t size = strip_size(job, n_rows), n_tiles = product_ceil(depth, TAP_ROWS);
    const REAL **a = scratch;
    REAL *strip = (REAL *)(a + depth), *fours = strip + size;
    OF(fill_strip, KIND)(job, image, y, n_rows, strip);
    OF(strip_places, KIND)(job, n_rows, strip, a);
    for (ptrdiff_t k = 0; k < depth; k++)
        a[k] = fours + 4 * (a[k] - strip);
    for (ptrdiff_t i = 0; i < size - below - 1; i++)
        OF(put_pairs, KIND)(fours + 4 * i, strip + i, strip + i + below);
    for (ptrdiff_t column = 0; column < job->m; column += COLUMNS) {
        ptrdiff_t n_columns = job->m - column;
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t i = product_share(depth, t, n_tiles);
            int height = (int)(product_share(depth, t + 1, n_tiles) - i);
            REAL *at = sums + i * job->m + column;
            VEC tile[TAP_ROWS * GEMM_VECTORS], bias[GEMM_VECTORS] = {{0}};
            if (!first)
                OF(gemm_load, KIND)(tile, at, job->m, height, n_columns);
            OF(window_tile, KIND)(job, n_rows / 2, a + i, 8 * below, dout + column, out + column,
                                  argmax + column, n_columns, tile, bias, first, height);
            OF(gemm_store, KIND)(tile, at, job->m, height, n_columns);
            for (int v = 0; t == 0 && v < GEMM_VECTORS; v++) {
                REAL *to = bias_sums + column + v * LANES;
                OF(store_up_to, KIND)(to, OF(load_up_to, KIND)(to, n_columns - v * LANES) + bias[v],
                                      n_columns - v * LANES);
            }
        }
    }
}
#endif

#undef VEC
#undef MEM
#undef BITS
#undef LANES
#undef COLUMNS
