/* Many channels, for REAL of KIND: a template: products of matrices whose left one, the patches, is never
 * made.
 *
 * Forward, and to the input, patches of a tile's positions are packed pixel by pixel, through a transposition
 * in registers, into a block in the cache, and multiplied by gemm.h's micro-kernel. To the filters, what a
 * tap sees is taken from the image in place: there channels, which lie beside each other, are the rows of a
 * tile.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

#ifndef FASTML_CONV_IMPLICIT_H
#define FASTML_CONV_IMPLICIT_H

enum {
    IMPLICIT_BLOCK_BYTES = 1 << 18,     /* of packed patches */
    IMPLICIT_POSITIONS = 9 * GEMM_ROWS, /* of a block, at most */
};

/* An image that is read through taps, or written to. */
typedef struct {
    ptrdiff_t h, w, c;
} conv_image;

/* Where a position looks from, and where its result goes. */
typedef struct {
    int32_t y, x;
    ptrdiff_t to;
} conv_place;

#endif

/* The patches of a tile's positions: taps times channels, from `source` on. */
SHARED void OF(pack_patches, KIND)(const conv_class *of, const conv_image *image, const REAL *source,
                                   ptrdiff_t channels, const REAL *zeros, const conv_place *places,
                                   int height, REAL *panel) {
    const REAL *pixels[GEMM_ROWS + LANES];
    int whole = (height + (int)LANES - 1) / (int)LANES * (int)LANES;
    for (int i = height; i < whole; i++)
        pixels[i] = zeros;
    for (ptrdiff_t t = 0; t < of->n_taps; t++, panel += channels * height) {
        for (int i = 0; i < height; i++) {
            ptrdiff_t y = places[i].y + of->taps[t].y, x = places[i].x + of->taps[t].x;
            bool inside = y >= 0 && y < image->h && x >= 0 && x < image->w;
            pixels[i] = inside ? source + (y * image->w + x) * image->c : zeros;
        }
        OF(pack_rows, KIND)(pixels, channels, panel, height);
    }
}

/* The positions [first, last) of a class, row by row of its grid: from one image to another. */
static void OF(implicit_positions, KIND)(const conv_job *job, const conv_class *of, conv_image from,
                                         const REAL *source, conv_image to, REAL *destination,
                                         ptrdiff_t first, ptrdiff_t last, const REAL *bias, bool relu,
                                         void *scratch) {
    ptrdiff_t channels = from.c / job->groups, columns = to.c / job->groups, depth = of->n_taps * channels;
    ptrdiff_t n_panels = product_ceil(columns, COLUMNS);
    ptrdiff_t most = IMPLICIT_BLOCK_BYTES / (ptrdiff_t)sizeof(REAL) / (depth + 1) / GEMM_ROWS * GEMM_ROWS;
    conv_place places[IMPLICIT_POSITIONS];
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    REAL *block = scratch;
    most = gemm_smaller(most < GEMM_ROWS ? GEMM_ROWS : most, IMPLICIT_POSITIONS);
    for (ptrdiff_t p = first; p < last; p += most) {
        ptrdiff_t n = gemm_smaller(most, last - p), n_tiles = product_ceil(n, GEMM_ROWS);
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t y = (p + i) / of->grid_w, x = (p + i) % of->grid_w;
            places[i].y = (int32_t)(y * of->step_y);
            places[i].x = (int32_t)(x * of->step_x);
            places[i].to = ((of->first_y + y * of->each_y) * to.w + of->first_x + x * of->each_x) * to.c;
        }
        for (ptrdiff_t g = 0; g < job->groups; g++) {
            const REAL *b = (const REAL *)job->packed + of->packed_at + g * n_panels * depth * COLUMNS;
            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                ptrdiff_t i = product_share(n, t, n_tiles);
                int height = (int)(product_share(n, t + 1, n_tiles) - i);
                OF(pack_patches, KIND)(of, &from, source + g * channels, channels, job->zeros, places + i,
                                       height, block + i * depth);
            }
            for (ptrdiff_t column = 0; column < columns; column += COLUMNS, b += depth * COLUMNS)
                for (ptrdiff_t t = 0; t < n_tiles; t++) {
                    ptrdiff_t i = product_share(n, t, n_tiles);
                    int height = (int)(product_share(n, t + 1, n_tiles) - i);
                    OF(gemm_tile, KIND)(depth, block + i * depth, b, NULL, tile, true, (gemm_lines){0},
                                        height);
                    OF(product_finish, KIND)(tile, height, bias ? bias + g * columns : NULL, relu, column,
                                             columns);
                    for (int j = 0; j < height; j++)
                        OF(gemm_store, KIND)(tile + j * GEMM_VECTORS,
                                             destination + places[i + j].to + g * columns + column, 0, 1,
                                             gemm_smaller(COLUMNS, columns - column));
                }
        }
    }
}

static size_t OF(implicit_scratch, KIND)(ptrdiff_t depth) {
    ptrdiff_t most = IMPLICIT_BLOCK_BYTES / (ptrdiff_t)sizeof(REAL), tile = GEMM_ROWS * (depth + 1);
    return (size_t)((most > tile ? most : tile) + 2 * LANES) * sizeof(REAL);
}

/* Gradients to the filters of some taps, from positions in n_rows rows of the output from row y. */
static void OF(implicit_filters, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                       conv_panels panels, bool first, REAL *sums, ptrdiff_t first_tap,
                                       ptrdiff_t last_tap, void *scratch) {
    ptrdiff_t channels = job->c / job->groups, columns = job->m / job->groups, depth = n_rows * job->ow;
    ptrdiff_t n_tiles = product_ceil(channels, GEMM_ROWS), n_panels = product_ceil(columns, COLUMNS);
    const REAL **a = scratch;
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    for (ptrdiff_t tap = first_tap; tap < last_tap; tap++) {
        ptrdiff_t k = 0;
        for (ptrdiff_t r = 0; r < n_rows; r++) {
            ptrdiff_t row = (y + r) * job->stride_y - job->top + tap / job->kw * job->dilation_y;
            ptrdiff_t x = tap % job->kw * job->dilation_x - job->left;
            bool inside = row >= 0 && row < job->h;
            for (ptrdiff_t i = 0; i < job->ow; i++, x += job->stride_x)
                a[k++] = inside && x >= 0 && x < job->w ? image + (row * job->w + x) * job->c
                                                        : (const REAL *)job->zeros;
        }
        for (ptrdiff_t g = 0; g < job->groups; g++)
            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                ptrdiff_t i = product_share(channels, t, n_tiles);
                int height = (int)(product_share(channels, t + 1, n_tiles) - i);
                for (ptrdiff_t p = 0; p < n_panels; p++) {
                    ptrdiff_t n_columns = gemm_smaller(COLUMNS, columns - p * COLUMNS);
                    REAL *at = sums + (tap * channels + i) * job->m + g * columns + p * COLUMNS;
                    if (!first)
                        OF(gemm_load, KIND)(tile, at, job->m, height, n_columns);
                    OF(row_tile, KIND)(depth, a, g * channels + i,
                                       (const REAL *)panels.data + (g * n_panels + p) * panels.panel_step,
                                       panels.step, tile, first, height);
                    OF(gemm_store, KIND)(tile, at, job->m, height, n_columns);
                }
            }
    }
}

#undef VEC
#undef MEM
#undef LANES
#undef COLUMNS
