/* How a pass is cut up: chunks of models, blocks of rows, and the scratch memory that they need.
 *
 * Rows go by in blocks, small enough that the second reading, for the gradient, finds them in a cache; of a
 * block, all columns' margins of a chunk are in a buffer, which becomes that of the derivatives. The numbers
 * depend on shapes alone.
 */
#ifndef FASTML_GLM_LAYOUT_H
#define FASTML_GLM_LAYOUT_H

#include "glm.h"
#include "vector.h"

enum {
    CHUNK_COLUMNS = 48, /* of a chunk, unless one model has more */
    /* That share a load of X. Forward, where weights pass through the first-level cache for each few rows,
       few; backward as many as AVX-512 has registers for sums, so that X is read once for ten classes: what
       comes from memory for the next block otherwise waits behind what comes from the second-level cache.
       (Ten classes on MNIST: 5.0 ms in float32 and 12.1 in float64; 6.6 and 14.7 by at most 6 backward.) */
    FORWARD_COLUMNS = 6,
    BACKWARD_COLUMNS = VEC_BYTES == 64 ? 12 : 6,
    MOST_BLOCK_ROWS = 512, /* also those of which float32 products are summed in float32 */
    LEAST_BLOCK_ROWS = 16, /* a whole number of vectors of any type */
    /* Bytes of a block of X, for one panel of columns, one chunk, and more: with more columns, the sums that
       begin and end with a block cost more, and X's way from the second-level cache less. It is to have room
       for two blocks, one being on its way, where it is as small as 512 KiB. */
    PANEL_BLOCK_BYTES = 16 << 10,
    CHUNK_BLOCK_BYTES = 150 << 10,
    BLOCK_BYTES = 256 << 10,
};

typedef struct {
    ptrdiff_t n_columns;                   /* of all active models */
    ptrdiff_t chunk_models, chunk_columns; /* of every chunk but the last, which may have fewer */
    ptrdiff_t block_rows, stride;          /* of the buffer: from one column's margins to the next's */
    ptrdiff_t shift;                       /* dense: from a cache line's start to where each row begins */
    ptrdiff_t width;                       /* elements that a column takes among packed weights, and sums */
    ptrdiff_t column_step;                 /* CSR: from a feature to the next; 0: dense */
    size_t packed_bytes, sums_bytes,
        share_bytes; /* sums: of one share's gradient; share: all that one needs */
} glm_layout;

INLINE ptrdiff_t glm_smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE ptrdiff_t glm_larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
INLINE ptrdiff_t glm_rounded_up(ptrdiff_t n, ptrdiff_t step) { return (n + step - 1) / step * step; }
INLINE size_t glm_lines(ptrdiff_t n, size_t size) { return ((size_t)n * size + 63) / 64 * 64; }

/* In elements, where it is the same for all rows; else 0. */
INLINE ptrdiff_t glm_shift(const glm_job *job, ptrdiff_t real_size) {
    const ptrdiff_t row_bytes = job->x.n_features * real_size;
    const ptrdiff_t beyond = (ptrdiff_t)((uintptr_t)job->x.data % VEC_BYTES);
    return row_bytes > 0 && row_bytes % VEC_BYTES == 0 && beyond % real_size == 0 ? beyond / real_size : 0;
}

/* real_size, lanes: of X's elements; row_bytes: of an average row. */
INLINE glm_layout glm_lay_out(const glm_job *job, size_t real_size, ptrdiff_t lanes, ptrdiff_t row_bytes) {
    glm_layout layout = {.n_columns = job->n_active * job->n_columns};
    const ptrdiff_t n_features = job->x.n_features;
    /* Where rows are weighted, a model of some panels has a chunk of its own, for glm_left_out. */
    ptrdiff_t columns = job->weight && job->n_columns > FORWARD_COLUMNS ? job->n_columns : CHUNK_COLUMNS;
    layout.chunk_models = glm_larger(1, columns / glm_larger(1, job->n_columns));
    layout.chunk_models = glm_smaller(layout.chunk_models, glm_larger(1, job->n_active));
    layout.chunk_columns = layout.chunk_models * job->n_columns;
    ptrdiff_t bytes = layout.n_columns <= FORWARD_COLUMNS ? PANEL_BLOCK_BYTES
                      : layout.n_columns <= CHUNK_COLUMNS ? CHUNK_BLOCK_BYTES
                                                          : BLOCK_BYTES;
    ptrdiff_t rows = bytes / glm_larger(1, row_bytes) / LEAST_BLOCK_ROWS * LEAST_BLOCK_ROWS;
    layout.block_rows = glm_larger(LEAST_BLOCK_ROWS, glm_smaller(rows, MOST_BLOCK_ROWS));
    layout.stride =
        layout.block_rows + LEAST_BLOCK_ROWS; /* no power of two: columns meet in no one cache set */
    if (job->x.indptr) {
        ptrdiff_t wide = layout.chunk_columns > 1 ? glm_rounded_up(layout.chunk_columns, LANES_f64) : 1;
        ptrdiff_t n_chunks = (job->n_active + layout.chunk_models - 1) / layout.chunk_models;
        layout.column_step = wide;
        layout.packed_bytes = layout.sums_bytes = glm_lines(n_chunks * wide * n_features, sizeof(double));
    } else {
        layout.shift = glm_shift(job, (ptrdiff_t)real_size);
        /* A vector of zeros where there is no feature: nothing is read that nobody has written. */
        layout.width = glm_rounded_up(glm_larger(1, layout.shift + n_features), lanes);
        layout.packed_bytes = glm_lines(layout.n_columns * layout.width, real_size);
        layout.sums_bytes = glm_lines(layout.n_columns * layout.width, sizeof(double));
    }
    /* Gradient, those of the intercepts, values, what some blocks add to the gradient; margins, and each
       row's target and weight; a vector per row and column of a panel, of sums over lanes yet to be taken. */
    layout.share_bytes = layout.sums_bytes + glm_lines(layout.n_columns, sizeof(double)) +
                         glm_lines(job->n_active, sizeof(double)) +
                         glm_lines(layout.n_columns * layout.width, real_size) +
                         glm_lines((layout.chunk_columns + 2) * layout.stride, real_size) +
                         glm_lines(FORWARD_COLUMNS * lanes * lanes, real_size) + 64;
    return layout;
}

/* Whether all models of a chunk leave out all rows of a block: the rows that a fold of a cross-validation
   holds out mostly lie together. (Five folds of MNIST's first 5,000: a pass takes 0.85 times as long.)
   Predictions are wanted of all rows. */
INLINE bool glm_left_out(const glm_job *job, ptrdiff_t first, ptrdiff_t n_models, ptrdiff_t first_row,
                         ptrdiff_t n_rows) {
    if (!job->weight)
        return false;
    for (ptrdiff_t m = first; m < first + n_models; m++) {
        const ptrdiff_t weighting = job->models[job->active[m]].weighting;
        const double *weight = job->weight + weighting * job->x.n_rows + first_row;
        for (ptrdiff_t i = 0; i < n_rows; i++)
            if (weighting < 0 || weight[i] != 0)
                return false;
    }
    return true;
}

/* A share's part of the scratch memory. */
typedef struct {
    double *sums, *intercepts, *values;
    void *block_sums, *margins, *targets, *weights, *tile;
} glm_share;

INLINE glm_share glm_share_at(const glm_job *job, const glm_layout *layout, int share, size_t real_size) {
    char *at = (char *)job->scratch + layout->packed_bytes + (size_t)share * layout->share_bytes;
    glm_share parts;
    parts.sums = (double *)at;
    at += layout->sums_bytes;
    parts.intercepts = (double *)at;
    at += glm_lines(layout->n_columns, sizeof(double));
    parts.values = (double *)at;
    at += glm_lines(job->n_active, sizeof(double));
    parts.block_sums = at;
    at += glm_lines(layout->n_columns * layout->width, real_size);
    parts.margins = at;
    parts.targets = at + (size_t)(layout->chunk_columns * layout->stride) * real_size;
    parts.weights = at + (size_t)((layout->chunk_columns + 1) * layout->stride) * real_size;
    parts.tile = at + glm_lines((layout->chunk_columns + 2) * layout->stride, real_size);
    return parts;
}

/* How many panels of at most `most` columns a chunk of n columns makes. */
INLINE ptrdiff_t glm_panels(ptrdiff_t n, ptrdiff_t most) { return (n + most - 1) / most; }

/* Where panel p of n_panels begins: widths differ by one at most. */
INLINE ptrdiff_t glm_panel(ptrdiff_t n, ptrdiff_t n_panels, ptrdiff_t p) { return n * p / n_panels; }

#endif
