/* Matrix products for layers, out = f(A B^T + bias), on gemm.h's micro-kernel, for REAL of KIND: a template.
 *
 * A layer needs its product three ways round (X W, dout W^T, X^T dout), and the matrices lie as they lie: the
 * packers take an operand row by row, through a transposition (pack.h), or depth by depth, by copying.
 * Both operands are packed for each part anew, since both change from step to step: a packed element is used
 * by 14 x n multiply-adds, which cost a multiple. The smaller one is packed first and kept, the other by a
 * few tiles at a time, whose lines are fetched while those before them are multiplied.
 *
 * Parts are blocks of `out`, or where `out` is small beside the depth, of the depth: then each part has a
 * matrix of partial sums, and they are added in order. How a depth is cut depends on the shape alone, and
 * with it each sum's order; more rows and columns to a part are packed less often, so that these are cut for
 * the number of threads.
 *
 * Measured on one core with AVX-512, in GFLOP/s of 216 that multiply-adds alone reach, X W, dout W^T and
 * X^T dout of 128 rows: 5408 x 128 weights 155, 161, 155 (packed all at once, and in 32 parts: 129, 147,
 * 132), 784 x 256 158, 158, 159 (133, 147, 152).
 */
#ifndef FASTML_PRODUCT_H
#define FASTML_PRODUCT_H

#include "product_cut.h"

/* Of a matrix's lines, those in n_rows runs of n_lines each, `stride` bytes from one to the next; `row` and
   `line` are the next one's: first the first lines of all runs. */
typedef struct {
    const char *at;
    ptrdiff_t stride, n_rows, n_lines, row, line;
} product_lines;

/* What is to be packed next, and after that. */
typedef struct {
    product_lines soon, later;
} product_ahead;

/* Where the rows [row, row_end) of an operand lie, depths [k, k_end). */
INLINE product_lines product_source(const product_operand *operand, ptrdiff_t row, ptrdiff_t row_end,
                                    ptrdiff_t k, ptrdiff_t k_end, ptrdiff_t size) {
    ptrdiff_t runs = operand->by_depth ? k : row, runs_end = operand->by_depth ? k_end : row_end;
    ptrdiff_t first = operand->by_depth ? row : k, end = operand->by_depth ? row_end : k_end;
    const char *at = (const char *)operand->data + (runs * operand->stride + first) * size;
    product_lines lines = {
        at, operand->stride * size, runs_end - runs, product_ceil((end - first) * size, 64), 0, 0};
    return lines;
}

/* The next of them, at most so many. */
INLINE gemm_lines product_fetch(product_ahead *ahead, ptrdiff_t most) {
    product_lines *of = ahead->soon.line < ahead->soon.n_lines ? &ahead->soon : &ahead->later;
    gemm_lines lines = {0};
    if (of->line == of->n_lines)
        return lines;
    lines.at = of->at + of->row * of->stride + of->line * 64;
    lines.step = of->stride;
    lines.n = gemm_smaller(most, of->n_rows - of->row);
    of->row += lines.n;
    if (of->row == of->n_rows) {
        of->row = 0;
        of->line++;
    }
    return lines;
}

#endif

#include "pack.h"

#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)
#define BLOCK OF(product_block_of, KIND)

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

/* Elements that n packed rows, or columns, need at most, whatever the depth of a part's pieces, up to
 * `piece`. */
INLINE ptrdiff_t OF(product_room, KIND)(ptrdiff_t n, ptrdiff_t bytes, ptrdiff_t least, ptrdiff_t piece) {
    ptrdiff_t block = bytes / (ptrdiff_t)sizeof(REAL), unit = least * piece;
    return gemm_smaller(n * piece, block > unit ? block : unit) + LANES;
}

INLINE ptrdiff_t OF(product_room_of_a, KIND)(const product_job *job) {
    ptrdiff_t piece = OF(product_piece, KIND)(product_ceil(job->depth, job->depth_parts));
    return OF(product_room, KIND)(job->n_rows, PRODUCT_BLOCK_BYTES, PRODUCT_TILES * GEMM_ROWS, piece);
}

static void OF(product_plan, KIND)(product_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL);
    if (product_by_unit(job)) {
        job->row_parts = job->row_unit ? product_ceil(job->n_rows, job->row_unit) : 1;
        job->column_parts = job->column_unit ? product_ceil(job->n_columns, job->column_unit) : 1;
        job->depth_parts = 1;
    } else {
        product_cut(job, COLUMNS, size);
    }
    ptrdiff_t n_values = job->n_rows * job->n_columns;
    ptrdiff_t piece = OF(product_piece, KIND)(product_ceil(job->depth, job->depth_parts));
    ptrdiff_t columns = product_ceil(job->n_columns, COLUMNS) * COLUMNS;
    bool is_split = job->depth_parts > 1;
    job->n_parts = job->row_parts * job->column_parts * job->depth_parts;
    job->n_sum_parts = (is_split ? gemm_smaller(product_ceil(n_values, 4096), PRODUCT_MAX_PARTS) : 0);
    if (product_by_unit(job)) {
        /* A panel of columns writes nothing beyond its end, a tile of rows does. */
        job->n_pack_parts = job->column_unit ? 1 : columns / COLUMNS;
        job->packed_bytes =
            (size_t)(((job->column_unit ? job->n_rows : columns) * job->depth + LANES) * size);
    }
    job->partial_bytes = is_split ? (size_t)(job->depth_parts * n_values * size) : 0;
    job->scratch_bytes = (size_t)((OF(product_room_of_a, KIND)(job) +
                                   OF(product_room, KIND)(columns, PRODUCT_PANEL_BYTES, COLUMNS, piece)) *
                                  size);
}

/* bias and relu, of a tile that holds whole sums: of the columns from `column` on, of n_columns in all. */
INLINE void OF(product_finish, KIND)(VEC *tile, int height, const REAL *bias, bool relu, ptrdiff_t column,
                                     ptrdiff_t n_columns) {
    for (int v = 0; v < GEMM_VECTORS; v++) {
        VEC of_columns = (VEC){0};
        if (bias)
            of_columns = OF(load_up_to, KIND)(bias + column + v * LANES, n_columns - column - v * LANES);
        for (int i = 0; i < height; i++) {
            VEC *values = &tile[i * GEMM_VECTORS + v];
            *values += of_columns;
            if (relu)
                *values = OF(at_least, KIND)((VEC){0}, *values);
        }
    }
}

/* A block of `out`, [row, row_end) x [column, column_end) over the depths [k, k_end), which starts at zero if
   `first` and is `bias` and relu away from the product if `last`. */
typedef struct {
    REAL *out;
    ptrdiff_t row, row_end, column, column_end, k, k_end;
    bool first, last;
} BLOCK;

/* Block i of a part: of `most` rows (or columns) after the other, and each of n_pieces shares of the depths.
 */
INLINE BLOCK OF(product_block, KIND)(const BLOCK *whole, bool by_rows, ptrdiff_t most, ptrdiff_t n_pieces,
                                     ptrdiff_t i) {
    BLOCK block = *whole;
    ptrdiff_t from = i / n_pieces * most, piece = i % n_pieces, depth = whole->k_end - whole->k;
    if (by_rows) {
        block.row += from;
        block.row_end = gemm_smaller(block.row + most, whole->row_end);
    } else {
        block.column += from;
        block.column_end = gemm_smaller(block.column + most, whole->column_end);
    }
    block.k = whole->k + product_share(depth, piece, n_pieces);
    block.k_end = whole->k + product_share(depth, piece + 1, n_pieces);
    block.first = piece == 0;
    block.last = whole->last && piece == n_pieces - 1;
    return block;
}

/* The packed rows [row, row + height) times the packed columns from `column` on, one tile. */
SHARED void OF(product_tile, KIND)(const product_job *job, const BLOCK *block, const REAL *a, const REAL *b,
                                   ptrdiff_t row, int height, ptrdiff_t column, product_ahead *ahead) {
    ptrdiff_t depth = block->k_end - block->k, stride = job->n_columns;
    ptrdiff_t n_columns = gemm_smaller(COLUMNS, stride - column);
    REAL *at = block->out + row * stride + column;
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    if (!block->first)
        OF(gemm_load, KIND)(tile, at, stride, height, n_columns);
    else /* stores to lines that are not in the cache would hold up the next tile */
        for (int i = 0; i < height; i++)
            for (ptrdiff_t j = 0; j < n_columns; j += 64 / (ptrdiff_t)sizeof(REAL))
                __builtin_prefetch(at + i * stride + j, 0, 3);
    OF(gemm_tile, KIND)(depth, a, b, NULL, tile, block->first, product_fetch(ahead, depth), height);
    if (block->last)
        OF(product_finish, KIND)(tile, height, job->bias, job->relu, column, stride);
    OF(gemm_store, KIND)(tile, at, stride, height, n_columns);
}

/* Tile t of the block's n_tiles rows of tiles: where it begins, relative to the block, or ends for t + 1. */
INLINE ptrdiff_t OF(product_tile_row, KIND)(const BLOCK *block, ptrdiff_t t) {
    ptrdiff_t n_rows = block->row_end - block->row;
    return product_share(n_rows, t, product_ceil(n_rows, GEMM_ROWS));
}

/* At most PRODUCT_TILES tiles of the block's rows, [t, t_end), one after the other. What lies depth by depth
   is copied across them: each depth may be on a page of its own. */
SHARED void OF(product_pack_tiles, KIND)(const product_job *job, const BLOCK *block, ptrdiff_t t,
                                         ptrdiff_t t_end, REAL *panels) {
    ptrdiff_t depth = block->k_end - block->k, stride = job->a.stride, starts[PRODUCT_TILES + 1];
    ptrdiff_t n = t_end - t, origin = OF(product_tile_row, KIND)(block, t);
    for (ptrdiff_t i = 0; i <= n; i++)
        starts[i] = OF(product_tile_row, KIND)(block, t + i) - origin;
    if (!job->a.by_depth) {
        for (ptrdiff_t i = 0; i < n; i++)
            OF(product_pack, KIND)(&job->a, block->row + origin + starts[i], starts[i + 1] - starts[i],
                                   block->k, depth, panels + starts[i] * depth, starts[i + 1] - starts[i]);
        return;
    }
    const REAL *rows = (const REAL *)job->a.data + block->k * stride + block->row + origin;
    for (ptrdiff_t k = 0; k < depth; k++, rows += stride)
        for (ptrdiff_t i = 0; i < n; i++) {
            const REAL *from = rows + starts[i];
            ptrdiff_t height = starts[i + 1] - starts[i];
            REAL *to = panels + starts[i] * depth + k * height;
            /* Whole vectors where what is read lies in the matrix, and what is written beyond the tile will
               be overwritten by its next depths. */
            bool whole = LANES <= (depth - 1 - k) * height && LANES <= stride + height % LANES;
            for (ptrdiff_t r = 0; r < height; r += LANES)
                if (whole)
                    *(MEM *)(to + r) = *(const MEM *)(from + r);
                else
                    OF(store_up_to, KIND)(to + r, OF(load_up_to, KIND)(from + r, height - r), height - r);
        }
}

SHARED void OF(product_pack_columns, KIND)(const product_job *job, const BLOCK *block, ptrdiff_t column,
                                           REAL *panel) {
    OF(product_pack, KIND)(&job->b, column, gemm_smaller(COLUMNS, job->n_columns - column), block->k,
                           block->k_end - block->k, panel, COLUMNS);
}

/* Rows, or columns, that are kept packed while the others pass by. */
SHARED void OF(product_pack_rows, KIND)(const product_job *job, const BLOCK *block, REAL *a) {
    ptrdiff_t depth = block->k_end - block->k, n_tiles = product_ceil(block->row_end - block->row, GEMM_ROWS);
    for (ptrdiff_t t = 0; t < n_tiles; t += PRODUCT_TILES)
        OF(product_pack_tiles, KIND)(job, block, t, gemm_smaller(t + PRODUCT_TILES, n_tiles),
                                     a + OF(product_tile_row, KIND)(block, t) * depth);
}

/* Where a piece's are, of what is packed once. */
INLINE REAL *OF(product_packed, KIND)(const product_job *job, const BLOCK *block) {
    ptrdiff_t columns = product_ceil(job->n_columns, COLUMNS) * COLUMNS;
    return (REAL *)job->packed + (job->column_unit ? job->n_rows : columns) * block->k;
}

/* A block of few rows: its columns are packed panel by panel. `next`: the block after it, or NULL. */
SHARED void OF(product_few_rows, KIND)(const product_job *job, const BLOCK *block, const BLOCK *next, REAL *a,
                                       REAL *b) {
    ptrdiff_t depth = block->k_end - block->k, n_tiles = product_ceil(block->row_end - block->row, GEMM_ROWS);
    product_ahead ahead = {0};
    if (job->packed) {
        a = OF(product_packed, KIND)(job, block);
    } else {
        OF(product_pack_rows, KIND)(job, block, a);
        if (next)
            ahead.later =
                product_source(&job->a, next->row, next->row_end, next->k, next->k_end, sizeof(REAL));
    }
    for (ptrdiff_t column = block->column; column < block->column_end; column += COLUMNS) {
        const BLOCK *of = column + COLUMNS < block->column_end ? block : next;
        OF(product_pack_columns, KIND)(job, block, column, b);
        ahead.soon = (product_lines){0};
        if (of) {
            ptrdiff_t after = of == block ? column + COLUMNS : of->column;
            ahead.soon = product_source(&job->b, after, gemm_smaller(after + COLUMNS, job->n_columns), of->k,
                                        of->k_end, sizeof(REAL));
        }
        for (ptrdiff_t t = 0; t < n_tiles; t++) {
            ptrdiff_t i = OF(product_tile_row, KIND)(block, t);
            int height = (int)(OF(product_tile_row, KIND)(block, t + 1) - i);
            OF(product_tile, KIND)(job, block, a + i * depth, b, block->row + i, height, column, &ahead);
        }
    }
}

/* A block of few columns: its rows are packed a few tiles at a time. */
SHARED void OF(product_few_columns, KIND)(const product_job *job, const BLOCK *block, const BLOCK *next,
                                          REAL *a, REAL *b) {
    ptrdiff_t depth = block->k_end - block->k, n_tiles = product_ceil(block->row_end - block->row, GEMM_ROWS);
    product_ahead ahead = {0};
    if (job->packed) {
        b = OF(product_packed, KIND)(job, block);
    } else {
        for (ptrdiff_t column = block->column; column < block->column_end; column += COLUMNS)
            OF(product_pack_columns, KIND)(job, block, column, b + (column - block->column) * depth);
        if (next)
            ahead.later =
                product_source(&job->b, next->column, next->column_end, next->k, next->k_end, sizeof(REAL));
    }
    for (ptrdiff_t t = 0, t_end; t < n_tiles; t = t_end) {
        t_end = gemm_smaller(t + PRODUCT_TILES, n_tiles);
        ptrdiff_t origin = OF(product_tile_row, KIND)(block, t);
        const BLOCK *of = t_end < n_tiles ? block : next;
        OF(product_pack_tiles, KIND)(job, block, t, t_end, a);
        ahead.soon = (product_lines){0};
        if (of) {
            ptrdiff_t after = of == block ? t_end : 0;
            ptrdiff_t of_tiles = product_ceil(of->row_end - of->row, GEMM_ROWS);
            ahead.soon = product_source(
                &job->a, of->row + OF(product_tile_row, KIND)(of, after),
                of->row + OF(product_tile_row, KIND)(of, gemm_smaller(after + PRODUCT_TILES, of_tiles)),
                of->k, of->k_end, sizeof(REAL));
        }
        for (ptrdiff_t column = block->column; column < block->column_end; column += COLUMNS)
            for (ptrdiff_t here = t; here < t_end; here++) {
                ptrdiff_t i = OF(product_tile_row, KIND)(block, here);
                int height = (int)(OF(product_tile_row, KIND)(block, here + 1) - i);
                OF(product_tile, KIND)(job, block, a + (i - origin) * depth,
                                       b + (column - block->column) * depth, block->row + i, height, column,
                                       &ahead);
            }
    }
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
INLINE BLOCK OF(product_part, KIND)(const product_job *job, ptrdiff_t part) {
    ptrdiff_t r = part % job->row_parts, c = part / job->row_parts % job->column_parts;
    ptrdiff_t d = part / job->row_parts / job->column_parts;
    BLOCK block = {job->out};
    block.row = product_begin(job->n_rows, r, job->row_parts, GEMM_ROWS, job->row_unit);
    block.row_end = product_begin(job->n_rows, r + 1, job->row_parts, GEMM_ROWS, job->row_unit);
    block.column = product_begin(job->n_columns, c, job->column_parts, COLUMNS, job->column_unit);
    block.column_end = product_begin(job->n_columns, c + 1, job->column_parts, COLUMNS, job->column_unit);
    block.k = product_share(job->depth, d, job->depth_parts);
    block.k_end = product_share(job->depth, d + 1, job->depth_parts);
    block.first = true;
    block.last = job->depth_parts == 1;
    if (!block.last)
        block.out = (REAL *)job->partial + d * job->n_rows * job->n_columns;
    return block;
}

INLINE ptrdiff_t OF(product_n_pieces, KIND)(const BLOCK *whole) {
    ptrdiff_t depth = whole->k_end - whole->k, piece = OF(product_piece, KIND)(depth);
    return piece ? product_ceil(depth, piece) : 1; /* one without depth sets sums, too */
}

/* What all parts need of the operand that is not cut: a panel of columns, or all the rows. */
static void OF(product_pack_once, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const product_job *job = context;
    BLOCK whole = {NULL, 0, job->n_rows, 0, job->n_columns, 0, job->depth, true, true};
    ptrdiff_t n_pieces = OF(product_n_pieces, KIND)(&whole), column = part * COLUMNS;
    for (ptrdiff_t i = 0; i < n_pieces; i++) {
        BLOCK piece = OF(product_block, KIND)(&whole, true, job->n_rows, n_pieces, i);
        REAL *packed = OF(product_packed, KIND)(job, &piece);
        if (job->column_unit)
            OF(product_pack_rows, KIND)(job, &piece, packed);
        else
            OF(product_pack_columns, KIND)(job, &piece, column, packed + column * (piece.k_end - piece.k));
    }
}

static void OF(product_run, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const product_job *job = context;
    const BLOCK whole = OF(product_part, KIND)(job, part);
    if (job->sums_of_b && whole.row == 0 && whole.k == 0)
        OF(product_sums_of_b, KIND)(job, whole.column, whole.column_end);
    /* What is smaller is kept packed while the other passes by, block by block if it has to be. */
    ptrdiff_t n_rows = whole.row_end - whole.row, n_columns = whole.column_end - whole.column;
    bool few_rows = job->packed ? job->column_unit > 0 : n_rows <= n_columns;
    ptrdiff_t n_pieces = OF(product_n_pieces, KIND)(&whole);
    ptrdiff_t piece = OF(product_piece, KIND)(whole.k_end - whole.k), kept = few_rows ? n_rows : n_columns;
    ptrdiff_t most = few_rows ? OF(product_rows, KIND)(kept, piece) : OF(product_columns, KIND)(kept, piece);
    most = job->packed ? kept : most;
    ptrdiff_t n_blocks = (kept > most ? product_ceil(kept, most) : 1) * n_pieces;
    REAL *a = scratch, *b = a + OF(product_room_of_a, KIND)(job);
    BLOCK block = OF(product_block, KIND)(&whole, few_rows, most, n_pieces, 0), next;
    for (ptrdiff_t i = 0; i < n_blocks; i++, block = next) {
        const BLOCK *after = NULL;
        if (i + 1 < n_blocks) {
            next = OF(product_block, KIND)(&whole, few_rows, most, n_pieces, i + 1);
            after = &next;
        }
        if (few_rows)
            OF(product_few_rows, KIND)(job, &block, after, a, b);
        else
            OF(product_few_columns, KIND)(job, &block, after, a, b);
    }
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
#undef BLOCK
