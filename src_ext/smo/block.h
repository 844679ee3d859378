/* SMO on one block, to the end or for max_updates pairs. REAL, KIND: the type of kernel values.
 *
 * Variables are signed here: v = y alpha, between lower and upper (0 and C, or -C and 0), and g = y times the
 * derivative by alpha. A step adds t to v_i and takes it from v_j, and g changes by t (K_i - K_j): no y is
 * left in the loops. The i of a step is the variable that may grow with the least g, j that which may shrink
 * and promises the most, (g_j - g_i)^2 / curvature (Fan, Chen, Lin 2005, WSS 2). Each step reads g twice:
 * once to update it and find the next i, once to find its j.
 *
 * A group is what pairs are taken within: all variables, or those of one sign in nu problems.
 */
#include <math.h>
#include <stdlib.h>

#include "lanes.h"

#ifndef SMO_NAME
#define SMO_PASTE_(a, b) a##_##b
#define SMO_PASTE(a, b) SMO_PASTE_(a, b)
#define SMO_NAME(name) SMO_PASTE(name, KIND)
enum { SMO_ROWS = 8, SMO_COLUMNS = 2048 };
#endif

#ifndef SMO_BLOCK_TYPES
#define SMO_BLOCK_TYPES
enum { MAX_GROUPS = 2 };

/* The block's variables, each group from a multiple of LANES_f32 on. What pads them can neither grow nor
 * shrink. */
typedef struct {
    ptrdiff_t n, padded;
    int n_groups;
    ptrdiff_t first[MAX_GROUPS], last[MAX_GROUPS]; /* last: padded too */
    double *g, *v, *lower, *upper, *diagonal;
    double *grows;           /* 0 where v < upper, else +inf: g + grows is least at i */
    double *shrinks;         /* 0 where v > lower, else -inf */
    int32_t *variable, *row; /* -1 where padded; the row of K */
    const void **rows;       /* kernel rows in this order of variables; NULL: not yet copied */
    void *copies;
    ptrdiff_t n_copied;
    bool direct;  /* K's own rows serve */
    double scale; /* of g, for scores in float not to overflow: one over a recent violation */
} smo_local;

typedef struct {
    ptrdiff_t i, j;
    float score;
    double violation;
} smo_pair;

static void set_bounds(smo_local *local, ptrdiff_t k) {
    local->grows[k] = local->v[k] < local->upper[k] ? 0.0 : INFINITY;
    local->shrinks[k] = local->v[k] > local->lower[k] ? 0.0 : -INFINITY;
}

static void free_local(smo_local *local) {
    free(local->g);
    free(local->copies);
}

/* One allocation for all arrays. False where there is no memory. */
static bool allocate_local(smo_local *local, size_t real_size) {
    size_t padded = (size_t)local->padded;
    double *doubles = malloc(padded * (7 * sizeof *doubles + 2 * sizeof(int32_t) + sizeof(void *)));
    local->g = doubles;
    local->copies = NULL;
    if (!doubles)
        return false;
    local->v = doubles + padded;
    local->lower = doubles + 2 * padded;
    local->upper = doubles + 3 * padded;
    local->diagonal = doubles + 4 * padded;
    local->grows = doubles + 5 * padded;
    local->shrinks = doubles + 6 * padded;
    local->rows = (const void **)(doubles + 7 * padded);
    local->variable = (int32_t *)(local->rows + padded);
    local->row = local->variable + padded;
    /* Memory that no row is copied to is never touched. */
    if (!local->direct)
        local->copies = malloc(padded * padded * real_size);
    return local->direct || local->copies != NULL;
}

static ptrdiff_t up_to_vectors(ptrdiff_t n) { return (n + LANES_f32 - 1) / LANES_f32 * LANES_f32; }

/* Where the groups lie, and which variable at each place. */
static bool lay_out(smo_local *local, const smo_block *block, size_t real_size) {
    ptrdiff_t n_positive = 0;
    for (ptrdiff_t k = 0; k < block->n; k++)
        n_positive += block->y[k] > 0;
    ptrdiff_t boundary = block->nu ? up_to_vectors(n_positive) : 0;
    local->n = block->n;
    local->n_groups = block->nu ? 2 : 1;
    local->padded = boundary + up_to_vectors(block->nu ? block->n - n_positive : block->n);
    local->first[0] = 0;
    local->last[0] = block->nu ? boundary : local->padded;
    local->first[1] = boundary;
    local->last[1] = local->padded;
    local->direct = !block->nu && !block->index && local->padded == block->n;
    local->n_copied = 0;
    if (!allocate_local(local, real_size))
        return false;
    ptrdiff_t next[MAX_GROUPS] = {0, boundary};
    for (ptrdiff_t at = 0; at < local->padded; at++)
        local->variable[at] = -1;
    for (ptrdiff_t k = 0; k < block->n; k++)
        local->variable[next[block->nu && block->y[k] < 0]++] = (int32_t)k;
    return true;
}

/* The pair of two places: how far v_i may grow and v_j shrink along the curvature; false where neither moves.
 */
static bool step(smo_local *local, ptrdiff_t i, ptrdiff_t j, double curvature, double *t) {
    double *v = local->v;
    double length = (local->g[j] - local->g[i]) / (curvature > 0 ? curvature : SMO_TAU);
    double room_i = local->upper[i] - v[i], room_j = v[j] - local->lower[j];
    double room = room_i < room_j ? room_i : room_j;
    if (length > room)
        length = room;
    double before_i = v[i], before_j = v[j];
    v[i] = length >= room_i ? local->upper[i] : fmin(v[i] + length, local->upper[i]);
    v[j] = length >= room_j ? local->lower[j] : fmax(v[j] - length, local->lower[j]);
    set_bounds(local, i);
    set_bounds(local, j);
    *t = length;
    return v[i] != before_i || v[j] != before_j;
}

/* The place of the least (greatest) lane; -1 where no lane has one. */
static ptrdiff_t least_lane(vec_f64 best, vec_i64 at) {
    ptrdiff_t least = -1;
    double value = INFINITY;
    for (int lane = 0; lane < LANES_f64; lane++)
        if (best[lane] < value || (best[lane] == value && least >= 0 && at[lane] + lane < least)) {
            value = best[lane];
            least = (ptrdiff_t)at[lane] + lane;
        }
    return least;
}

static ptrdiff_t greatest_lane(vec_f32 best, vec_i32 at, float *value) {
    ptrdiff_t greatest = -1;
    *value = 0.0f;
    for (int lane = 0; lane < LANES_f32; lane++)
        if (best[lane] > *value || (best[lane] == *value && greatest >= 0 && at[lane] + lane < greatest)) {
            *value = best[lane];
            greatest = (ptrdiff_t)at[lane] + lane;
        }
    return greatest;
}

/* The partner of the largest violation: where every score is too small for a float. */
static ptrdiff_t most_violating(const smo_local *local, int group) {
    ptrdiff_t most = -1;
    double value = -INFINITY;
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k++)
        if (local->g[k] + local->shrinks[k] > value) {
            value = local->g[k];
            most = k;
        }
    return most;
}

static void write_back(const smo_local *local, smo_block *block) {
    for (ptrdiff_t at = 0; at < local->padded; at++) {
        ptrdiff_t k = local->variable[at];
        if (k >= 0) {
            block->alpha[k] = fabs(local->v[at]);
            block->gradient[k] = local->g[at];
        }
    }
}
#endif

static void SMO_NAME(load_variables)(smo_local *local, const smo_block *block) {
    const REAL *K = block->K;
    for (ptrdiff_t at = 0; at < local->padded; at++) {
        ptrdiff_t k = local->variable[at];
        bool pads = k < 0;
        double y = pads ? 1.0 : block->y[k], C = pads ? 0.0 : block->C[k];
        ptrdiff_t row = pads ? 0 : block->index ? block->index[k] : k;
        local->row[at] = (int32_t)row;
        local->rows[at] = local->direct ? K + row * block->K_stride : NULL;
        local->diagonal[at] = pads ? 0.0 : K[row * block->K_stride + row];
        local->v[at] = pads ? 0.0 : y * block->alpha[k];
        local->lower[at] = y > 0 ? 0.0 : -C;
        local->upper[at] = y > 0 ? C : 0.0;
        local->g[at] = pads ? 0.0 : block->gradient[k];
        set_bounds(local, at);
    }
    double least = INFINITY, greatest = -INFINITY;
    for (ptrdiff_t at = 0; at < local->padded; at++) {
        least = fmin(least, local->g[at] + local->grows[at]);
        greatest = fmax(greatest, local->g[at] + local->shrinks[at]);
    }
    local->scale = greatest > least ? 1.0 / (greatest - least) : 1.0;
}

/* A variable's kernel row in the order of the places. */
INLINE const REAL *SMO_NAME(row_at)(smo_local *local, const smo_block *block, ptrdiff_t at) {
    if (!local->rows[at]) {
        const REAL *from = (const REAL *)block->K + local->row[at] * block->K_stride;
        REAL *to = (REAL *)local->copies + local->n_copied++ * local->padded;
        if (block->index || block->nu) {
            for (ptrdiff_t k = 0; k < local->padded; k++)
                to[k] = from[local->row[k]];
        } else {
            memcpy(to, from, (size_t)block->n * sizeof *to);
            memset(to + block->n, 0, (size_t)(local->padded - block->n) * sizeof *to);
        }
        local->rows[at] = to;
    }
    return local->rows[at];
}

/* g += t (K_i - K_j) within a group, and the place of the least g that may grow. */
static ptrdiff_t SMO_NAME(update)(smo_local *local, int group, double t, const REAL *row_i,
                                  const REAL *row_j) {
    vec_f64 best = (vec_f64){0} + INFINITY;
    vec_i64 best_at = {0}, at = (vec_i64){0} + local->first[group];
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += LANES_f64) {
        vec_f64 g = *(mem_f64 *)(local->g + k);
        g += t * (SMO_NAME(strip)(row_i + k) - SMO_NAME(strip)(row_j + k));
        *(mem_f64 *)(local->g + k) = g;
        keep_less(g + *(mem_f64 *)(local->grows + k), at, &best, &best_at);
        at += LANES_f64;
    }
    return least_lane(best, best_at);
}

/* The best partner for i within a group, and the group's violation. */
static smo_pair SMO_NAME(partner)(const smo_local *local, int group, ptrdiff_t i, const REAL *row_i) {
    smo_pair pair = {i, -1, 0.0f, -INFINITY};
    double g_i = local->g[i], d_i = local->diagonal[i], scale = local->scale;
    vec_f64 greatest = (vec_f64){0} - INFINITY;
    vec_f32 best = {0};
    vec_i32 best_at = {0}, at = (vec_i32){0} + (int32_t)local->first[group];
    vec_f32 zero = {0}, tau = zero + (float)SMO_TAU;
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += LANES_f32) {
        vec_f64 low = *(mem_f64 *)(local->g + k) + *(mem_f64 *)(local->shrinks + k) - g_i;
        vec_f64 high =
            *(mem_f64 *)(local->g + k + LANES_f64) + *(mem_f64 *)(local->shrinks + k + LANES_f64) - g_i;
        greatest = max_f64(greatest, max_f64(low, high));
        vec_f32 b = positive_or(narrow_two(low * scale, high * scale), zero);
        vec_f32 a = positive_or(SMO_NAME(curvatures)(d_i, local->diagonal + k, row_i + k), tau);
        keep_greater(score_f32(b, a), at, &best, &best_at);
        at += LANES_f32;
    }
    for (int lane = 0; lane < LANES_f64; lane++)
        pair.violation = fmax(pair.violation, greatest[lane]);
    pair.j = greatest_lane(best, best_at, &pair.score);
    return pair;
}

/* The pair that promises most, over the groups; its violation is the groups' largest. */
static smo_pair SMO_NAME(best_pair)(smo_local *local, const smo_block *block, const ptrdiff_t i[MAX_GROUPS]) {
    smo_pair best = {-1, -1, -1.0f, -INFINITY};
    int of_group = 0;
    for (int group = 0; group < local->n_groups; group++) {
        if (i[group] < 0)
            continue;
        smo_pair pair = SMO_NAME(partner)(local, group, i[group], SMO_NAME(row_at)(local, block, i[group]));
        double violation = fmax(best.violation, pair.violation);
        if (pair.score > best.score || (pair.score == best.score && pair.violation > best.violation)) {
            best = pair;
            of_group = group;
        }
        best.violation = violation;
    }
    if (best.j < 0 && best.violation > 0)
        best.j = most_violating(local, of_group);
    return best;
}

static void SMO_NAME(solve)(smo_block *block) {
    smo_local local;
    block->n_updates = 0;
    block->violation = -INFINITY;
    block->stop = SMO_NO_MEMORY;
    if (!lay_out(&local, block, sizeof(REAL))) {
        free_local(&local);
        return;
    }
    SMO_NAME(load_variables)(&local, block);
    ptrdiff_t i[MAX_GROUPS] = {-1, -1};
    for (int group = 0; group < local.n_groups; group++) {
        const REAL *any = SMO_NAME(row_at)(&local, block, 0);
        i[group] = SMO_NAME(update)(&local, group, 0.0, any, any);
    }
    for (;;) {
        smo_pair pair = SMO_NAME(best_pair)(&local, block, i);
        block->violation = pair.violation;
        block->stop = SMO_CONVERGED;
        if (!(pair.violation > block->tol) || pair.j < 0)
            break;
        block->stop = SMO_MAX_UPDATES;
        if (block->n_updates == block->max_updates)
            break;
        local.scale = 1.0 / pair.violation;
        const REAL *row_i = SMO_NAME(row_at)(&local, block, pair.i);
        const REAL *row_j = SMO_NAME(row_at)(&local, block, pair.j);
        double curvature = local.diagonal[pair.i] + local.diagonal[pair.j] - 2.0 * (double)row_i[pair.j];
        double t;
        block->stop = SMO_STALLED;
        if (!step(&local, pair.i, pair.j, curvature, &t))
            break;
        block->n_updates++;
        for (int group = 0; group < local.n_groups; group++)
            i[group] = SMO_NAME(update)(&local, group, t, row_i, row_j);
    }
    write_back(&local, block);
    free_local(&local);
}
