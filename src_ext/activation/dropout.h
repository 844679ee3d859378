/* Dropout for REAL of KIND: a template. */

SHARED void OF(keep, KIND)(const REAL *x, const uint8_t *restrict mask, REAL scale, ptrdiff_t n,
                           REAL *result) {
    for (ptrdiff_t i = 0; i < n; i++) {
        REAL scaled = x[i] * scale;
        result[i] = mask[i] ? scaled : (REAL)0.0;
    }
}

static void OF(dropout, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const act_dropout *job = context;
    ptrdiff_t first = part * ACT_PART, last = first + ACT_PART < job->n ? first + ACT_PART : job->n;
    uint64_t key = job->state[0], call = job->state[1];
    for (ptrdiff_t i = first; i < last; i += 64) {
        uint8_t mask[64];
        philox_mask(key, call, (uint64_t)i / 64, job->threshold, mask);
        memcpy(job->mask + i, mask, last - i < 64 ? last - i : 64);
    }
    OF(keep, KIND)((const REAL *)job->x + first, job->mask + first, (REAL)job->scale, last - first,
                   (REAL *)job->result + first);
}

static void OF(dropout_gradient, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const act_dropout *job = context;
    ptrdiff_t first = part * ACT_PART, last = first + ACT_PART < job->n ? first + ACT_PART : job->n;
    OF(keep, KIND)((const REAL *)job->x + first, job->mask + first, (REAL)job->scale, last - first,
                   (REAL *)job->result + first);
}
