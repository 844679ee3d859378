/* What every coordinate descent here does between its steps: order the coordinates, drop one, end a sweep. */
#ifndef FASTML_SWEEP_H
#define FASTML_SWEEP_H

#include <math.h>

#include "dual_cd.h"

/* What a step costs besides its row, in multiply-adds. */
#define WORK_PER_STEP 20.0
/* A step along a coordinate that is shorter than this is not taken. */
#define SHORTEST_STEP 1e-12

/* What a random row is like mispredicts a branch every other time, at some 20 cycles, where a step on a short
   row takes 50. These compile to single instructions, and `choose` to masks. Whether there is a step at all
   stays a branch: where most rows stay where they are, guessing that breaks the chain from each row to the
   next. */
INLINE double larger(double a, double b) { return a > b ? a : b; }
INLINE double smaller(double a, double b) { return a < b ? a : b; }
INLINE double choose(bool condition, double yes, double no) {
    uint64_t mask = -(uint64_t)condition, a, b;
    memcpy(&a, &yes, sizeof a);
    memcpy(&b, &no, sizeof b);
    a = (a & mask) | (b & ~mask);
    memcpy(&yes, &a, sizeof a);
    return yes;
}
/* Fisher-Yates over the first coordinates; xorshift32, and a multiplication where % would divide. */
SHARED void shuffle_first(cd_model *model, int64_t n_first) {
    cd_record *record = model->record;
    int32_t *order = model->order;
    uint32_t state = (uint32_t)record->seed;
    uint32_t n = (uint32_t)n_first;
    for (uint32_t i = 0; i + 1 < n; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        uint32_t j = i + (uint32_t)(((uint64_t)state * (n - i)) >> 32);
        int32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    record->seed = state;
}

INLINE void begin_sweep(cd_model *model, double largest, double smallest) {
    shuffle_first(model, model->record->n_active);
    model->record->largest = largest;
    model->record->smallest = smallest;
    model->record->cursor = 0;
    model->record->in_sweep = 1;
}

/* Drop the coordinate at the cursor; the last active one takes its place. */
INLINE void drop(int32_t *order, int64_t cursor, int64_t *n_active) {
    int32_t dropped = order[cursor];
    *n_active -= 1;
    order[cursor] = order[*n_active];
    order[*n_active] = dropped;
}

/* A sweep is over whose violation, summed, is record->smallest and at most record->largest: stop if the sum
   has come down to a share of the first sweep's, after a look at all coordinates. */
SHARED void end_sweep_by_sum(cd_record *record) {
    record->in_sweep = 0;
    if (record->n_iter++ == 0)
        record->first = record->smallest;
    record->violation = record->first > 0.0 ? record->smallest / record->first : 0.0;
    record->bound_above = record->largest;
    if (record->smallest <= record->tol * record->first) {
        record->done = record->n_active == record->n_coordinates;
        record->n_active = record->n_coordinates;
        record->bound_above = INFINITY;
    }
    record->done |= record->n_iter >= record->max_iter;
}

#endif
