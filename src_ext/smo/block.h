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
#include "local.h"

static void OF(load_variables, KIND)(smo_local *local, const smo_block *block) {
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
INLINE const REAL *OF(row_at, KIND)(smo_local *local, const smo_block *block, ptrdiff_t at) {
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
static ptrdiff_t OF(update, KIND)(smo_local *local, int group, double t, const REAL *row_i,
                                  const REAL *row_j) {
    vec_f64 best[CHAINS];
    bits_f64 best_at[CHAINS], at = (bits_f64){0} + local->first[group];
    for (int c = 0; c < CHAINS; c++) {
        best[c] = (vec_f64){0} + INFINITY;
        best_at[c] = (bits_f64){0};
    }
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += STRIDE) {
        for (int c = 0; c < CHAINS; c++) {
            ptrdiff_t here = k + c * LANES_f64;
            vec_f64 g = *(mem_f64 *)(local->g + here);
            g += t * (OF(strip, KIND)(row_i + here) - OF(strip, KIND)(row_j + here));
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
static smo_pair OF(partner, KIND)(const smo_local *local, int group, ptrdiff_t i, const REAL *row_i) {
    smo_pair pair = {i, -1, 0.0f, -INFINITY};
    double g_i = local->g[i];
    const REAL *diagonal = local->diagonal;
    double d_i = diagonal[i];
    vec_f32 zero = {0}, tau = zero + (float)SMO_TAU;
    vec_f32 best[CHAINS / 2], greatest[CHAINS / 2];
    bits_f32 best_at[CHAINS / 2], at = (bits_f32){0} + (int32_t)local->first[group];
    for (int c = 0; c < CHAINS / 2; c++) {
        greatest[c] = zero - INFINITY;
        best[c] = zero;
        best_at[c] = (bits_f32){0};
    }
    for (ptrdiff_t k = local->first[group]; k < local->last[group]; k += STRIDE) {
        for (int c = 0; c < CHAINS / 2; c++) {
            ptrdiff_t here = k + c * LANES_f32;
            vec_f32 b = narrow_two(*(mem_f64 *)(local->g + here) - g_i,
                                   *(mem_f64 *)(local->g + here + LANES_f64) - g_i);
            b = at_most_f32(b, *(mem_f32 *)(local->shrinks + here));
            greatest[c] = at_least_f32(b, greatest[c]);
            vec_f32 a = at_least_f32(OF(curvatures, KIND)(d_i, diagonal + here, row_i + here), tau);
            keep_greater(score_f32(at_least_f32(b, zero), a), at + c * LANES_f32, &best[c], &best_at[c]);
        }
        at += STRIDE;
    }
    for (int c = 1; c < CHAINS / 2; c++) {
        greatest[0] = at_least_f32(greatest[0], greatest[c]);
        keep_greater(best[c], best_at[c], &best[0], &best_at[0]);
    }
    for (int lane = 0; lane < LANES_f32; lane++)
        pair.violation = greatest[0][lane] > pair.violation ? (double)greatest[0][lane] : pair.violation;
    pair.j = greatest_lane(best[0], best_at[0], &pair.score);
    return pair;
}

/* The pair that promises most, over the groups; its violation is the groups' largest. */
static smo_pair OF(best_pair, KIND)(smo_local *local, const smo_block *block, const ptrdiff_t i[MAX_GROUPS]) {
    smo_pair best = {-1, -1, -1.0f, -INFINITY};
    int of_group = 0;
    for (int group = 0; group < local->n_groups; group++) {
        if (i[group] < 0)
            continue;
        smo_pair pair = OF(partner, KIND)(local, group, i[group], OF(row_at, KIND)(local, block, i[group]));
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

static void OF(solve, KIND)(smo_block *block) {
    smo_local local;
    block->n_updates = 0;
    block->violation = -INFINITY;
    block->stop = SMO_NO_MEMORY;
    block->lacking_bytes = lay_out(&local, block, sizeof(REAL));
    if (block->lacking_bytes) {
        free_local(&local);
        return;
    }
    OF(load_variables, KIND)(&local, block);
    ptrdiff_t i[MAX_GROUPS] = {-1, -1};
    for (int group = 0; group < local.n_groups; group++) {
        const REAL *any = OF(row_at, KIND)(&local, block, 0);
        i[group] = OF(update, KIND)(&local, group, 0.0, any, any);
    }
    for (;;) {
        smo_pair pair = OF(best_pair, KIND)(&local, block, i);
        block->violation = pair.violation;
        block->stop = SMO_CONVERGED;
        if (!(pair.violation > block->tol) || pair.j < 0)
            break;
        block->stop = SMO_MAX_UPDATES;
        if (block->n_updates == block->max_updates)
            break;
        const REAL *row_i = OF(row_at, KIND)(&local, block, pair.i);
        const REAL *row_j = OF(row_at, KIND)(&local, block, pair.j);
        const REAL *diagonal = local.diagonal;
        double curvature = (double)diagonal[pair.i] + (double)diagonal[pair.j] - 2.0 * (double)row_i[pair.j],
               t;
        block->stop = SMO_STALLED;
        if (!step(&local, pair.i, pair.j, curvature, &t))
            break;
        block->n_updates++;
        for (int group = 0; group < local.n_groups; group++)
            i[group] = OF(update, KIND)(&local, group, t, row_i, row_j);
    }
    write_back(&local, block);
    free_local(&local);
}
