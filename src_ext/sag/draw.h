/* Rows drawn uniformly, with replacement: SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom
 * Number Generators", OOPSLA 2014), its high half scaled to the number of rows. */
#ifndef FASTML_SAG_DRAW_H
#define FASTML_SAG_DRAW_H

#include "sag.h"

INLINE uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

SHARED void draw_rows(sag_model *model, int32_t *order, ptrdiff_t n) {
    uint64_t n_draws = (uint64_t)model->record->n_draws, state = model->record->seed;
    for (ptrdiff_t t = 0; t < n; t++)
        order[t] = (int32_t)(((splitmix(&state) >> 32) * n_draws) >> 32);
    if (model->rows)
        for (ptrdiff_t t = 0; t < n; t++)
            order[t] = model->rows[order[t]];
    model->record->seed = state;
}

#endif
