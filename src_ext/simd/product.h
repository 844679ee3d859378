/* Matrix products for layers, out = f(A B^T + bias), on gemm.h's micro-kernel, for REAL of KIND: a template.
 *
 * A layer needs its product three ways round (X W, dout W^T, X^T dout), and the matrices lie as they lie: the
 * packers take an operand row by row, through a transposition (pack.h), or depth by depth, by copying.
 * Both operands are packed for each part anew, since both change from step to step: a packed element is used
 * by 14 x n multiply-adds, which cost a multiple.
 *
 * Parts are blocks of `out`, or where `out` is small beside the depth, of the depth: then each part has a
 * matrix of partial sums, and they are added in order. How a product is cut depends on its shape alone.
 */
#ifndef FASTML_PRODUCT_H
#define FASTML_PRODUCT_H

#include "product_job.h"

enum {
    PRODUCT_BLOCK_BYTES = 1 << 17, /* of packed A */
    PRODUCT_PANEL_BYTES = 1 << 18, /* of packed B */
    PRODUCT_DEPTH_BYTES = 2048,    /* of one row at a time */
    PRODUCT_MAX_PARTS = 32,
    PRODUCT_MIN_DEPTH = 128, /* of a part */
};

/* Multiply-adds of a part: some 15 us at full speed. */
#define PRODUCT_PART_WORK 1.5e6
/* The time to pack an element, row by row or by depth, and to write and add a partial sum, in multiply-adds.
 */
#define PRODUCT_PACK_ROWS 10.0
#define PRODUCT_PACK_DEPTHS 5.0
#define PRODUCT_PARTIAL 20.0

INLINE double product_pack_cost(const product_operand *operand) {
    return operand->by_depth ? PRODUCT_PACK_DEPTHS : PRODUCT_PACK_ROWS;
}

/* Where share i of n even shares of `whole` begins. */
INLINE ptrdiff_t product_share(ptrdiff_t whole, ptrdiff_t i, ptrdiff_t n) { return whole * i / n; }

INLINE ptrdiff_t product_ceil(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

/* The cheapest way to cut into at least as many parts as are worth having. */
SHARED void product_cut(product_job *job, ptrdiff_t columns, ptrdiff_t size) {
    double M = (double)job->n_rows, N = (double)job->n_columns, K = (double)job->depth, best = -1.0;
    double wanted = M * N * K / PRODUCT_PART_WORK;
    ptrdiff_t n_tiles = product_ceil(job->n_rows, GEMM_ROWS),
              n_panels = product_ceil(job->n_columns, columns);
    n_tiles = n_tiles > 0 ? n_tiles : 1; /* sums are to be set where there is no row */
    n_panels = n_panels > 0 ? n_panels : 1;
    wanted = wanted < 1.0 ? 1.0 : wanted > PRODUCT_MAX_PARTS ? PRODUCT_MAX_PARTS : wanted;
    for (ptrdiff_t depths = 1; depths <= PRODUCT_MAX_PARTS; depths *= 2) {
        if (depths > 1 &&
            (job->depth < depths * PRODUCT_MIN_DEPTH || (double)depths * M * N * (double)size > 4e6))
            break;
        for (ptrdiff_t by_column = 1; by_column <= gemm_smaller(n_panels, PRODUCT_MAX_PARTS); by_column++) {
            ptrdiff_t by_row = (ptrdiff_t)(wanted / (double)(depths * by_column) + 0.999);
            by_row = by_row < 1 ? 1 : gemm_smaller(by_row, n_tiles);
            double n_parts = (double)(by_row * by_column * depths);
            double cost = M * K * product_pack_cost(&job->a) * (double)by_column +
                          N * K * product_pack_cost(&job->b) * (double)by_row +
                          (depths > 1 ? M * N * PRODUCT_PARTIAL * (double)depths : 0.0);
            if (n_parts < wanted) /* as if the rest of the threads stood idle */
                cost += M * N * K * (wanted / n_parts - 1.0);
            if (best < 0.0 || cost < best) {
                best = cost;
                job->row_parts = by_row;
                job->column_parts = by_column;
                job->depth_parts = depths;
            }
        }
    }
}

#endif

#include "pack.h"

#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

/* As gemm_pack, of rows that lie depth by depth, `stride` elements from one to the next; rows that are
 * missing are anything, or zeros. */
SHARED void OF(product_copy, KIND)(const REAL *rows, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t depth,
                                   REAL *panel, ptrdiff_t width) {
    ptrdiff_t whole = n_rows / LANES * LANES, n = n_rows - whole;
    /* A whole vector where all of it lies in the matrix: before its last row. */
    ptrdiff_t n_easy = n > 0 && LANES <= stride + n ? depth - 1 : 0;
    for (ptrdiff_t k = 0; k < depth; k++, rows += stride, panel += width) {
        for (ptrdiff_t r = 0; r < whole; r += LANES)
            *(MEM *)(panel + r) = *(const MEM *)(rows + r);
        /* What this writes beyond the width is overwritten by the next depth. */
        if (k < n_easy)
            *(MEM *)(panel + whole) = *(const MEM *)(rows + whole);
        else if (n > 0)
            *(MEM *)(panel + whole) = OF(load_part, KIND)(rows + whole, n);
        for (ptrdiff_t r = whole + (n > 0 ? LANES : 0); r < width; r += LANES)
            *(MEM *)(panel + r) = (VEC){0};
    }
}

/* n_rows rows from `row`, `depth` elements from k, as a panel of `width`; up to LANES - 1 elements beyond it.
 */
SHARED void OF(product_pack, KIND)(const product_operand *operand, ptrdiff_t row, ptrdiff_t n_rows,
                                   ptrdiff_t k, ptrdiff_t depth, REAL *panel, ptrdiff_t width) {
    const REAL *data = operand->data, *rows[GEMM_ROWS + COLUMNS + LANES];
    if (operand->by_depth) {
        OF(product_copy, KIND)(data + k * operand->stride + row, operand->stride, n_rows, depth, panel,
                               width);
        return;
    }
    for (ptrdiff_t i = 0; i < product_ceil(width, LANES) * LANES; i++)
        rows[i] = data + (row + gemm_smaller(i, n_rows - 1)) * operand->stride + k;
    OF(pack_rows, KIND)(rows, depth, panel, width);
}

INLINE ptrdiff_t OF(product_piece, KIND)(ptrdiff_t depth) {
    ptrdiff_t most = PRODUCT_DEPTH_BYTES / (ptrdiff_t)sizeof(REAL), n = product_ceil(depth, most);
    return n > 1 ? product_ceil(depth, n) : depth;
}

/* Rows of A, and columns of B, to be packed at a time. */
INLINE ptrdiff_t OF(product_rows, KIND)(ptrdiff_t n_rows, ptrdiff_t piece) {
    ptrdiff_t most = PRODUCT_BLOCK_BYTES / (ptrdiff_t)sizeof(REAL) / (piece + 1) / GEMM_ROWS * GEMM_ROWS;
    return gemm_smaller(n_rows, most < GEMM_ROWS ? GEMM_ROWS : most);
}

INLINE ptrdiff_t OF(product_columns, KIND)(ptrdiff_t n_columns, ptrdiff_t piece) {
    ptrdiff_t most = PRODUCT_PANEL_BYTES / (ptrdiff_t)sizeof(REAL) / (piece + 1) / COLUMNS * COLUMNS;
    return gemm_smaller(product_ceil(n_columns, COLUMNS) * COLUMNS, most < COLUMNS ? COLUMNS : most);
}

static void OF(product_plan, KIND)(product_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL);
    product_cut(job, COLUMNS, size);
    ptrdiff_t n_values = job->n_rows * job->n_columns;
    ptrdiff_t piece = OF(product_piece, KIND)(product_ceil(job->depth, job->depth_parts));
    /* Shares of rows and columns are even to a tile and a panel. */
    ptrdiff_t rows = OF(product_rows, KIND)(job->n_rows, piece);
    ptrdiff_t columns = OF(product_columns, KIND)(job->n_columns, piece);
    bool is_split = job->depth_parts > 1;
    job->n_parts = job->row_parts * job->column_parts * job->depth_parts;
    job->n_sum_parts = (is_split ? gemm_smaller(product_ceil(n_values, 4096), PRODUCT_MAX_PARTS) : 0);
    job->partial_bytes = is_split ? (size_t)(job->depth_parts * n_values * size) : 0;
    job->scratch_bytes = (size_t)((rows * piece + columns * piece + 4 * LANES) * size);
}

/* bias and relu, of a tile that holds whole sums. */
INLINE void OF(product_finish, KIND)(const product_job *job, VEC *tile, int height, ptrdiff_t column) {
    const REAL *bias = job->bias;
    for (int v = 0; v < GEMM_VECTORS; v++) {
        VEC of_columns = (VEC){0};
        if (bias)
            of_columns = OF(load_up_to, KIND)(bias + column + v * LANES, job->n_columns - column - v * LANES);
        for (int i = 0; i < height; i++) {
            VEC *values = &tile[i * GEMM_VECTORS + v];
            *values += of_columns;
            if (job->relu)
                *values = OF(at_least, KIND)((VEC){0}, *values);
        }
    }
}

/* The packed rows [row, row + n_rows) times the packed columns [column, end), for a piece of the depth. */
SHARED void OF(product_block, KIND)(const product_job *job, REAL *out, const REAL *a, const REAL *b,
                                    ptrdiff_t row, ptrdiff_t n_rows, ptrdiff_t column, ptrdiff_t end,
                                    ptrdiff_t depth, bool first, bool finish) {
    ptrdiff_t n_tiles = product_ceil(n_rows, GEMM_ROWS), stride = job->n_columns;
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    for (; column < end; column += COLUMNS, b += depth * COLUMNS) {
        ptrdiff_t n_columns = gemm_smaller(COLUMNS, stride - column);
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t i = product_share(n_rows, t, n_tiles);
            int height = (int)(product_share(n_rows, t + 1, n_tiles) - i);
            REAL *at = out + (row + i) * stride + column;
            if (!first)
                OF(gemm_load, KIND)(tile, at, stride, height, n_columns);
            OF(gemm_tile, KIND)(depth, a + i * depth, b, NULL, tile, first, NULL, 0, height);
            if (finish)
                OF(product_finish, KIND)(job, tile, height, column);
            OF(gemm_store, KIND)(tile, at, stride, height, n_columns);
        }
    }
}

/* The block [row, row_end) x [column, column_end) of the product over the depths [k, k_end), whose packed
   columns fit the cache. */
SHARED void OF(product_columns_run, KIND)(const product_job *job, REAL *out, ptrdiff_t row, ptrdiff_t row_end,
                                          ptrdiff_t column, ptrdiff_t column_end, ptrdiff_t k,
                                          ptrdiff_t k_end, bool finish, REAL *scratch) {
    ptrdiff_t piece = OF(product_piece, KIND)(k_end - k);
    ptrdiff_t most_rows = OF(product_rows, KIND)(row_end - row, piece);
    REAL *a = scratch, *b = scratch + most_rows * piece + LANES;
    bool first = true;
    do { /* once for no depth at all, too */
        ptrdiff_t depth = gemm_smaller(piece, k_end - k);
        for (ptrdiff_t j = column; j < column_end; j += COLUMNS)
            OF(product_pack, KIND)(&job->b, j, gemm_smaller(COLUMNS, job->n_columns - j), k, depth,
                                   b + (j - column) * depth, COLUMNS);
        for (ptrdiff_t i = row; i < row_end; i += most_rows) {
            ptrdiff_t n_rows = gemm_smaller(most_rows, row_end - i),
                      n_tiles = product_ceil(n_rows, GEMM_ROWS);
            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                ptrdiff_t of_tile = product_share(n_rows, t, n_tiles);
                ptrdiff_t height = product_share(n_rows, t + 1, n_tiles) - of_tile;
                OF(product_pack, KIND)(&job->a, i + of_tile, height, k, depth, a + of_tile * depth, height);
            }
            OF(product_block, KIND)(job, out, a, b, i, n_rows, column, column_end, depth, first,
                                    finish && k + depth == k_end);
        }
        first = false;
        k += depth;
    } while (k < k_end);
}

SHARED void OF(product_sums_of_b, KIND)(const product_job *job, ptrdiff_t column, ptrdiff_t end) {
    const REAL *b = job->b.data;
    REAL *sums = job->sums_of_b;
    for (; column < end; column += LANES) {
        VEC sum = {0};
        for (ptrdiff_t k = 0; k < job->depth; k++)
            sum += OF(load_up_to, KIND)(b + k * job->b.stride + column, end - column);
        OF(store_up_to, KIND)(sums + column, sum, end - column);
    }
}

/* A part: of the blocks' numbers, that of the rows changes first, that of the depths last. */
static void OF(product_run, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const product_job *job = context;
    ptrdiff_t r = part % job->row_parts, c = part / job->row_parts % job->column_parts;
    ptrdiff_t d = part / job->row_parts / job->column_parts;
    ptrdiff_t n_tiles = product_ceil(job->n_rows, GEMM_ROWS),
              n_panels = product_ceil(job->n_columns, COLUMNS);
    ptrdiff_t row = product_share(n_tiles, r, job->row_parts) * GEMM_ROWS;
    ptrdiff_t row_end = gemm_smaller(product_share(n_tiles, r + 1, job->row_parts) * GEMM_ROWS, job->n_rows);
    ptrdiff_t column = product_share(n_panels, c, job->column_parts) * COLUMNS;
    ptrdiff_t end = gemm_smaller(product_share(n_panels, c + 1, job->column_parts) * COLUMNS, job->n_columns);
    ptrdiff_t k = product_share(job->depth, d, job->depth_parts);
    ptrdiff_t k_end = product_share(job->depth, d + 1, job->depth_parts);
    bool is_split = job->depth_parts > 1;
    REAL *out = is_split ? (REAL *)job->partial + d * job->n_rows * job->n_columns : (REAL *)job->out;
    ptrdiff_t most = OF(product_columns, KIND)(end - column, OF(product_piece, KIND)(k_end - k));
    if (job->sums_of_b && r == 0 && d == 0)
        OF(product_sums_of_b, KIND)(job, column, end);
    for (ptrdiff_t j = column; j < end; j += most)
        OF(product_columns_run, KIND)(job, out, row, row_end, j, gemm_smaller(j + most, end), k, k_end,
                                      !is_split, scratch);
}

/* A share of the values of `out`, whole vectors of them, from the depth parts' sums. */
static void OF(product_sum, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const product_job *job = context;
    const REAL *partial = job->partial, *bias = job->bias;
    REAL *out = job->out;
    ptrdiff_t n_columns = job->n_columns, n_values = job->n_rows * n_columns;
    ptrdiff_t first = product_share(job->n_rows, part, job->n_sum_parts);
    ptrdiff_t last = product_share(job->n_rows, part + 1, job->n_sum_parts);
    for (ptrdiff_t row = first; row < last; row++)
        for (ptrdiff_t j = 0; j < n_columns; j += LANES) {
            ptrdiff_t at = row * n_columns + j, n = n_columns - j;
            VEC sum = OF(load_up_to, KIND)(partial + at, n);
            for (ptrdiff_t d = 1; d < job->depth_parts; d++)
                sum += OF(load_up_to, KIND)(partial + d * n_values + at, n);
            if (bias)
                sum += OF(load_up_to, KIND)(bias + j, n);
            if (job->relu)
                sum = OF(at_least, KIND)((VEC){0}, sum);
            OF(store_up_to, KIND)(out + at, sum, n);
        }
}

#undef VEC
#undef MEM
#undef LANES
#undef COLUMNS
