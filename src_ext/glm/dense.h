/* Both products of a block of dense rows, for REAL of KIND: a template. Lanes go over features, so that X is
 * read as it lies and few columns fill no vector by halves.
 *
 * Forward, a tile of some rows times the columns of a panel: a load of X serves all the panel's columns, one
 * of the packed weights all the rows. The sums over lanes are taken for as many rows at once as there are
 * lanes, which are then the lanes of the margins. Backward, as many vectors of features times the columns,
 * summed over the block's rows in registers: each row gives these loads and a broadcast per column. Sums of
 * some blocks go to float64.
 *
 * Where rows begin at the same place of a cache line, vectors lie on lines' boundaries, and the first one of
 * a row may lack its first lanes; the last one may lack its last lanes. (A load from two lines takes twice
 * its turn: of MNIST, which NumPy has begin 16 bytes behind a boundary, ten classes took 1.2 times as long.)
 * What is loaded never depends on it, nor do results: a margin's sum over lanes is by halves, and so the same
 * whichever lane the first feature is in.
 */
#define VEC OF(vec, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)

#ifndef FASTML_GLM_DENSE_H
#define FASTML_GLM_DENSE_H

/* Rows forward, vectors backward, that a tile takes of a panel of so many columns: their sums, themselves and
   one more vector fit the registers. One column's sums follow on each other by the time that a multiply-add
   takes: there eight at once, which take X from memory. */
#define TALLEST 8
INLINE int glm_tall(ptrdiff_t width) { return width == 1 ? TALLEST : width <= 6 && VEC_BYTES == 64 ? 4 : 2; }

/* The next block of X, on its way into the second-level cache: every two steps of a tile ask for so many
   `bytes` more; for a line more than once, where these are less. (It takes less time than to ask whether one
   has.) Two at once, for what is neither load nor multiply-add takes its turn too, and half of the turns
   where another machine shares the core. (AVX2, ten classes: 1.14 times as fast.) */
typedef struct {
    const char *at, *end;
    int bytes;
} glm_ahead;

INLINE void glm_fetch(glm_ahead *ahead) {
    if (ahead->at >= ahead->end)
        return;
    for (int i = 0; i < ahead->bytes; i += 64)
        __builtin_prefetch(ahead->at + i, 0, 2);
    ahead->at += ahead->bytes;
}

/* call(width) with a constant, for the width of a panel. */
#define PANEL_CASE(call, width)                                                                              \
    case width:                                                                                              \
        call(width) break;
#define FORWARD_CASES(call)                                                                                  \
    PANEL_CASE(call, 1)                                                                                      \
    PANEL_CASE(call, 2)                                                                                      \
    PANEL_CASE(call, 3)                                                                                      \
    PANEL_CASE(call, 4)                                                                                      \
    PANEL_CASE(call, 5)                                                                                      \
    PANEL_CASE(call, 6)
#if VEC_BYTES == 64
#define BACKWARD_CASES(call)                                                                                 \
    FORWARD_CASES(call)                                                                                      \
    PANEL_CASE(call, 7)                                                                                      \
    PANEL_CASE(call, 8)                                                                                      \
    PANEL_CASE(call, 9)                                                                                      \
    PANEL_CASE(call, 10)                                                                                     \
    PANEL_CASE(call, 11)                                                                                     \
    PANEL_CASE(call, 12)
#else
#define BACKWARD_CASES FORWARD_CASES
#endif

/* Which of its lanes a vector has: all, the first ones at a row's end, or the last ones at its beginning. */
enum { WHOLE_VECTOR, FIRST_LANES, LAST_LANES };

/* Adds the lanes of v to as many float64 at p. */
INLINE void flush_f64(double *p, vec_f64 v) { *(mem_f64 *)p += v; }
INLINE void flush_f32(double *p, vec_f32 v) {
    typedef float half __attribute__((vector_size(VEC_BYTES / 2)));
    half parts[2];
    memcpy(parts, &v, sizeof v);
    *(mem_f64 *)p += __builtin_convertvector(parts[0], vec_f64);
    *(mem_f64 *)(p + LANES_f64) += __builtin_convertvector(parts[1], vec_f64);
}

#endif

/* Adds n sums, a whole number of vectors, to as many in float64, and begins again. */
INLINE void OF(flush_all, KIND)(REAL *sums, double *to, ptrdiff_t n) {
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        OF(flush, KIND)(to + k, (VEC) * (MEM *)(sums + k));
        *(MEM *)(sums + k) = (VEC){0};
    }
}

INLINE VEC OF(load_lanes, KIND)(const REAL *x, ptrdiff_t n, const int part) {
    return part == FIRST_LANES  ? OF(load_part, KIND)(x, n)
           : part == LAST_LANES ? OF(load_end, KIND)(x, n)
                                : (VEC) * (const MEM *)x;
}

/* How many elements of a row come before its first whole vector. */
INLINE ptrdiff_t OF(lead, KIND)(ptrdiff_t shift) { return shift ? LANES - shift : 0; }

/* Sums over `tall` rows; sums: LANES vectors for each column, one for each row. */
INLINE void OF(forward_tile, KIND)(const REAL *const *rows, ptrdiff_t n_features, ptrdiff_t shift,
                                   const REAL *weights, VEC *sums, glm_ahead *ahead, const int width,
                                   const int tall) {
    VEC sum[TALLEST][FORWARD_COLUMNS], x[TALLEST];
    ptrdiff_t j = OF(lead, KIND)(shift);
#pragma GCC unroll 8
    for (int r = 0; r < tall; r++)
#pragma GCC unroll 6
        for (int c = 0; c < width; c++)
            sum[r][c] = (VEC){0};
#define FORWARD_STEP(at, n, part)                                                                            \
    _Pragma("GCC unroll 8") for (int r = 0; r < tall; r++) {                                                 \
        x[r] = OF(load_lanes, KIND)(rows[r] + (at), n, part);                                                \
        if (width > 1)                                                                                       \
            KEEP_IN_REGISTER(x[r]);                                                                          \
    }                                                                                                        \
    _Pragma("GCC unroll 6") for (int c = 0; c < width; c++) {                                                \
        VEC w = *(const MEM *)(weights + c * LANES);                                                         \
        if (width > 1)                                                                                       \
            KEEP_IN_REGISTER(w);                                                                             \
        _Pragma("GCC unroll 8") for (int r = 0; r < tall; r++) sum[r][c] += x[r] * w;                        \
    }                                                                                                        \
    weights += width * LANES;
    if (shift) {
        FORWARD_STEP(0, j, LAST_LANES)
    }
#pragma GCC unroll 1
    for (; j + 2 * LANES <= n_features; j += 2 * LANES) {
        glm_fetch(ahead);
        FORWARD_STEP(j, LANES, WHOLE_VECTOR)
        FORWARD_STEP(j + LANES, LANES, WHOLE_VECTOR)
    }
    if (j + LANES <= n_features) {
        FORWARD_STEP(j, LANES, WHOLE_VECTOR)
        j += LANES;
    }
    if (j < n_features) {
        FORWARD_STEP(j, n_features - j, FIRST_LANES)
    }
#undef FORWARD_STEP
#pragma GCC unroll 8
    for (int r = 0; r < tall; r++)
#pragma GCC unroll 6
        for (int c = 0; c < width; c++)
            sums[c * LANES + r] = sum[r][c];
}

/* Margins of a block's rows for one panel of columns. Rows beyond the end are the last one again. */
INLINE void OF(forward_panel, KIND)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t shift,
                                    const REAL *weights, REAL *margins, ptrdiff_t stride, VEC *sums,
                                    glm_ahead *ahead, const int width) {
    const int tall = glm_tall(width) < LANES ? glm_tall(width) : LANES;
    for (ptrdiff_t i = 0; i < n_rows; i += LANES) {
#pragma GCC unroll 1
        for (ptrdiff_t r = 0; r < LANES; r += tall) {
            const REAL *rows[TALLEST];
            for (int t = 0; t < tall; t++)
                rows[t] = x + glm_smaller(i + r + t, n_rows - 1) * n_features;
            OF(forward_tile, KIND)(rows, n_features, shift, weights, sums + r, ahead, width, tall);
        }
#pragma GCC unroll 1
        for (int c = 0; c < width; c++)
            *(MEM *)(margins + c * stride + i) = OF(sum_each, KIND)(sums + c * LANES);
    }
}

/* Adds `tall` vectors of features from x on, times the derivatives, to the sums, whose columns are `step`
 * apart; n: elements of the last one, where it is not whole. */
INLINE void OF(backward_tile, KIND)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t n,
                                    const REAL *slopes, ptrdiff_t stride, REAL *sums, ptrdiff_t step,
                                    glm_ahead *ahead, const int width, const int tall, const int part) {
    VEC sum[BACKWARD_COLUMNS][TALLEST], of_x[TALLEST];
    const int n_whole = part == WHOLE_VECTOR ? tall : tall - 1;
#pragma GCC unroll 12
    for (int c = 0; c < width; c++)
#pragma GCC unroll 8
        for (int v = 0; v < tall; v++)
            sum[c][v] = *(const MEM *)(sums + c * step + v * LANES);
#define BACKWARD_STEP(x, slopes)                                                                             \
    _Pragma("GCC unroll 8") for (int v = 0; v < tall; v++) {                                                 \
        of_x[v] = OF(load_lanes, KIND)((x) + v * LANES, n, v < n_whole ? WHOLE_VECTOR : part);               \
        if (width > 1)                                                                                       \
            KEEP_IN_REGISTER(of_x[v]);                                                                       \
    }                                                                                                        \
    _Pragma("GCC unroll 12") for (int c = 0; c < width; c++)                                                 \
        _Pragma("GCC unroll 8") for (int v = 0; v < tall; v++) sum[c][v] += (slopes)[c * stride] * of_x[v];
    ptrdiff_t i = 0;
#pragma GCC unroll 1
    for (; i + 2 <= n_rows; i += 2, x += 2 * n_features, slopes += 2) {
        glm_fetch(ahead);
        BACKWARD_STEP(x, slopes)
        BACKWARD_STEP(x + n_features, slopes + 1)
    }
    if (i < n_rows) {
        BACKWARD_STEP(x, slopes)
    }
#undef BACKWARD_STEP
#pragma GCC unroll 12
    for (int c = 0; c < width; c++)
#pragma GCC unroll 8
        for (int v = 0; v < tall; v++)
            *(MEM *)(sums + c * step + v * LANES) = sum[c][v];
}

INLINE void OF(backward_panel, KIND)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t shift,
                                     const REAL *slopes, ptrdiff_t stride, REAL *sums, ptrdiff_t step,
                                     glm_ahead *ahead, const int width) {
    const int tall = glm_tall(width);
#define BACKWARD(at, n, n_vectors, part)                                                                     \
    OF(backward_tile, KIND)(x + (at), n_rows, n_features, n, slopes, stride, sums, step, ahead, width,       \
                            n_vectors, part)
    ptrdiff_t j = OF(lead, KIND)(shift);
    if (shift) {
        BACKWARD(0, j, 1, LAST_LANES);
        sums += LANES;
    }
    for (; j + tall * LANES <= n_features; j += tall * LANES, sums += tall * LANES)
        BACKWARD(j, LANES, tall, WHOLE_VECTOR);
    /* What is left, in one tile, the last vector in part or whole. `tall` is a constant: of the cases, those
       that cannot be are not compiled. */
#define REST(n_vectors)                                                                                      \
    case n_vectors:                                                                                          \
        if (n_vectors <= tall)                                                                               \
            BACKWARD(j, n_features - j - (n_vectors - 1) * LANES, n_vectors, FIRST_LANES);                   \
        break;
    switch ((n_features - j + LANES - 1) / LANES) {
        REST(1)
        REST(2)
        REST(3)
        REST(4)
        REST(5)
        REST(6)
        REST(7)
        REST(8)
    }
#undef REST
#undef BACKWARD
}

static void OF(forward, KIND)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t shift,
                              const REAL *weights, REAL *margins, ptrdiff_t stride, VEC *sums,
                              glm_ahead *ahead, int width) {
#define FORWARD_CASE(width)                                                                                  \
    OF(forward_panel, KIND)(x, n_rows, n_features, shift, weights, margins, stride, sums, &next, width);
    glm_ahead next = *ahead; /* in registers */
    switch (width) { FORWARD_CASES(FORWARD_CASE) }
    *ahead = next;
#undef FORWARD_CASE
}

static void OF(backward, KIND)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t shift,
                               const REAL *slopes, ptrdiff_t stride, REAL *sums, ptrdiff_t step,
                               glm_ahead *ahead, int width) {
#define BACKWARD_CASE(width)                                                                                 \
    OF(backward_panel, KIND)(x, n_rows, n_features, shift, slopes, stride, sums, step, &next, width);
    glm_ahead next = *ahead; /* in registers */
    switch (width) { BACKWARD_CASES(BACKWARD_CASE) }
    *ahead = next;
#undef BACKWARD_CASE
}

#undef VEC
#undef MEM
#undef LANES
