/* Gradients through max pooling, for REAL of KIND: a template. Of a window's positions one has a gradient,
 * for each filter another one: that takes as many multiply-adds as there are windows, where a gradient with
 * zeros takes as many as there are positions.
 *
 * What a filter sees from a position lies in runs: taps of a row and their channels beside each other.
 * Vectors along the runs are multiplied by one number, the gradient to a maximum: those of the image are
 * added up for each filter (gradient to the filters), those of the filter for each position (to the input).
 * Filters and their sums lie in chunks of as many vectors as registers hold: of one chunk, filter by filter,
 * run by run.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_CONV_MAXIMA_H
#define FASTML_CONV_MAXIMA_H

enum {
    MAXIMA_RUNS = 3, /* of a chunk, at most */
#if VEC_BYTES == 64 || defined(__aarch64__)
    MAXIMA_VECTORS = 6, /* of each */
#else
    MAXIMA_VECTORS = 4,
#endif
    MAXIMA_WINDOWS = 16,         /* for which they are read at a time, at least */
    MAXIMA_STRIP_BYTES = 1 << 15 /* of what is seen of the image at a time, or one row of windows */
};

/* The runs of a filter, and their length in elements. With dilation or groups, each tap is one. */
INLINE bool conv_runs_are_rows(const conv_job *job) { return job->dilation_x == 1 && job->groups == 1; }

INLINE ptrdiff_t conv_n_runs(const conv_job *job) {
    return conv_runs_are_rows(job) ? job->kh : job->kh * job->kw;
}

INLINE ptrdiff_t conv_run_length(const conv_job *job) {
    return conv_runs_are_rows(job) ? job->kw * job->c : job->c / job->groups;
}

/* Where a run begins, from its position. */
INLINE ptrdiff_t conv_run_place(const conv_job *job, ptrdiff_t run) {
    ptrdiff_t row = job->dilation_y * conv_seen_row(job);
    if (conv_runs_are_rows(job))
        return run * row;
    return run / job->kw * row + run % job->kw * job->dilation_x * job->c;
}

/* Where a window begins, of those of a row below each other and across; where a position does, from its
   window. */
INLINE ptrdiff_t conv_window_place(const conv_job *job, ptrdiff_t y, ptrdiff_t x) {
    return y * job->window_h * job->stride_y * conv_seen_row(job) +
           x * job->window_w * job->stride_x * job->c;
}

INLINE ptrdiff_t conv_position_place(const conv_job *job, ptrdiff_t position) {
    return position / job->window_w * job->stride_y * conv_seen_row(job) +
           position % job->window_w * job->stride_x * job->c;
}

/* Some runs' vectors. */
typedef struct {
    ptrdiff_t run, n_runs, vector, n_vectors;
} conv_chunk;

/* The next chunk of runs of so many vectors, after zeros the first; false behind the last. */
INLINE bool conv_next_chunk(const conv_job *job, ptrdiff_t vectors, conv_chunk *chunk) {
    chunk->vector += chunk->n_vectors;
    if (chunk->vector == vectors || chunk->n_runs == 0) {
        chunk->run += chunk->n_runs;
        chunk->vector = 0;
    }
    chunk->n_runs = gemm_smaller(MAXIMA_RUNS, conv_n_runs(job) - chunk->run);
    ptrdiff_t left = vectors - chunk->vector;
    chunk->n_vectors = left > 0 ? product_ceil(left, product_ceil(left, MAXIMA_VECTORS)) : 0;
    return chunk->n_runs > 0 && left > 0;
}

/* `bytes` of what is left, beginning at a cache line. */
INLINE void *scratch_piece(char **left, ptrdiff_t bytes) {
    char *piece = *left;
    *left += (bytes + 63) / 64 * 64;
    return piece;
}

#endif

INLINE ptrdiff_t OF(run_vectors, KIND)(const conv_job *job) {
    return product_ceil(conv_run_length(job), LANES);
}

/* Elements of a filter that is laid out in chunks. */
INLINE ptrdiff_t OF(filter_size, KIND)(const conv_job *job) {
    return conv_n_runs(job) * OF(run_vectors, KIND)(job) * LANES;
}

/* LANES filters from `filter` on, of n_filters. In chunks: with zeros behind a run that doesn't fill its
   vectors. In a matrix, whose columns are filters, `stride` elements apart: taps and channels. */
SHARED void OF(filters_to_chunks, KIND)(const conv_job *job, const REAL *matrix, ptrdiff_t stride,
                                        ptrdiff_t n_filters, ptrdiff_t filter, REAL *chunks) {
    ptrdiff_t length = conv_run_length(job), n = gemm_smaller(LANES, n_filters - filter);
    conv_chunk of = {0};
    while (conv_next_chunk(job, OF(run_vectors, KIND)(job), &of)) {
        ptrdiff_t size = of.n_runs * of.n_vectors * LANES;
        for (ptrdiff_t r = 0; r < of.n_runs; r++)
            for (ptrdiff_t v = 0; v < of.n_vectors; v++) {
                ptrdiff_t element = (of.vector + v) * LANES;
                const REAL *from = matrix + ((of.run + r) * length + element) * stride + filter;
                REAL *to = chunks + filter * size + (r * of.n_vectors + v) * LANES;
                VEC square[LANES];
                for (ptrdiff_t i = 0; i < LANES; i++) {
                    square[i] = (VEC){0};
                    if (element + i < length)
                        square[i] = OF(load_up_to, KIND)(from + i * stride, n);
                }
                OF(transpose, KIND)(square);
                for (ptrdiff_t i = 0; i < n; i++)
                    *(MEM *)(to + i * size) = square[i];
            }
        chunks += n_filters * size;
    }
}

SHARED void OF(chunks_to_filters, KIND)(const conv_job *job, const REAL *chunks, ptrdiff_t n_filters,
                                        ptrdiff_t filter, REAL *matrix, ptrdiff_t stride) {
    ptrdiff_t length = conv_run_length(job), n = gemm_smaller(LANES, n_filters - filter);
    conv_chunk of = {0};
    while (conv_next_chunk(job, OF(run_vectors, KIND)(job), &of)) {
        ptrdiff_t size = of.n_runs * of.n_vectors * LANES;
        for (ptrdiff_t r = 0; r < of.n_runs; r++)
            for (ptrdiff_t v = 0; v < of.n_vectors; v++) {
                ptrdiff_t element = (of.vector + v) * LANES;
                const REAL *from = chunks + filter * size + (r * of.n_vectors + v) * LANES;
                REAL *to = matrix + ((of.run + r) * length + element) * stride + filter;
                VEC square[LANES];
                for (ptrdiff_t i = 0; i < LANES; i++) {
                    square[i] = (VEC){0};
                    if (i < n)
                        square[i] = *(const MEM *)(from + i * size);
                }
                OF(transpose, KIND)(square);
                for (ptrdiff_t i = 0; i < LANES && element + i < length; i++)
                    OF(store_up_to, KIND)(to + i * stride, square[i], n);
            }
        chunks += n_filters * size;
    }
}

/* sums += of n places in the image, what some runs see from there times the place's gradient. */
INLINE void OF(seen_product, KIND)(ptrdiff_t n, const REAL *restrict gradients,
                                   const int32_t *restrict places, const REAL *image, const ptrdiff_t *runs,
                                   REAL *restrict sums, const int n_runs, const int n_vectors) {
    VEC sum[MAXIMA_RUNS][MAXIMA_VECTORS];
    const REAL *run[MAXIMA_RUNS];
#pragma GCC unroll 3
    for (int r = 0; r < n_runs; r++) {
        run[r] = image + runs[r];
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++)
            sum[r][v] = *(const MEM *)(sums + (r * n_vectors + v) * LANES);
    }
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t place = places[k];
        REAL gradient = gradients[k];
#pragma GCC unroll 3
        for (int r = 0; r < n_runs; r++)
#pragma GCC unroll 6
            for (int v = 0; v < n_vectors; v++)
                sum[r][v] += gradient * *(const MEM *)(run[r] + place + v * LANES);
    }
#pragma GCC unroll 3
    for (int r = 0; r < n_runs; r++)
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++)
            *(MEM *)(sums + (r * n_vectors + v) * LANES) = sum[r][v];
}

/* What some runs see from a position += the sum over n filters of their chunk times their gradient. */
INLINE void OF(filter_product, KIND)(ptrdiff_t n, const uint8_t *restrict numbers,
                                     const REAL *restrict gradients, const REAL *restrict chunks, REAL *image,
                                     const ptrdiff_t *runs, const int n_runs, const int n_vectors) {
    VEC sum[MAXIMA_RUNS][MAXIMA_VECTORS];
#pragma GCC unroll 3
    for (int r = 0; r < n_runs; r++)
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++)
            sum[r][v] = *(const MEM *)(image + runs[r] + v * LANES);
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < n; k++) {
        const REAL *chunk = chunks + numbers[k] * (ptrdiff_t)(n_runs * n_vectors * (int)LANES);
        REAL gradient = gradients[numbers[k]];
#pragma GCC unroll 3
        for (int r = 0; r < n_runs; r++)
#pragma GCC unroll 6
            for (int v = 0; v < n_vectors; v++)
                sum[r][v] += gradient * *(const MEM *)(chunk + (r * n_vectors + v) * LANES);
    }
#pragma GCC unroll 3
    for (int r = 0; r < n_runs; r++)
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++)
            *(MEM *)(image + runs[r] + v * LANES) = sum[r][v];
}

/* Both for each size of a chunk, a constant of each case. */
#define CHUNK_CASE(r, v)                                                                                     \
    case r * 8 + v:                                                                                          \
        if (v <= MAXIMA_VECTORS)                                                                             \
            CHUNK_PRODUCT(r, v <= MAXIMA_VECTORS ? v : 1);                                                   \
        break;
#define CHUNK_CASES(r)                                                                                       \
    CHUNK_CASE(r, 1)                                                                                         \
    CHUNK_CASE(r, 2) CHUNK_CASE(r, 3) CHUNK_CASE(r, 4) CHUNK_CASE(r, 5) CHUNK_CASE(r, 6)

static void OF(add_seen, KIND)(conv_chunk of, ptrdiff_t n, const REAL *gradients, const int32_t *places,
                               const REAL *image, const ptrdiff_t *runs, REAL *sums) {
#define CHUNK_PRODUCT(r, v) OF(seen_product, KIND)(n, gradients, places, image, runs, sums, r, v)
    switch (of.n_runs * 8 + of.n_vectors) { CHUNK_CASES(1) CHUNK_CASES(2) CHUNK_CASES(3) }
#undef CHUNK_PRODUCT
}

static void OF(add_filters, KIND)(conv_chunk of, ptrdiff_t n, const uint8_t *numbers, const REAL *gradients,
                                  const REAL *chunks, REAL *image, const ptrdiff_t *runs) {
#define CHUNK_PRODUCT(r, v) OF(filter_product, KIND)(n, numbers, gradients, chunks, image, runs, r, v)
    switch (of.n_runs * 8 + of.n_vectors) { CHUNK_CASES(1) CHUNK_CASES(2) CHUNK_CASES(3) }
#undef CHUNK_PRODUCT
}

#undef CHUNK_CASES
#undef CHUNK_CASE

/* Rows of an image from row y on, with the zeros around it. */
SHARED void OF(fill_seen, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                REAL *seen) {
    ptrdiff_t row = conv_seen_row(job), before = gemm_smaller(job->left * job->c, row);
    ptrdiff_t inside = gemm_smaller(job->w * job->c, row - before), after = row - before - inside;
    for (ptrdiff_t r = y; r < y + n_rows; r++, seen += row) {
        if (r < 0 || r >= job->h) {
            memset(seen, 0, (size_t)row * sizeof(REAL));
            continue;
        }
        memset(seen, 0, (size_t)before * sizeof(REAL));
        memcpy(seen + before, image + r * job->w * job->c, (size_t)inside * sizeof(REAL));
        memset(seen + before + inside, 0, (size_t)after * sizeof(REAL));
    }
}

/* Rows of positions at a time. */
INLINE ptrdiff_t OF(maxima_rows_at_once, KIND)(const conv_job *job) {
    ptrdiff_t row_bytes = conv_seen_row(job) * (ptrdiff_t)sizeof(REAL);
    ptrdiff_t fitting = MAXIMA_STRIP_BYTES / (row_bytes + 1) - (job->kh - 1) * job->dilation_y - 1;
    return conv_rows(job, fitting > 0 ? fitting / job->stride_y + 1 : 0);
}

/* Where a part's filters begin, of n_parts: whole vectors of them. */
INLINE ptrdiff_t OF(maxima_filter, KIND)(const conv_job *job, ptrdiff_t part, ptrdiff_t n_parts) {
    return gemm_smaller(product_share(product_ceil(job->m, LANES), part, n_parts) * LANES, job->m);
}

static size_t OF(maxima_filters_scratch, KIND)(const conv_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL);
    ptrdiff_t n = product_ceil(product_ceil(job->m, LANES), job->tap_parts) * LANES;
    ptrdiff_t most = job->rows / job->window_h * (job->ow / job->window_w);
    ptrdiff_t n_seen = conv_seen_rows(job, job->rows) * conv_seen_row(job) + LANES;
    return (size_t)((n * OF(filter_size, KIND)(job) + n_seen + n * most) * size + (n * most + n + 256) * 4 +
                    6 * 64);
}

/* Gradients to the filters [filter, filter_end), and to their bias, from some units. */
static void OF(maxima_filters, KIND)(const conv_job *job, ptrdiff_t start, ptrdiff_t end, ptrdiff_t filter,
                                     ptrdiff_t filter_end, REAL *result, void *scratch) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL), m = job->m, n = filter_end - filter, of_group = m / job->groups;
    ptrdiff_t across = job->ow / job->window_w, most = job->rows / job->window_h * across;
    ptrdiff_t per_image = job->n_units ? job->n_units / job->n : 1, n_rows = conv_seen_rows(job, job->rows);
    ptrdiff_t n_sums = n * OF(filter_size, KIND)(job), n_positions = job->window_h * job->window_w;
    ptrdiff_t runs[MAXIMA_RUNS];
    char *left = scratch;
    REAL *sums = scratch_piece(&left, n_sums * size), *bias_sums = result + conv_gradients(job) - m + filter;
    REAL *seen = scratch_piece(&left, (n_rows * conv_seen_row(job) + LANES) * size);
    REAL *gradients = scratch_piece(&left, n * most * size);
    int32_t *places = scratch_piece(&left, n * most * 4), *counts = scratch_piece(&left, n * 4);
    int32_t *positions = scratch_piece(&left, 256 * 4);
    memset(sums, 0, (size_t)(n_sums * size));
    memset(bias_sums, 0, (size_t)(n * size));
    for (ptrdiff_t i = 0; i < n_positions; i++)
        positions[i] = (int32_t)conv_position_place(job, i);
    for (ptrdiff_t unit = start; unit < end; unit++) {
        ptrdiff_t image = unit / per_image, y = unit % per_image * job->rows;
        ptrdiff_t rows = gemm_smaller(job->rows, job->oh - y);
        ptrdiff_t from = (image * job->oh + y) / job->window_h * across * m + filter;
        OF(fill_seen, KIND)(job, (const REAL *)job->x + image * job->h * job->w * job->c,
                            y * job->stride_y - job->top, conv_seen_rows(job, rows), seen);
        const REAL *dout = (const REAL *)job->dout + from, *out = (const REAL *)job->out + from;
        const uint8_t *argmax = job->argmax + from;
        memset(counts, 0, (size_t)n * sizeof *counts);
        for (ptrdiff_t wy = 0; wy < rows / job->window_h; wy++)
            for (ptrdiff_t wx = 0; wx < across; wx++, dout += m, out += m, argmax += m) {
                OF(list_window, KIND)(n, dout, out, argmax, (int32_t)conv_window_place(job, wy, wx),
                                      positions, n_positions, most, counts, gradients, places);
                OF(add_maxima, KIND)(n, dout, out, bias_sums);
            }
        REAL *at = sums;
        conv_chunk of = {0};
        while (conv_next_chunk(job, OF(run_vectors, KIND)(job), &of)) {
            for (ptrdiff_t r = 0; r < of.n_runs; r++)
                runs[r] = conv_run_place(job, of.run + r) + of.vector * LANES;
            for (ptrdiff_t f = 0; f < n; f++, at += of.n_runs * of.n_vectors * LANES)
                OF(add_seen, KIND)(of, counts[f], gradients + f * most, places + f * most,
                                   seen + (filter + f) / of_group * (job->c / job->groups), runs, at);
        }
    }
    for (ptrdiff_t f = 0; f < n; f += LANES)
        OF(chunks_to_filters, KIND)(job, sums, n, f, result + filter, m);
}

/* To the input: a unit is an image. */
static void OF(plan_maxima_input, KIND)(conv_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL), across = job->ow / job->window_w,
              window = job->window_h * job->window_w;
    ptrdiff_t rows = across ? product_ceil(MAXIMA_WINDOWS, across) * job->window_h : job->window_h;
    job->rows = conv_rows(job, rows);
    job->n_units = job->n;
    job->n_parts = gemm_smaller(job->n, CONV_MAX_PARTS);
    job->n_packed = product_ceil(job->m, LANES);
    job->packed_bytes = (size_t)(job->m * OF(filter_size, KIND)(job) * size);
    ptrdiff_t n_blocks = job->groups * product_ceil(job->m / job->groups, LISTED_FILTERS);
    ptrdiff_t n_lists = job->rows / job->window_h * across * n_blocks * window;
    job->scratch_bytes = (size_t)((conv_seen_rows(job, job->oh) * conv_seen_row(job) + LANES) * size +
                                  n_lists * (LISTED_FILTERS + 1) + 3 * 64);
}

static void OF(pack_maxima_input, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const conv_job *job = context;
    OF(filters_to_chunks, KIND)(job, job->filters, job->m, job->m, part * LANES, job->packed);
}

/* An image's gradient, with the zeros around it, from n_rows rows of windows. */
static void OF(maxima_rows, KIND)(const conv_job *job, ptrdiff_t n_rows, const REAL *dout, const REAL *out,
                                  const uint8_t *argmax, REAL *seen, uint8_t *lists) {
    ptrdiff_t across = job->ow / job->window_w, n_windows = n_rows * across, m = job->m;
    ptrdiff_t n_positions = job->window_h * job->window_w, of_group = m / job->groups;
    ptrdiff_t blocks = product_ceil(of_group, LISTED_FILTERS), runs[MAXIMA_RUNS];
    ptrdiff_t n_lists = n_windows * n_positions * blocks * job->groups;
    uint8_t *counts = lists + n_lists * LISTED_FILTERS;
    for (ptrdiff_t list = 0, b = 0; b < blocks * job->groups; b++) {
        ptrdiff_t first = b / blocks * of_group + product_share(of_group, b % blocks, blocks);
        ptrdiff_t n = b / blocks * of_group + product_share(of_group, b % blocks + 1, blocks) - first;
        for (ptrdiff_t i = first; i < n_windows * m; i += m, list += n_positions)
            OF(list_by_position, KIND)(n, n_positions, dout + i, out + i, argmax + i, counts + list,
                                       lists + list * LISTED_FILTERS);
    }
    const REAL *chunks = job->packed;
    conv_chunk of = {0};
    while (conv_next_chunk(job, OF(run_vectors, KIND)(job), &of)) {
        ptrdiff_t size = of.n_runs * of.n_vectors * LANES;
        for (ptrdiff_t r = 0; r < of.n_runs; r++)
            runs[r] = conv_run_place(job, of.run + r) + of.vector * LANES;
        for (ptrdiff_t list = 0, b = 0; b < blocks * job->groups; b++) {
            ptrdiff_t first = b / blocks * of_group + product_share(of_group, b % blocks, blocks);
            REAL *of_block = seen + b / blocks * (job->c / job->groups);
            for (ptrdiff_t i = 0; i < n_windows; i++) {
                REAL *window = of_block + conv_window_place(job, i / across, i % across);
                for (ptrdiff_t p = 0; p < n_positions; p++, list++)
                    if (counts[list])
                        OF(add_filters, KIND)(of, counts[list], lists + list * LISTED_FILTERS,
                                              dout + i * m + first, chunks + first * size,
                                              window + conv_position_place(job, p), runs);
            }
        }
        chunks += m * size;
    }
}

static void OF(maxima_input, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const conv_job *job = context;
    ptrdiff_t row = conv_seen_row(job), n_rows = conv_seen_rows(job, job->oh),
              of_image = job->h * job->w * job->c;
    ptrdiff_t across = job->ow / job->window_w, end = product_share(job->n, part + 1, job->n_parts);
    ptrdiff_t before = gemm_smaller(job->left * job->c, row);
    ptrdiff_t inside = gemm_smaller(job->w * job->c, row - before), beyond = job->w * job->c - inside;
    char *left = scratch;
    REAL *seen = scratch_piece(&left, (n_rows * row + LANES) * (ptrdiff_t)sizeof(REAL));
    for (ptrdiff_t image = product_share(job->n, part, job->n_parts); image < end; image++) {
        memset(seen, 0, (size_t)(n_rows * row + LANES) * sizeof(REAL));
        for (ptrdiff_t y = 0; y < job->oh; y += job->rows) {
            ptrdiff_t from = (image * job->oh + y) / job->window_h * across * job->m;
            OF(maxima_rows, KIND)(job, gemm_smaller(job->rows, job->oh - y) / job->window_h,
                                  (const REAL *)job->dout + from, (const REAL *)job->out + from,
                                  job->argmax + from, seen + y * job->stride_y * row, (uint8_t *)left);
        }
        REAL *to = (REAL *)job->dx + image * of_image;
        for (ptrdiff_t y = job->top; y < job->top + job->h; y++, to += inside + beyond) {
            if (y < n_rows)
                memcpy(to, seen + y * row + before, (size_t)inside * sizeof(REAL));
            else
                memset(to, 0, (size_t)inside * sizeof(REAL));
            memset(to + inside, 0, (size_t)beyond * sizeof(REAL));
        }
    }
}

#undef VEC
#undef MEM
#undef LANES
