/* A share's pass over dense rows, for REAL of KIND: a template. */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)

INLINE glm_layout OF(dense_layout, KIND)(const glm_job *job) {
    return glm_lay_out(job, sizeof(REAL), LANES, job->x.n_features * (ptrdiff_t)sizeof(REAL));
}

static size_t OF(dense_bytes, KIND)(const glm_job *job) {
    glm_layout layout = OF(dense_layout, KIND)(job);
    return layout.packed_bytes + (size_t)job->n_shares * layout.share_bytes;
}

/* Forward panel by panel of each chunk: vector by vector of features, the columns' beside each other. */
static void OF(dense_pack, KIND)(const glm_job *job) {
    const glm_layout layout = OF(dense_layout, KIND)(job);
    const ptrdiff_t n_features = job->x.n_features;
    for (ptrdiff_t begin = 0; begin < layout.n_columns; begin += layout.chunk_columns) {
        const ptrdiff_t n = glm_smaller(layout.chunk_columns, layout.n_columns - begin);
        const ptrdiff_t n_panels = glm_panels(n, FORWARD_COLUMNS);
        for (ptrdiff_t p = 0; p < n_panels; p++) {
            const ptrdiff_t first = begin + glm_panel(n, n_panels, p),
                            width = begin + glm_panel(n, n_panels, p + 1) - first;
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

static void OF(dense_run, KIND)(const glm_job *job, int share) {
    const glm_layout layout = OF(dense_layout, KIND)(job);
    const glm_share parts = glm_share_at(job, &layout, share, sizeof(REAL));
    const ptrdiff_t n_features = job->x.n_features, n_blocks = job->x.n_rows / layout.block_rows + 1;
    const ptrdiff_t first_row = n_blocks * share / job->n_shares * layout.block_rows;
    const ptrdiff_t end =
        glm_smaller(job->x.n_rows, n_blocks * (share + 1) / job->n_shares * layout.block_rows);
    /* Which readings of a block bring the next one, evenly, for what comes from the second-level cache waits
       behind what has been asked of memory: all, or where there are more columns only AVX-512's backward.
       (Forward more weights then pass through the first-level cache. Ten classes on MNIST: 5.0 ms; 6.9 where
       both bring. With AVX2, on another machine, where both bring: 1.04 times as fast; and 1.15 times as fast
       as with whole lines in each step, all of which are asked for in the first half of the readings.) */
    const bool forward_brings = VEC_BYTES < 64 || !job->gradient || layout.n_columns <= FORWARD_COLUMNS;
    const ptrdiff_t n_readings = (forward_brings ? glm_panels(layout.n_columns, FORWARD_COLUMNS) : 0) +
                                 (job->gradient ? glm_panels(layout.n_columns, BACKWARD_COLUMNS) : 0);
    const int tall =
        glm_tall(glm_smaller(layout.chunk_columns, forward_brings ? FORWARD_COLUMNS : BACKWARD_COLUMNS));
    const int bytes = (int)(1 + (2 * tall * VEC_BYTES - 1) / glm_larger(1, n_readings));
    memset(parts.sums, 0, (size_t)((char *)parts.margins - (char *)parts.sums));
    ptrdiff_t n_summed = 0;
    for (ptrdiff_t i = first_row; i < end; i += layout.block_rows) {
        const REAL *x = (const REAL *)job->x.data + i * n_features;
        const ptrdiff_t n_rows = glm_smaller(layout.block_rows, end - i);
        const ptrdiff_t n_next = glm_smaller(layout.block_rows, end - i - n_rows);
        glm_ahead next = {
            .at = (const char *)(x + n_rows * n_features),
            .end = (const char *)(x + (n_rows + n_next) * n_features),
        };
        for (ptrdiff_t begin = 0; begin < layout.n_columns; begin += layout.chunk_columns) {
            const ptrdiff_t n = glm_smaller(layout.chunk_columns, layout.n_columns - begin);
            if (glm_left_out(job, begin / job->n_columns, n / job->n_columns, i, n_rows))
                continue;
            const ptrdiff_t n_forward = glm_panels(n, FORWARD_COLUMNS);
            const ptrdiff_t n_backward = job->gradient ? glm_panels(n, BACKWARD_COLUMNS) : 0;
            next.bytes = forward_brings ? bytes : 0;
            for (ptrdiff_t p = 0; p < n_forward; p++) {
                const ptrdiff_t c = glm_panel(n, n_forward, p);
                OF(forward, KIND)(x, n_rows, n_features, layout.shift,
                                  (const REAL *)job->scratch + (begin + c) * layout.width,
                                  (REAL *)parts.margins + c * layout.stride, layout.stride, parts.tile, &next,
                                  (int)(glm_panel(n, n_forward, p + 1) - c));
            }
            OF(finish_chunk, KIND)(job, &layout, &parts, begin / job->n_columns, n / job->n_columns, i,
                                   n_rows);
            next.bytes = bytes;
            for (ptrdiff_t p = 0; p < n_backward; p++) {
                const ptrdiff_t c = glm_panel(n, n_backward, p);
                OF(backward, KIND)(x, n_rows, n_features, layout.shift,
                                   (const REAL *)parts.margins + c * layout.stride, layout.stride,
                                   (REAL *)parts.block_sums + (begin + c) * layout.width, layout.width, &next,
                                   (int)(glm_panel(n, n_backward, p + 1) - c));
            }
        }
        n_summed += n_rows;
        if (job->gradient && (n_summed + layout.block_rows > MOST_BLOCK_ROWS || i + n_rows >= end)) {
            OF(flush_all, KIND)(parts.block_sums, parts.sums, layout.n_columns * layout.width);
            n_summed = 0;
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
