/* A share's part of the moments, in the arithmetic REAL of KIND: a template. What X is made of is
 * moments_dense.h's and moments_csr.h's business.
 *
 * Rows z = (x - shift, 1, y - shift), padded with zeros, are laid out block by block, and multiplied with
 * themselves by gemm.h's micro-kernel, whose depth are the rows of a block: of the product, the tiles on and
 * below the diagonal, and of their columns those of x and of 1. A tile's sum over a block is added to float64
 * sums that lie tile by tile, so that no part of it is looked at until all rows have gone by.
 *
 * Shares have rows of their own, and sums; where these would be large, columns of their own over all rows, so
 * that there is one table of sums.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)
#define LAYOUT OF(moments_layout, KIND)
#define VALUE OF(moments_value, KIND)

#ifndef FASTML_GLM_MOMENTS_PASS_H
#define FASTML_GLM_MOMENTS_PASS_H

enum {
    MOMENTS_ROWS = 256, /* of a block: what a chain of float32 sums may be long */
    LEAST_MOMENTS_ROWS = 32,
    MOMENTS_BLOCK_BYTES = 1 << 20,
    MOMENTS_SUMS_BYTES = 4 << 20, /* of a share; more are not kept twice */
};

/* Lines that are still to be fetched, and how many of them while a tile is made. */
typedef struct {
    const char *at;
    ptrdiff_t n_lines, a_tile;
} moments_ahead;

INLINE ptrdiff_t moments_smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE size_t moments_lines(ptrdiff_t n, size_t size) { return ((size_t)n * size + 63) / 64 * 64; }

#endif

typedef REAL VALUE;

typedef struct {
    ptrdiff_t width, height;     /* of the table of moments */
    ptrdiff_t n_panels, n_tiles; /* of columns; of rows */
    ptrdiff_t stride, depth;     /* of a block: from row to row; rows */
    bool by_panels;              /* shares have columns of their own, not rows */
    size_t sums_bytes, share_bytes;
} LAYOUT;

/* The first tile of rows that a panel of columns needs. */
INLINE ptrdiff_t OF(moments_first, KIND)(ptrdiff_t panel) { return panel * COLUMNS / GEMM_ROWS; }

INLINE LAYOUT OF(moments_layout_of, KIND)(const moments_job *job) {
    LAYOUT layout = {.width = job->x.n_features + 1, .height = job->x.n_features + 1 + job->n_targets};
    layout.n_panels = (layout.width + COLUMNS - 1) / COLUMNS;
    layout.n_tiles = (layout.height + GEMM_ROWS - 1) / GEMM_ROWS;
    ptrdiff_t wide = layout.n_panels * COLUMNS, tall = layout.n_tiles * GEMM_ROWS;
    layout.stride = wide > tall ? wide : tall;
    ptrdiff_t rows = MOMENTS_BLOCK_BYTES / (layout.stride * (ptrdiff_t)sizeof(REAL));
    layout.depth = rows > MOMENTS_ROWS ? MOMENTS_ROWS : rows < LEAST_MOMENTS_ROWS ? LEAST_MOMENTS_ROWS : rows;
    ptrdiff_t n_sums = 0;
    for (ptrdiff_t j = 0; j < layout.n_panels; j++)
        n_sums += layout.n_tiles - OF(moments_first, KIND)(j);
    layout.sums_bytes = moments_lines(n_sums * GEMM_ROWS * COLUMNS, sizeof(double));
    layout.by_panels = layout.sums_bytes > MOMENTS_SUMS_BYTES;
    /* Rows, the same in tiles' order, a panel, weights, and the shift. */
    layout.share_bytes =
        moments_lines(layout.depth * (2 * layout.stride + COLUMNS + 1) + layout.width, sizeof(REAL));
    return layout;
}

static size_t OF(moments_bytes, KIND)(const moments_job *job) {
    LAYOUT layout = OF(moments_layout_of, KIND)(job);
    return (size_t)job->n_shares * layout.share_bytes +
           (size_t)(layout.by_panels ? 1 : job->n_shares) * layout.sums_bytes;
}

INLINE double *OF(moments_sums, KIND)(const moments_job *job, const LAYOUT *layout, int share) {
    char *sums = (char *)job->scratch + (size_t)job->n_shares * layout->share_bytes;
    return (double *)(sums + (layout->by_panels ? 0 : (size_t)share * layout->sums_bytes));
}

/* x - shift of row i. */
typedef void OF(moments_take, KIND)(const moments_job *job, const REAL *shift, ptrdiff_t i, REAL *row);

/* Rows from `first` on of those to take, up to the layout's depth, but for rows of weight 0; how many. */
INLINE ptrdiff_t OF(moments_fill, KIND)(const moments_job *job, const LAYOUT *layout, ptrdiff_t first,
                                        ptrdiff_t end, const REAL *shift, REAL *rows, REAL *weights,
                                        OF(moments_take, KIND) * take) {
    const ptrdiff_t n_features = job->x.n_features;
    const double *of_targets = job->shift + n_features;
    ptrdiff_t n = 0;
    for (ptrdiff_t at = first; at < end; at++) {
        const ptrdiff_t i = job->rows ? job->rows[at] : at;
        if (job->weight && job->weight[i] == 0.0)
            continue;
        REAL *row = rows + n * layout->stride;
        take(job, shift, i, row);
        row[n_features] = (REAL)1.0;
        for (ptrdiff_t k = 0; k < job->n_targets; k++) {
            double y = job->target                                        ? job->target[k * job->x.n_rows + i]
                       : job->x.label[i] == (job->n_targets == 1 ? 1 : k) ? 1.0
                                                                          : -1.0;
            row[n_features + 1 + k] = (REAL)(y - of_targets[k]);
        }
        weights[n++] = job->weight ? (REAL)job->weight[i] : (REAL)1.0;
    }
    return n;
}

/* Elements of each row, beside each other; width is a constant. */
INLINE void OF(moments_pack, KIND)(const REAL *rows, ptrdiff_t stride, ptrdiff_t n_rows, REAL *packed,
                                   const ptrdiff_t width) {
    for (ptrdiff_t r = 0; r < n_rows; r++)
        memcpy(packed + r * width, rows + r * stride, (size_t)width * sizeof(REAL));
}

/* A tile of which only the first vector of columns is wanted: beside the diagonal, and at the right end. */
SHARED void OF(moments_narrow, KIND)(ptrdiff_t depth, const REAL *restrict a, const REAL *restrict b,
                                     VEC *restrict tile) {
    VEC sum[GEMM_ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < GEMM_ROWS; i++)
        sum[i] = (VEC){0};
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < depth; k++, a += GEMM_ROWS, b += COLUMNS) {
        VEC of_b = *(const MEM *)b;
#pragma GCC unroll 16
        for (int i = 0; i < GEMM_ROWS; i++)
            sum[i] += a[i] * of_b;
    }
#pragma GCC unroll 16
    for (int i = 0; i < GEMM_ROWS; i++) {
        tile[i * GEMM_VECTORS] = sum[i];
        tile[i * GEMM_VECTORS + 1] = (VEC){0};
    }
}

INLINE void OF(moments_add, KIND)(const VEC *tile, double *sums) {
    const REAL *values = (const REAL *)tile;
    for (int k = 0; k < GEMM_ROWS * COLUMNS; k++)
        sums[k] += (double)values[k];
}

/* Zeros where this share adds. */
INLINE void OF(moments_clear, KIND)(const moments_job *job, const LAYOUT *layout, int share, double *sums) {
    for (ptrdiff_t j = 0; j < layout->n_panels; j++) {
        const ptrdiff_t n = (layout->n_tiles - OF(moments_first, KIND)(j)) * GEMM_ROWS * COLUMNS;
        if (!layout->by_panels || j % job->n_shares == share)
            memset(sums, 0, (size_t)n * sizeof(double));
        sums += n;
    }
}

/* The products of a block that is laid out; meanwhile the next one's rows come into the cache. */
INLINE void OF(moments_block, KIND)(const moments_job *job, const LAYOUT *layout, int share, const REAL *rows,
                                    ptrdiff_t n_rows, REAL *packed, REAL *panel, const REAL *weights,
                                    double *sums, moments_ahead ahead) {
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    for (ptrdiff_t i = 0; i < layout->n_tiles; i++)
        OF(moments_pack, KIND)(rows + i * GEMM_ROWS, layout->stride, n_rows, packed + i * GEMM_ROWS * n_rows,
                               GEMM_ROWS);
    for (ptrdiff_t j = 0; j < layout->n_panels; j++) {
        const ptrdiff_t first = OF(moments_first, KIND)(j);
        if (layout->by_panels && j % job->n_shares != share) {
            sums += (layout->n_tiles - first) * GEMM_ROWS * COLUMNS;
            continue;
        }
        OF(moments_pack, KIND)(rows + j * COLUMNS, layout->stride, n_rows, panel, COLUMNS);
        for (ptrdiff_t r = 0; job->weight && r < n_rows; r++)
            for (ptrdiff_t c = 0; c < COLUMNS; c++)
                panel[r * COLUMNS + c] *= weights[r];
        for (ptrdiff_t i = first; i < layout->n_tiles; i++, sums += GEMM_ROWS * COLUMNS) {
            const REAL *a = packed + i * GEMM_ROWS * n_rows;
            if ((i + 1) * GEMM_ROWS <= j * COLUMNS + LANES || layout->width <= j * COLUMNS + LANES) {
                OF(moments_narrow, KIND)(n_rows, a, panel, tile);
            } else {
                ptrdiff_t n_lines = moments_smaller(moments_smaller(ahead.a_tile, ahead.n_lines), n_rows);
                gemm_lines lines = {ahead.at, 64, n_lines};
                OF(gemm_tile, KIND)(n_rows, a, panel, NULL, tile, true, lines, GEMM_ROWS);
                ahead.at += 64 * n_lines;
                ahead.n_lines -= n_lines;
            }
            OF(moments_add, KIND)(tile, sums);
        }
    }
}

/* `size` is that of an element of X. */
INLINE void OF(moments_share, KIND)(const moments_job *job, int share, size_t size,
                                    OF(moments_take, KIND) * take) {
    const LAYOUT layout = OF(moments_layout_of, KIND)(job);
    REAL *rows = (REAL *)((char *)job->scratch + (size_t)share * layout.share_bytes);
    REAL *packed = rows + layout.depth * layout.stride, *panel = packed + layout.depth * layout.stride;
    REAL *weights = panel + layout.depth * COLUMNS, *shift = weights + layout.depth;
    double *sums = OF(moments_sums, KIND)(job, &layout, share);
    for (ptrdiff_t f = 0; f < job->x.n_features; f++)
        shift[f] = (REAL)job->shift[f];
    memset(rows, 0, (size_t)(layout.depth * layout.stride) * sizeof(REAL));
    OF(moments_clear, KIND)(job, &layout, share, sums);
    const ptrdiff_t n_blocks = (job->n_taken + layout.depth - 1) / layout.depth;
    const ptrdiff_t begin = layout.by_panels ? 0 : n_blocks * share / job->n_shares;
    const ptrdiff_t end = layout.by_panels ? n_blocks : n_blocks * (share + 1) / job->n_shares;
    for (ptrdiff_t b = begin; b < end; b++) {
        const ptrdiff_t first = b * layout.depth;
        const ptrdiff_t last = moments_smaller(first + layout.depth, job->n_taken);
        ptrdiff_t n_rows = OF(moments_fill, KIND)(job, &layout, first, last, shift, rows, weights, take);
        moments_ahead ahead = {NULL, 0, 0};
        if (!job->rows && !job->x.indptr && b + 1 < end) {
            const ptrdiff_t row_bytes = job->x.n_features * (ptrdiff_t)size;
            ahead.at = (const char *)job->x.data + last * row_bytes;
            ahead.n_lines = (moments_smaller(last + layout.depth, job->n_taken) - last) * row_bytes / 64;
            ahead.a_tile = 3 * ahead.n_lines / (layout.n_tiles * layout.n_panels) + 1;
        }
        OF(moments_block, KIND)(job, &layout, share, rows, n_rows, packed, panel, weights, sums, ahead);
    }
}

/* Shares in their order, whoever had which. */
static void OF(moments_reduce, KIND)(const moments_job *job) {
    const LAYOUT layout = OF(moments_layout_of, KIND)(job);
    const double *sums = OF(moments_sums, KIND)(job, &layout, 0);
    const ptrdiff_t of_share = (ptrdiff_t)(layout.sums_bytes / sizeof(double));
    const int n_tables = layout.by_panels ? 1 : job->n_shares;
    for (ptrdiff_t j = 0; j < layout.n_panels; j++)
        for (ptrdiff_t i = OF(moments_first, KIND)(j); i < layout.n_tiles; i++, sums += GEMM_ROWS * COLUMNS)
            for (ptrdiff_t r = 0; r < GEMM_ROWS; r++)
                for (ptrdiff_t c = 0; c < COLUMNS; c++) {
                    const ptrdiff_t row = i * GEMM_ROWS + r, column = j * COLUMNS + c;
                    if (row >= layout.height || column >= layout.width || row < column)
                        continue;
                    double sum = 0.0;
                    for (int s = 0; s < n_tables; s++)
                        sum += sums[s * of_share + r * COLUMNS + c];
                    job->out[row * layout.width + column] = sum;
                    if (row < layout.width)
                        job->out[column * layout.width + row] = sum;
                }
}

#undef VEC
#undef MEM
#undef LANES
#undef COLUMNS
#undef LAYOUT
#undef VALUE
