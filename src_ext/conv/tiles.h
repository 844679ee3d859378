/* Tiles of sums whose left operand isn't packed, for REAL of KIND: a template.
 *
 * Both kernels keep GEMM_VECTORS vectors of filters, and as many rows as registers allow, as gemm.h's does; B
 * is a panel of GEMM_COLUMNS filters.
 */
#ifndef FASTML_CONV_TILES_H
#define FASTML_CONV_TILES_H

/* Rows of tap_tile: each is a pointer, of which an x86 processor has 16, less those for loops. */
#define TAP_ROWS (GEMM_ROWS < 9 ? GEMM_ROWS : 9)

/* Computed here, and its elements reached from it: GCC would rather add each element's place to a common
   part, for every row of a tile in a register of its own, of which it has too few. */
#define KEEP_POINTER(pointer) __asm__("" : "+r"(pointer))

#endif

#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

/* tile += the sum over k of a[k][shift + i] times row k of a panel of B: rows of the tile lie beside each
 * other. */
INLINE void OF(row_product, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift,
                                  const REAL *restrict b, ptrdiff_t b_step, VEC *restrict tile, bool first,
                                  const int height) {
    VEC sum[GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            sum[i][v] = first ? (VEC){0} : tile[i * GEMM_VECTORS + v];
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < depth; k++, b += b_step) {
        const REAL *row = a[k] + shift;
        KEEP_POINTER(row);
        VEC of_b[GEMM_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            of_b[v] = *(const MEM *)(b + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < height; i++)
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++)
                sum[i][v] += row[i] * of_b[v];
    }
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] = sum[i][v];
}

/* tile += the sum over the positions (y, x) of a[i][y step + x] times their row of a panel of B. */
INLINE void OF(tap_product, KIND)(ptrdiff_t n_y, ptrdiff_t n_x, ptrdiff_t step, const REAL *const *a,
                                  const REAL *restrict b, ptrdiff_t b_step, VEC *restrict tile, bool first,
                                  const int height) {
    VEC sum[TAP_ROWS][GEMM_VECTORS];
    const REAL *rows[TAP_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < height; i++) {
        rows[i] = a[i];
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            sum[i][v] = first ? (VEC){0} : tile[i * GEMM_VECTORS + v];
    }
    for (ptrdiff_t y = 0; y < n_y; y++)
#pragma GCC unroll 1
        for (ptrdiff_t x = y * step; x < y * step + n_x; x++, b += b_step) {
            VEC of_b[GEMM_VECTORS];
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++)
                of_b[v] = *(const MEM *)(b + v * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < height; i++)
#pragma GCC unroll 2
                for (int v = 0; v < GEMM_VECTORS; v++)
                    sum[i][v] += rows[i][x] * of_b[v];
        }
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] = sum[i][v];
}

/* The same for each height, a constant of each case. */
static void OF(row_tile, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift, const REAL *b,
                               ptrdiff_t b_step, VEC *tile, bool first, int height) {
#define ROW_CASE(n)                                                                                          \
    case n:                                                                                                  \
        if (n <= GEMM_ROWS)                                                                                  \
            OF(row_product, KIND)(depth, a, shift, b, b_step, tile, first, n <= GEMM_ROWS ? n : 1);          \
        break;
    switch (height) {
        ROW_CASE(1)
        ROW_CASE(2)
        ROW_CASE(3)
        ROW_CASE(4)
        ROW_CASE(5)
        ROW_CASE(6)
        ROW_CASE(7)
        ROW_CASE(8)
        ROW_CASE(9)
        ROW_CASE(10)
        ROW_CASE(11)
        ROW_CASE(12)
        ROW_CASE(13)
        ROW_CASE(14)
    }
#undef ROW_CASE
}

static void OF(tap_tile, KIND)(ptrdiff_t n_y, ptrdiff_t n_x, ptrdiff_t step, const REAL *const *a,
                               const REAL *b, ptrdiff_t b_step, VEC *tile, bool first, int height) {
#define TAP_CASE(n)                                                                                          \
    case n:                                                                                                  \
        if (n <= TAP_ROWS)                                                                                   \
            OF(tap_product, KIND)(n_y, n_x, step, a, b, b_step, tile, first, n <= TAP_ROWS ? n : 1);         \
        break;
    switch (height) {
        TAP_CASE(1)
        TAP_CASE(2)
        TAP_CASE(3)
        TAP_CASE(4)
        TAP_CASE(5)
        TAP_CASE(6)
        TAP_CASE(7)
        TAP_CASE(8)
        TAP_CASE(9)
    }
#undef TAP_CASE
}

/* out = f(bias + the sum over k of a[k][shift + i] times row k of a panel of B), `height` rows of n_columns;
   f sets what is below `least` to it. Few taps make short sums: there a tile that went through memory would
   take as long as its sums. */
INLINE void OF(row_output, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift,
                                 const REAL *restrict b, const VEC *bias, VEC least, REAL *restrict out,
                                 ptrdiff_t stride, ptrdiff_t n_columns, const int height) {
    VEC sum[GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            sum[i][v] = bias[v];
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < depth; k++, b += COLUMNS) {
        const REAL *row = a[k] + shift;
        KEEP_POINTER(row);
        VEC of_b[GEMM_VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            of_b[v] = *(const MEM *)(b + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < height; i++)
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++)
                sum[i][v] += row[i] * of_b[v];
    }
    if (n_columns >= COLUMNS) {
#pragma GCC unroll 16
        for (int i = 0; i < height; i++)
#pragma GCC unroll 2
            for (int v = 0; v < GEMM_VECTORS; v++)
                *(MEM *)(out + i * stride + v * LANES) = OF(at_least, KIND)(least, sum[i][v]);
        return;
    }
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] = OF(at_least, KIND)(least, sum[i][v]);
    OF(gemm_store, KIND)(tile, out, stride, height, n_columns);
}

static void OF(row_outputs, KIND)(ptrdiff_t depth, const REAL *const *a, ptrdiff_t shift, const REAL *b,
                                  const VEC *bias, VEC least, REAL *out, ptrdiff_t stride,
                                  ptrdiff_t n_columns, int height) {
#define OUTPUT_CASE(n)                                                                                       \
    case n:                                                                                                  \
        if (n <= GEMM_ROWS)                                                                                  \
            OF(row_output, KIND)(depth, a, shift, b, bias, least, out, stride, n_columns,                    \
                                 n <= GEMM_ROWS ? n : 1);                                                    \
        break;
    switch (height) {
        OUTPUT_CASE(1)
        OUTPUT_CASE(2)
        OUTPUT_CASE(3)
        OUTPUT_CASE(4)
        OUTPUT_CASE(5)
        OUTPUT_CASE(6)
        OUTPUT_CASE(7)
        OUTPUT_CASE(8)
        OUTPUT_CASE(9)
        OUTPUT_CASE(10)
        OUTPUT_CASE(11)
        OUTPUT_CASE(12)
        OUTPUT_CASE(13)
        OUTPUT_CASE(14)
    }
#undef OUTPUT_CASE
}

#undef VEC
#undef MEM
#undef LANES
#undef COLUMNS
