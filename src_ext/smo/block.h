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
enum { MAX_GROUPS = 2, CHAINS = 4, STRIDE = CHAINS * LANES_f64 };

/* The block's variables, each group from a multiple of STRIDE on. What pads them can neither grow nor
 * shrink. */
typedef struct {
    ptrdiff_t n, padded;
    int n_groups;
    ptrdiff_t first[MAX_GROUPS], last[MAX_GROUPS]; /* last: padded too */
    double *g, *v, *lower, *upper;
    double *grows;           /* 0 where v < upper, else +inf: g + grows is least at i */
    float *shrinks;          /* +inf where v > lower, else -inf: the limit of what j may violate by */
    void *diagonal;          /* of K, and of its type */
    int32_t *variable, *row; /* -1 where padded; the row of K */
    const void **rows;       /* kernel rows in this order of variables; NULL: not yet copied */
    void *copies;
    ptrdiff_t n_copied;
    bool direct; /* K's own rows serve */
} smo_local;

typedef struct {
    ptrdiff_t i, j;
    float score;
    double violation;
} smo_pair;

static void set_bounds(smo_local *local, ptrdiff_t k) {
    local->grows[k] = local->v[k] < local->upper[k] ? 0.0 : INFINITY;
    local->shrinks[k] = local->v[k] > local->lower[k] ? INFINITY : -INFINITY;
}

static void free_local(smo_local *local) {
    free(local->g);
    free(local->copies);
}

/* One allocation for all arrays. False where there is no memory. */
static bool allocate_local(smo_local *local, size_t real_size) {
    size_t padded = (size_t)local->padded;
    size_t each = 6 * sizeof(double) + sizeof(void *) + sizeof(float) + 2 * sizeof(int32_t);
    double *doubles = malloc(padded * each);
    local->g = doubles;
    local->copies = NULL;
    if (!doubles)
        return false;
    local->v = doubles + padded;
    local->lower = doubles + 2 * padded;
    local->upper = doubles + 3 * padded;
    local->grows = doubles + 4 * padded;
    local->diagonal = doubles + 5 * padded;
    local->rows = (const void **)(doubles + 6 * padded);
    local->shrinks = (float *)(local->rows + padded);
    local->variable = (int32_t *)(local->shrinks + padded);
    local->row = local->variable + padded;
    /* Memory that no row is copied to is never touched. */
    if (!local->direct)
        local->copies = malloc(padded * padded * real_size);
    return local->direct || local->copies != NULL;
}

static ptrdiff_t up_to_vectors(ptrdiff_t n) { return (n + STRIDE - 1) / STRIDE * STRIDE; }

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
        if (local->shrinks[k] > 0 && local->g[k] > value) {
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
    REAL *diagonal = local->diagonal;
    for (ptrdiff_t at = 0; at < local->padded; at++) {
        ptrdiff_t k = local->variable[at];
        bool pads = k < 0;
        double y = pads ? 1.0 : block->y[k], C = pads ? 0.0 : block->C[k];
        ptrdiff_t row = pads ? 0 : block->index ? block->index[k] : k;
        local->row[at] = (int32_t)row;
        local->rows[at] = local->direct ? K + row * block->K_stride : NULL;
        diagonal[at] = pads ? 0 : K[row * block->K_stride + row];
        local->v[at] = pads ? 0.0 : y * block->alpha[k];
        local->lower[at] = y > 0 ? 0.0 : -C;
        local->upper[at] = y > 0 ? C : 0.0;
        local->g[at] = pads ? 0.0 : block->gradient[k];
        set_bounds(local, at);
    }
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

/* g += t (K_i - K_j) within a group, and the place of the least g that may grow. Several running minima: one
   would wait for itself, some 7 cycles a vector. */
static ptrdiff_t SMO_NAME(update)(smo_local *local, int group, double t, const REAL *row_i,
                                  const REAL *row_j) {
    vec_f64 best[CHAINS];
    vec_i64 best_at[CHAINS], at = (vec_i64){0} + local->first[group];
    for (int c = 0; c < CHAINS; c++) {
        best[c] = (vec_f64){0} + INFINITY;
        best_at[c] = (vec_i64){0};
    }
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += STRIDE) {
        for (int c = 0; c < CHAINS; c++) {
            ptrdiff_t here = k + c * LANES_f64;
            vec_f64 g = *(mem_f64 *)(local->g + here);
            g += t * (SMO_NAME(strip)(row_i + here) - SMO_NAME(strip)(row_j + here));
            *(mem_f64 *)(local->g + here) = g;
            keep_less(g + *(mem_f64 *)(local->grows + here), at + c * LANES_f64, &best[c], &best_at[c]);
        }
        at += STRIDE;
    }
    for (int c = 1; c < CHAINS; c++)
        keep_less(best[c], best_at[c], &best[0], &best_at[0]);
    return least_lane(best[0], best_at[0]);
}

/* The best partner for i within a group, and the group's violation. Differences of g are taken in double, and
   compared as floats: a square too small or too large for them costs a step that might have promised more. */
static smo_pair SMO_NAME(partner)(const smo_local *local, int group, ptrdiff_t i, const REAL *row_i) {
    smo_pair pair = {i, -1, 0.0f, -INFINITY};
    double g_i = local->g[i];
    const REAL *diagonal = local->diagonal;
    double d_i = diagonal[i];
    vec_f32 zero = {0}, tau = zero + (float)SMO_TAU;
    vec_f32 best[CHAINS / 2], greatest[CHAINS / 2];
    vec_i32 best_at[CHAINS / 2], at = (vec_i32){0} + (int32_t)local->first[group];
    for (int c = 0; c < CHAINS / 2; c++) {
        greatest[c] = zero - INFINITY;
        best[c] = zero;
        best_at[c] = (vec_i32){0};
    }
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += STRIDE) {
        for (int c = 0; c < CHAINS / 2; c++) {
            ptrdiff_t here = k + c * LANES_f32;
            vec_f32 b = narrow_two(*(mem_f64 *)(local->g + here) - g_i,
                                   *(mem_f64 *)(local->g + here + LANES_f64) - g_i);
            b = min_f32(b, *(mem_f32 *)(local->shrinks + here));
            greatest[c] = max_f32(b, greatest[c]);
            vec_f32 a = max_f32(SMO_NAME(curvatures)(d_i, diagonal + here, row_i + here), tau);
            keep_greater(score_f32(max_f32(b, zero), a), at + c * LANES_f32, &best[c], &best_at[c]);
        }
        at += STRIDE;
    }
    for (int c = 1; c < CHAINS / 2; c++) {
        greatest[0] = max_f32(greatest[0], greatest[c]);
        keep_greater(best[c], best_at[c], &best[0], &best_at[0]);
    }
    for (int lane = 0; lane < LANES_f32; lane++)
        pair.violation = greatest[0][lane] > pair.violation ? (double)greatest[0][lane] : pair.violation;
    pair.j = greatest_lane(best[0], best_at[0], &pair.score);
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
        const REAL *row_i = SMO_NAME(row_at)(&local, block, pair.i);
        const REAL *row_j = SMO_NAME(row_at)(&local, block, pair.j);
        const REAL *diagonal = local.diagonal;
        double curvature = (double)diagonal[pair.i] + (double)diagonal[pair.j] - 2.0 * (double)row_i[pair.j],
               t;
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
