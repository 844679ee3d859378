/* A share's pass over dense rows, for REAL of KIND: a template. */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_GLM_PASS_DENSE_H
#define FASTML_GLM_PASS_DENSE_H

/* What of the next block no reading has brought yet. A block is read once forward, once backward for each
   panel: each brings its part. */
typedef struct {
    const char *at, *end;
    int lines; /* a step */
} glm_next;

#endif

INLINE glm_layout OF(dense_layout, KIND)(const glm_job *job) {
    return glm_lay_out(job, sizeof(REAL), LANES, job->x.n_features * (ptrdiff_t)sizeof(REAL));
}

static size_t OF(dense_bytes, KIND)(const glm_job *job) {
    glm_layout layout = OF(dense_layout, KIND)(job);
    return layout.packed_bytes + (size_t)job->n_shares * layout.share_bytes;
}

/* Panel by panel of each chunk: vector by vector of features, the columns' beside each other. */
static void OF(dense_pack, KIND)(const glm_job *job) {
    const glm_layout layout = OF(dense_layout, KIND)(job);
    const ptrdiff_t n_features = job->x.n_features;
    for (ptrdiff_t begin = 0; begin < layout.n_columns; begin += layout.chunk_columns) {
        const ptrdiff_t n = glm_smaller(layout.chunk_columns, layout.n_columns - begin);
        for (ptrdiff_t p = 0; glm_panel(&layout, n, p) < n; p++) {
            const ptrdiff_t first = begin + glm_panel(&layout, n, p),
                            width = begin + glm_panel(&layout, n, p + 1) - first;
            REAL *packed = (REAL *)job->scratch + first * layout.width;
            for (ptrdiff_t c = 0; c < width; c++) {
                const ptrdiff_t place = first + c, k = job->active[place / job->n_columns];
                const double *weights =
                    job->weights + (k * job->n_columns + place % job->n_columns) * (n_features + 1);
                for (ptrdiff_t j = 0; j < layout.width; j += LANES)
                    for (ptrdiff_t l = 0; l < LANES; l++) {
                        ptrdiff_t feature = j + l - layout.shift;
                        packed[j * width + c * LANES + l] =
                            feature >= 0 && feature < n_features ? (REAL)weights[feature] : (REAL)0.0;
                    }
            }
        }
    }
}

/* Rows of a tile that a panel of so many columns has. */
INLINE ptrdiff_t OF(rows_together, KIND)(ptrdiff_t width) { return width > PANEL_COLUMNS ? 2 : TALL; }

/* The lines of the next block that one reading of this one brings. */
INLINE glm_ahead OF(next_lines, KIND)(glm_next *next, ptrdiff_t n_rows, const glm_layout *layout,
                                      ptrdiff_t width) {
    const ptrdiff_t tall = OF(rows_together, KIND)(width);
    glm_ahead ahead = {next->at, next->at < next->end ? next->lines : 0};
    next->at += n_rows * layout->width / (tall * LANES) * next->lines * 64;
    return ahead;
}

static void OF(dense_run, KIND)(const glm_job *job, int share) {
    const glm_layout layout = OF(dense_layout, KIND)(job);
    const glm_share parts = glm_share_at(job, &layout, share, sizeof(REAL));
    const ptrdiff_t n_features = job->x.n_features, n_blocks = job->x.n_rows / layout.block_rows + 1;
    const ptrdiff_t first_row = n_blocks * share / job->n_shares * layout.block_rows;
    const ptrdiff_t end =
        glm_smaller(job->x.n_rows, n_blocks * (share + 1) / job->n_shares * layout.block_rows);
    const ptrdiff_t n_readings =
        (layout.n_columns + layout.panel_columns - 1) / layout.panel_columns * (job->gradient ? 2 : 1);
    const ptrdiff_t tall = OF(rows_together, KIND)(glm_smaller(layout.chunk_columns, layout.panel_columns));
    const int lines = (int)(1 + (tall * VEC_BYTES / 64 - 1) / glm_larger(1, n_readings));
    memset(parts.sums, 0, (size_t)((char *)parts.margins - (char *)parts.sums));
    for (ptrdiff_t i = first_row; i < end; i += layout.block_rows) {
        const REAL *x = (const REAL *)job->x.data + i * n_features;
        const ptrdiff_t n_rows = glm_smaller(layout.block_rows, end - i);
        glm_next next = {(const char *)(x + n_rows * n_features), (const char *)(x + 2 * n_rows * n_features),
                         lines};
        for (ptrdiff_t begin = 0; begin < layout.n_columns; begin += layout.chunk_columns) {
            const ptrdiff_t n = glm_smaller(layout.chunk_columns, layout.n_columns - begin);
            if (glm_left_out(job, begin / job->n_columns, n / job->n_columns, i, n_rows))
                continue;
            for (ptrdiff_t p = 0; glm_panel(&layout, n, p) < n; p++) {
                const ptrdiff_t c = glm_panel(&layout, n, p);
                OF(forward,
                   KIND)(x, n_rows, n_features, layout.shift,
                         (const REAL *)job->scratch + (begin + c) * layout.width,
                         (REAL *)parts.margins + c * layout.stride, layout.stride, parts.tile,
                         OF(next_lines, KIND)(&next, n_rows, &layout, glm_panel(&layout, n, p + 1) - c),
                         (int)(glm_panel(&layout, n, p + 1) - c));
            }
            OF(finish_chunk, KIND)(job, &layout, &parts, begin / job->n_columns, n / job->n_columns, i,
                                   n_rows);
            for (ptrdiff_t p = 0; job->gradient && glm_panel(&layout, n, p) < n; p++) {
                const ptrdiff_t c = glm_panel(&layout, n, p);
                OF(backward,
                   KIND)(x, n_rows, n_features, layout.shift, (const REAL *)parts.margins + c * layout.stride,
                         layout.stride, parts.sums + (begin + c) * layout.width, layout.width,
                         OF(next_lines, KIND)(&next, n_rows, &layout, glm_panel(&layout, n, p + 1) - c),
                         (int)(glm_panel(&layout, n, p + 1) - c));
            }
        }
    }
}

/* Shares in their order, whoever had which. */
static void OF(dense_reduce, KIND)(const glm_job *job) {
    const glm_layout layout = OF(dense_layout, KIND)(job);
    const ptrdiff_t n_features = job->x.n_features;
    glm_reduce_values(job, &layout, sizeof(REAL));
    for (ptrdiff_t c = 0; job->gradient && c < layout.n_columns; c++) {
        double *gradient = glm_gradient(job, c);
        memset(gradient, 0, (size_t)n_features * sizeof(double));
        for (int s = 0; s < job->n_shares; s++) {
            const double *sums = glm_share_at(job, &layout, s, sizeof(REAL)).sums + c * layout.width;
            for (ptrdiff_t f = 0; f < n_features; f++)
                gradient[f] += sums[layout.shift + f];
        }
    }
}

static const glm_passes OF(dense_passes, KIND) = {
    OF(dense_bytes, KIND),  OF(dense_pack, KIND),    OF(dense_run, KIND),
    OF(dense_reduce, KIND), OF(hessian_bytes, KIND), OF(hessian_dense, KIND),
};

#undef VEC
#undef LANES
