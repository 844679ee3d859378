/* Packed matrix product out = f(A B^T) for REAL of KIND: a template, included once per element type.
 *
 * After F. G. Van Zee, R. A. van de Geijn, "BLIS", ACM TOMS 41(3), 2015. B is packed once into panels of
 * GEMM_COLUMNS of its rows, feature after feature; A, block by block at each call, into panels of at most
 * GEMM_ROWS. The micro-kernel keeps a tile of GEMM_ROWS x GEMM_COLUMNS sums in registers. Each sum is one
 * chain of multiply-adds in the order of the features, wherever in a tile, panel or block it lies: results
 * depend neither on threads nor on what rows keep a row company, and gemm_pack's norms are to the bit what
 * the product of a row with itself gives.
 *
 * Measured on 2 cores with AVX-512 (a plain multiply-add loop reaches 203-232 GFLOP/s a core in float32):
 * tiles of 14 x 32 floats, alone, run at 190-197 on panels that come from the third-level cache or memory,
 * once the panel to come is prefetched (120-180 without), 200-213 on panels that stay in the second. Blocks
 * of A of 70 to 504 rows are all one, so that a quarter MiB, which fits any second-level cache, is enough.
 *
 * A panel of B may be condensed: without the features that are zero in all its rows, and with the numbers of
 * those that are left. That is exact, as a product with a finite A: what is left out would add zeros. Of
 * MNIST's rows, class by class, four values in five are zero, and 45 % of the features of panels of 32 rows.
 */
#ifndef FASTML_GEMM_H
#define FASTML_GEMM_H

/* The tile: two vectors wide, and as high as registers allow, with two for B and one or two for A's element.
 */
#if VEC_BYTES == 64
#define GEMM_ROWS 14
#elif VEC_BYTES == 32
#define GEMM_ROWS 6
#elif defined(__aarch64__)
#define GEMM_ROWS 12
#else
#define GEMM_ROWS 4
#endif
#define GEMM_VECTORS 2

enum {
    GEMM_BLOCK_BYTES = 1 << 18, /* of packed A */
    GEMM_DEPTH_BYTES = 8192,    /* of one row: longer ones are multiplied piece by piece */
};

/* n cache lines, `step` bytes apart, to be brought into the second-level cache meanwhile. */
typedef struct {
    const char *at;
    ptrdiff_t step, n;
} gemm_lines;

INLINE ptrdiff_t gemm_smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#endif

#include "transpose.h"

#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS (GEMM_VECTORS * LANES)
#define JOB OF(gemm_job, KIND)

enum { OF(GEMM_COLUMNS, KIND) = COLUMNS };

/* The epilogue: tile[i * GEMM_VECTORS + v] holds the sums of A's row `row` + i, for i < height, with B's rows
   from `column` on; padding beyond the last row of B is in it. sq_norms: of A's rows, the tile's first at
   [0]. */
typedef void OF(gemm_finish, KIND)(const void *context, VEC *tile, ptrdiff_t row, int height,
                                   ptrdiff_t column, const REAL *sq_norms);

typedef struct {
    const REAL *a;     /* n_rows x depth, contiguous */
    const REAL *shift; /* taken off every row of A; NULL: none */
    ptrdiff_t n_rows, depth;
    const REAL *b; /* gemm_pack'ed panels of COLUMNS */
    /* Of each panel, which features it has, in `depth` elements, and how many; negative: it is not condensed.
       NULL: none is. Panels are condensed only where gemm_can_condense says so. */
    const uint16_t *features;
    const int32_t *n_kept;
    ptrdiff_t n_columns;
    REAL *out;
    ptrdiff_t out_stride;
    OF(gemm_finish, KIND) * finish; /* NULL: the product itself */
    const void *context;
} JOB;

/* depth features of n_rows rows (at most `width`) of a matrix, `stride` elements apart, feature by feature:
   the rows' elements beside each other, `width` to a feature, zeros for the rows that are missing. Writes
   LANES - 1 elements beyond the panel. sq_norms, of as many rows as the panel has vectors' lanes: increased
   by the features' squares. */
SHARED void OF(gemm_pack, KIND)(const REAL *rows, ptrdiff_t stride, const REAL *shift, ptrdiff_t n_rows,
                                ptrdiff_t depth, REAL *panel, ptrdiff_t width, REAL *sq_norms) {
    ptrdiff_t last = (width - 1) / LANES * LANES;
    for (ptrdiff_t k = 0; k < depth; k += LANES) {
        ptrdiff_t n = gemm_smaller(LANES, depth - k);
        VEC shifts = shift ? OF(load_up_to, KIND)(shift + k, n) : (VEC){0};
        /* From the last rows to the first: what a whole vector writes beyond the width is then overwritten.
         */
        for (ptrdiff_t r = last; r >= 0; r -= LANES) {
            VEC square[LANES];
            for (ptrdiff_t i = 0; i < LANES; i++) {
                square[i] = (VEC){0};
                if (r + i < n_rows)
                    square[i] = OF(load_up_to, KIND)(rows + (r + i) * stride + k, n) - shifts;
            }
            OF(transpose, KIND)(square);
            for (ptrdiff_t j = 0; j < n; j++)
                *(MEM *)(panel + (k + j) * width + r) = square[j];
            if (!sq_norms)
                continue;
            VEC sums = *(const MEM *)(sq_norms + r);
            for (ptrdiff_t j = 0; j < n; j++)
                sums += square[j] * square[j];
            *(MEM *)(sq_norms + r) = sums;
        }
    }
}

/* Whether rows of this depth are multiplied in one piece; then numbers of features have 16 bits. */
INLINE bool OF(gemm_can_condense, KIND)(ptrdiff_t depth) {
    return depth * (ptrdiff_t)sizeof(REAL) <= GEMM_DEPTH_BYTES;
}

INLINE bool OF(gemm_is_zero, KIND)(const REAL *values) {
    typedef OF(bits, KIND) BITS;
    BITS differs = *(const MEM *)values != (VEC){0};
    for (int v = 1; v < GEMM_VECTORS; v++)
        differs |= *(const MEM *)(values + v * LANES) != (VEC){0};
    return !any_lane(&differs);
}

/* Condenses a panel if it gets an eighth shorter: how many features it has then, `features` of them; else -1.
 */
SHARED int32_t OF(gemm_condense, KIND)(REAL *panel, ptrdiff_t depth, uint16_t *features) {
    int32_t n_kept = 0;
    for (ptrdiff_t k = 0; k < depth; k++)
        if (!OF(gemm_is_zero, KIND)(panel + k * COLUMNS))
            features[n_kept++] = (uint16_t)k;
    if (n_kept > depth - depth / 8)
        return -1;
    for (ptrdiff_t k = 0; k < n_kept; k++)
        if (features[k] != k)
            memcpy(panel + k * COLUMNS, panel + features[k] * COLUMNS, COLUMNS * sizeof(REAL));
    return n_kept;
}

/* tile += `depth` features of a panel of A times as many of a panel of B; tile starts at zero if `first`.
   Those of A are the numbered ones if `condensed`, a compile-time constant, else the first ones.
   `ahead`: at most `depth` lines, of what is to be multiplied or packed next. */
INLINE void OF(gemm_product, KIND)(ptrdiff_t depth, const REAL *restrict a, const REAL *restrict b,
                                   const uint16_t *restrict features, VEC *restrict tile, bool first,
                                   gemm_lines ahead, const int height, const bool condensed) {
    VEC sum[GEMM_ROWS][GEMM_VECTORS];
    ptrdiff_t k = 0;
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            sum[i][v] = first ? (VEC){0} : tile[i * GEMM_VECTORS + v];
#define GEMM_STEP                                                                                            \
    const REAL *of_a = condensed ? a + features[k] * (ptrdiff_t)height : a;                                  \
    VEC of_b[GEMM_VECTORS];                                                                                  \
    _Pragma("GCC unroll 2") for (int v = 0; v < GEMM_VECTORS; v++) of_b[v] = *(const MEM *)(b + v * LANES);  \
    _Pragma("GCC unroll 16") for (int i = 0; i < height; i++)                                                \
        _Pragma("GCC unroll 2") for (int v = 0; v < GEMM_VECTORS; v++) sum[i][v] += of_a[i] * of_b[v];
#pragma GCC unroll 1
    for (; k < ahead.n; k++, a += condensed ? 0 : height, b += COLUMNS, ahead.at += ahead.step) {
        __builtin_prefetch(ahead.at, 0, 2);
        GEMM_STEP
    }
#pragma GCC unroll 1
    for (; k < depth; k++, a += condensed ? 0 : height, b += COLUMNS) {
        GEMM_STEP
    }
#undef GEMM_STEP
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 2
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] = sum[i][v];
}

/* gemm_product for each height, a constant of each case, with numbered features or (NULL) without. */
static void OF(gemm_tile, KIND)(ptrdiff_t depth, const REAL *a, const REAL *b, const uint16_t *features,
                                VEC *tile, bool first, gemm_lines ahead, int height) {
#define GEMM_CASE(h)                                                                                         \
    case h:                                                                                                  \
        if (h > GEMM_ROWS)                                                                                   \
            break;                                                                                           \
        if (features)                                                                                        \
            OF(gemm_product, KIND)(depth, a, b, features, tile, first, ahead, h <= GEMM_ROWS ? h : 1, true); \
        else                                                                                                 \
            OF(gemm_product, KIND)(depth, a, b, NULL, tile, first, ahead, h <= GEMM_ROWS ? h : 1, false);    \
        break;
    switch (height) {
        GEMM_CASE(1)
        GEMM_CASE(2)
        GEMM_CASE(3)
        GEMM_CASE(4)
        GEMM_CASE(5)
        GEMM_CASE(6)
        GEMM_CASE(7)
        GEMM_CASE(8)
        GEMM_CASE(9)
        GEMM_CASE(10)
        GEMM_CASE(11)
        GEMM_CASE(12)
        GEMM_CASE(13)
        GEMM_CASE(14)
    }
#undef GEMM_CASE
}

/* A tile's part of `out`, up to the last column; vectors beyond it are zero where loaded, left out where
 * stored. */
INLINE void OF(gemm_load, KIND)(VEC *tile, const REAL *out, ptrdiff_t stride, int height,
                                ptrdiff_t n_columns) {
    for (int i = 0; i < height; i++)
        for (int v = 0; v < GEMM_VECTORS; v++)
            tile[i * GEMM_VECTORS + v] =
                OF(load_up_to, KIND)(out + i * stride + v * LANES, n_columns - v * LANES);
}

INLINE void OF(gemm_store, KIND)(const VEC *tile, REAL *out, ptrdiff_t stride, int height,
                                 ptrdiff_t n_columns) {
    for (int i = 0; i < height; i++)
        for (int v = 0; v < GEMM_VECTORS; v++)
            OF(store_up_to, KIND)(out + i * stride + v * LANES, tile[i * GEMM_VECTORS + v],
                                  n_columns - v * LANES);
}

/* Rows of A to a block, and features to a piece: both even shares, rows in whole tiles. */
INLINE ptrdiff_t OF(gemm_depth, KIND)(const JOB *job) {
    ptrdiff_t most = GEMM_DEPTH_BYTES / (ptrdiff_t)sizeof(REAL);
    ptrdiff_t n_pieces = (job->depth + most - 1) / most;
    return n_pieces > 1 ? (job->depth + n_pieces - 1) / n_pieces : job->depth;
}

INLINE ptrdiff_t OF(gemm_rows, KIND)(const JOB *job) {
    ptrdiff_t bytes = (OF(gemm_depth, KIND)(job) + 1) * (ptrdiff_t)sizeof(REAL);
    ptrdiff_t most = GEMM_BLOCK_BYTES / bytes / GEMM_ROWS * GEMM_ROWS;
    if (most < GEMM_ROWS)
        most = GEMM_ROWS;
    ptrdiff_t n_blocks = (job->n_rows + most - 1) / most;
    ptrdiff_t share = n_blocks > 1 ? (job->n_rows + n_blocks - 1) / n_blocks : job->n_rows;
    return (share + GEMM_ROWS - 1) / GEMM_ROWS * GEMM_ROWS;
}

/* Bytes of scratch memory that gemm_run needs: a block of A and its norms, each with some room beyond. */
static size_t OF(gemm_scratch, KIND)(const JOB *job) {
    size_t rows = (size_t)OF(gemm_rows, KIND)(job), depth = (size_t)OF(gemm_depth, KIND)(job);
    return (rows * depth + rows + 2 * COLUMNS + 4 * LANES) * sizeof(REAL);
}

/* Features of a panel, of `depth` at most. */
INLINE ptrdiff_t OF(gemm_kept, KIND)(const JOB *job, ptrdiff_t panel, ptrdiff_t depth) {
    return job->features && job->n_kept[panel] >= 0 ? job->n_kept[panel] : depth;
}

/* One block of A, packed, times the panels of B in [first, last), for the features in [k, k + depth). */
static void OF(gemm_block, KIND)(const JOB *job, const REAL *block, const REAL *sq_norms, ptrdiff_t row,
                                 ptrdiff_t n_rows, ptrdiff_t k, ptrdiff_t depth, ptrdiff_t first,
                                 ptrdiff_t last) {
    ptrdiff_t n_tiles = (n_rows + GEMM_ROWS - 1) / GEMM_ROWS;
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    for (ptrdiff_t panel = first; panel < last; panel++) {
        const REAL *b = job->b + (panel * job->depth + k) * COLUMNS;
        ptrdiff_t next = panel + 1 < last ? panel + 1 : panel;
        gemm_lines ahead = {(const char *)(job->b + (next * job->depth + k) * COLUMNS), 64, 0};
        ptrdiff_t n_kept = OF(gemm_kept, KIND)(job, panel, depth);
        ptrdiff_t lines = OF(gemm_kept, KIND)(job, next, depth) * COLUMNS * (ptrdiff_t)sizeof(REAL) / 64;
        ahead.n = gemm_smaller(n_kept, (lines + n_tiles - 1) / n_tiles);
        const uint16_t *features =
            job->features && job->n_kept[panel] >= 0 ? job->features + panel * job->depth : NULL;
        ptrdiff_t column = panel * COLUMNS, n_columns = gemm_smaller(COLUMNS, job->n_columns - column);
        for (ptrdiff_t i = 0; i < n_rows; i += GEMM_ROWS) {
            int height = (int)gemm_smaller(GEMM_ROWS, n_rows - i);
            REAL *out = job->out + (row + i) * job->out_stride + column;
            if (k > 0)
                OF(gemm_load, KIND)(tile, out, job->out_stride, height, n_columns);
            OF(gemm_tile, KIND)(n_kept, block + i * depth, b, features, tile, k == 0, ahead, height);
            ahead.at += 64 * ahead.n;
            if (k + depth == job->depth && job->finish)
                job->finish(job->context, tile, row + i, height, column, sq_norms + i);
            OF(gemm_store, KIND)(tile, out, job->out_stride, height, n_columns);
        }
    }
}

/* Columns of `out` that belong to the panels of B in [first, last). */
static void OF(gemm_run, KIND)(const JOB *job, ptrdiff_t first, ptrdiff_t last, void *scratch) {
    ptrdiff_t rows = OF(gemm_rows, KIND)(job), most = OF(gemm_depth, KIND)(job);
    REAL *sq_norms = scratch, *block = sq_norms + rows + COLUMNS;
    for (ptrdiff_t row = 0; row < job->n_rows; row += rows) {
        ptrdiff_t n_rows = gemm_smaller(rows, job->n_rows - row), k = 0;
        memset(sq_norms, 0, (size_t)(rows + COLUMNS) * sizeof(REAL));
        do { /* once for rows without a feature, too */
            ptrdiff_t depth = gemm_smaller(most, job->depth - k);
            for (ptrdiff_t i = 0; i < n_rows; i += GEMM_ROWS) {
                ptrdiff_t height = gemm_smaller(GEMM_ROWS, n_rows - i);
                OF(gemm_pack, KIND)(job->a + (row + i) * job->depth + k, job->depth,
                                    job->shift ? job->shift + k : NULL, height, depth, block + i * depth,
                                    height, sq_norms + i);
            }
            OF(gemm_block, KIND)(job, block, sq_norms, row, n_rows, k, depth, first, last);
            k += depth;
        } while (k < job->depth);
    }
}

#undef VEC
#undef MEM
#undef LANES
#undef COLUMNS
#undef JOB
