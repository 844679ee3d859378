#include "sgd.h"

void sgd_shuffle(int32_t *order, ptrdiff_t n, uint32_t seed) {
    uint32_t state = seed ? seed : 1;
    for (ptrdiff_t i = 0; i < n - 1; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        ptrdiff_t j = i + (state & 0x7FFFFFFFu) % (uint32_t)(n - i);
        int32_t row = order[i];
        order[i] = order[j];
        order[j] = row;
    }
}
