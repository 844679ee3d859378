/* The state of SMO on one block that does not depend on the type of kernel values: the variables in the order
 * in which block.h scans them.
 */
#ifndef FASTML_SMO_LOCAL_H
#define FASTML_SMO_LOCAL_H

#include <math.h>
#include <stdlib.h>

#include "lanes.h"
#include "smo.h"

enum { MAX_GROUPS = 2, CHAINS = 4, STRIDE = CHAINS * LANES_f64 };

/* The block's variables, each group from a multiple of STRIDE on. What pads them can neither grow nor
 * shrink. */
typedef struct {
    ptrdiff_t padded;
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

/* One allocation for all arrays, one for copies of rows. 0, or the bytes that there is no memory for. */
static size_t allocate_local(smo_local *local, size_t real_size) {
    size_t padded = (size_t)local->padded;
    size_t each = 6 * sizeof(double) + sizeof(void *) + sizeof(float) + 2 * sizeof(int32_t);
    double *doubles = malloc(padded * each);
    local->g = doubles;
    local->copies = NULL;
    if (!doubles)
        return padded * each;
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
    size_t copy_bytes = local->direct ? 0 : padded * padded * real_size;
    if (copy_bytes)
        local->copies = malloc(copy_bytes);
    return local->copies ? 0 : copy_bytes;
}

static ptrdiff_t up_to_vectors(ptrdiff_t n) { return (n + STRIDE - 1) / STRIDE * STRIDE; }

/* Where the groups lie, and which variable at each place. 0, or the bytes that there is no memory for. */
static size_t lay_out(smo_local *local, const smo_block *block, size_t real_size) {
    ptrdiff_t n_positive = 0;
    for (ptrdiff_t k = 0; k < block->n; k++)
        n_positive += block->y[k] > 0;
    ptrdiff_t boundary = block->nu ? up_to_vectors(n_positive) : 0;
    local->n_groups = block->nu ? 2 : 1;
    local->padded = boundary + up_to_vectors(block->nu ? block->n - n_positive : block->n);
    local->first[0] = 0;
    local->last[0] = block->nu ? boundary : local->padded;
    local->first[1] = boundary;
    local->last[1] = local->padded;
    local->direct = !block->nu && !block->index && local->padded == block->n;
    local->n_copied = 0;
    size_t lacking_bytes = allocate_local(local, real_size);
    if (lacking_bytes)
        return lacking_bytes;
    ptrdiff_t next[MAX_GROUPS] = {0, boundary};
    for (ptrdiff_t at = 0; at < local->padded; at++)
        local->variable[at] = -1;
    for (ptrdiff_t k = 0; k < block->n; k++)
        local->variable[next[block->nu && block->y[k] < 0]++] = (int32_t)k;
    return 0;
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
static ptrdiff_t least_lane(vec_f64 best, bits_f64 at) {
    ptrdiff_t least = -1;
    double value = INFINITY;
    for (int lane = 0; lane < LANES_f64; lane++)
        if (best[lane] < value || (best[lane] == value && least >= 0 && at[lane] + lane < least)) {
            value = best[lane];
            least = (ptrdiff_t)at[lane] + lane;
        }
    return least;
}

static ptrdiff_t greatest_lane(vec_f32 best, bits_f32 at, float *value) {
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
