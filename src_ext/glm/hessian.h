/* The whole Hessian of one model, for REAL of KIND: a template.
 *
 * For each pair of classes, sum_i h_i x_i x_i' with h_i = weight_i p_a (1[a = b] - p_b), or the loss's
 * curvature; x_i ends with a 1 for the intercept. Each is symmetric, and is made tile by tile on and below
 * the diagonal by gemm.h's micro-kernel, whose depth are the rows of a block: X's rows lie as its panels want
 * them. Shares have panels of columns of their own, over all rows, so that no partial matrices are needed and
 * results do not depend on their number.
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

#ifndef FASTML_GLM_HESSIAN_H
#define FASTML_GLM_HESSIAN_H

enum { HESSIAN_ROWS = 256, LEAST_HESSIAN_ROWS = 32, HESSIAN_BLOCK_BYTES = 512 << 10 };

#endif

/* Rows of X from `first` on, each followed by a 1. */
typedef void OF(take_rows, KIND)(const glm_job *job, ptrdiff_t first, ptrdiff_t n_rows, REAL *rows);

INLINE ptrdiff_t OF(hessian_rows, KIND)(const glm_job *job) {
    ptrdiff_t rows = HESSIAN_BLOCK_BYTES / ((job->x.n_features + 1) * (ptrdiff_t)sizeof(REAL));
    return glm_smaller(HESSIAN_ROWS, glm_larger(LEAST_HESSIAN_ROWS, rows / LANES * LANES));
}

/* Bytes of one share: rows, A's panels, one of B, and four numbers of each row. */
INLINE size_t OF(hessian_share_bytes, KIND)(const glm_job *job) {
    return glm_lines(OF(hessian_rows, KIND)(job) * (2 * (job->x.n_features + 1) + COLUMNS + 4), sizeof(REAL));
}

static size_t OF(hessian_bytes, KIND)(const glm_job *job) {
    return (size_t)job->n_shares * OF(hessian_share_bytes, KIND)(job);
}

/* h of a block's rows, into the place of margins that are 1. */
static void OF(hessian_curvature, KIND)(const OF(glm_margins, KIND) * block, int a, int b) {
    const ptrdiff_t all = block->job->x.n_rows;
    const REAL *p_a = block->prediction + a * all, *p_b = block->prediction + b * all;
    if (block->job->loss != LOSS_MULTINOMIAL) {
        for (ptrdiff_t i = 0; i < glm_rounded_up(block->n_rows, LANES); i++)
            block->margins[i] = (REAL)1.0;
        OF(curve_block, KIND)[block->job->loss](block);
        return;
    }
    for (ptrdiff_t i = 0; i < block->n_rows; i++) {
        REAL curvature = p_a[i] * ((a == b ? (REAL)1.0 : (REAL)0.0) - p_b[i]);
        block->margins[i] = block->weight[i] != 0 ? block->weight[i] * curvature : (REAL)0.0;
    }
}

/* tile into the lower triangle of `out`, whose first element is that of feature 0 with itself. */
INLINE void OF(add_tile, KIND)(const VEC *tile, double *out, ptrdiff_t stride, ptrdiff_t i, int height,
                               ptrdiff_t j, ptrdiff_t n) {
    for (int r = 0; r < height; r++) {
        const REAL *line = (const REAL *)(tile + r * GEMM_VECTORS);
        const ptrdiff_t end = glm_smaller(glm_smaller(COLUMNS, n - j), i + r - j + 1);
        for (ptrdiff_t c = 0; c < end; c++)
            out[(i + r) * stride + j + c] += (double)line[c];
    }
}

/* One panel of columns: its part of the rows that are packed. */
static void OF(hessian_panel, KIND)(const REAL *rows, const REAL *packed, REAL *panel, const REAL *h,
                                    ptrdiff_t n_rows, ptrdiff_t n, ptrdiff_t j, double *out,
                                    ptrdiff_t stride) {
    VEC tile[GEMM_ROWS * GEMM_VECTORS];
    const ptrdiff_t n_columns = glm_smaller(COLUMNS, n - j);
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        for (ptrdiff_t c = 0; c < n_columns; c++)
            panel[r * COLUMNS + c] = h[r] * rows[r * n + j + c];
        for (ptrdiff_t c = n_columns; c < COLUMNS; c++)
            panel[r * COLUMNS + c] = (REAL)0.0;
    }
    for (ptrdiff_t i = j / GEMM_ROWS * GEMM_ROWS; i < n; i += GEMM_ROWS) {
        const int height = (int)glm_smaller(GEMM_ROWS, n - i);
        OF(gemm_tile, KIND)(n_rows, packed + i * n_rows, panel, NULL, tile, true, (gemm_lines){0}, height);
        OF(add_tile, KIND)(tile, out, stride, i, height, j, n);
    }
}

/* The lower triangle of a panel's columns, to where symmetry has it: above the diagonal, and among the other
 * class's. */
static void OF(hessian_mirror, KIND)(double *hessian, ptrdiff_t stride, ptrdiff_t n, int a, int b,
                                     ptrdiff_t j, ptrdiff_t n_columns) {
    double *own = hessian + a * n * stride + b * n, *other = hessian + b * n * stride + a * n;
    for (ptrdiff_t c = j; c < j + n_columns; c++)
        for (ptrdiff_t i = c; i < n; i++) {
            double value = own[i * stride + c];
            own[c * stride + i] = other[i * stride + c] = other[c * stride + i] = value;
        }
}

/* The first of a share's panels among those of a pair of classes; the others are n_shares panels apart. Who
   begins changes from pair to pair. */
INLINE ptrdiff_t OF(first_panel, KIND)(const glm_job *job, int share, int a, int b) {
    return (share + a + b) % job->n_shares * COLUMNS;
}

static void OF(hessian_share, KIND)(const glm_job *job, int share, OF(take_rows, KIND) * take) {
    const ptrdiff_t n = job->x.n_features + 1, stride = n * job->n_columns,
                    depth = OF(hessian_rows, KIND)(job);
    REAL *rows = (REAL *)((char *)job->scratch + (size_t)share * OF(hessian_share_bytes, KIND)(job));
    REAL *packed = rows + depth * n, *panel = packed + depth * n, *h = panel + depth * COLUMNS;
    const ptrdiff_t all = job->x.n_rows;
    const double no_intercept = 0.0;
    for (ptrdiff_t first = 0; first < all; first += depth) {
        const ptrdiff_t n_rows = glm_smaller(depth, all - first);
        OF(glm_margins, KIND)
        block = {
            .job = job,
            .model = job->models,
            .first_row = first,
            .n_rows = n_rows,
            .stride = depth,
            .margins = h,
            .target = h + depth,
            .weight = h + 2 * depth,
            .intercepts = &no_intercept,
            .prediction = job->prediction ? (REAL *)job->prediction + first : NULL,
        };
        OF(load_targets, KIND)(&block);
        take(job, first, n_rows, rows);
        for (ptrdiff_t i = 0; i < n; i += GEMM_ROWS)
            for (ptrdiff_t r = 0, height = glm_smaller(GEMM_ROWS, n - i); r < n_rows; r++)
                memcpy(packed + i * n_rows + r * height, rows + r * n + i, (size_t)height * sizeof(REAL));
        for (int a = 0; a < job->n_columns; a++)
            for (int b = 0; b <= a; b++) {
                OF(hessian_curvature, KIND)(&block, a, b);
                for (ptrdiff_t j = OF(first_panel, KIND)(job, share, a, b); j < n;
                     j += job->n_shares * COLUMNS)
                    OF(hessian_panel, KIND)(rows, packed, panel, h, n_rows, n, j,
                                            job->hessian + a * n * stride + b * n, stride);
            }
    }
    for (int a = 0; a < job->n_columns; a++)
        for (int b = 0; b <= a; b++)
            for (ptrdiff_t j = OF(first_panel, KIND)(job, share, a, b); j < n; j += job->n_shares * COLUMNS)
                OF(hessian_mirror, KIND)(job->hessian, stride, n, a, b, j, glm_smaller(COLUMNS, n - j));
}

static void OF(take_dense, KIND)(const glm_job *job, ptrdiff_t first, ptrdiff_t n_rows, REAL *rows) {
    const ptrdiff_t n = job->x.n_features;
    const REAL *x = (const REAL *)job->x.data + first * n;
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        memcpy(rows + r * (n + 1), x + r * n, (size_t)n * sizeof(REAL));
        rows[r * (n + 1) + n] = (REAL)1.0;
    }
}

static void OF(hessian_dense, KIND)(const glm_job *job, int share) {
    OF(hessian_share, KIND)(job, share, OF(take_dense, KIND));
}

#undef VEC
#undef LANES
#undef COLUMNS
