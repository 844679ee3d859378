/* Multiply-adds in registers, as many as the processor can start, for REAL of KIND: a template. */
static void OF(peak, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const dense_peak *job = context;
    OF(vec, KIND) sums[DENSE_PEAK_CHAINS], factor = (OF(vec, KIND)){0} + (REAL)0.5, sum = {0};
    for (int i = 0; i < DENSE_PEAK_CHAINS; i++)
        sums[i] = (OF(vec, KIND)){0} + (REAL)i;
#pragma GCC unroll 1
    for (ptrdiff_t k = 0; k < job->n; k++)
#pragma GCC unroll 12
        for (int i = 0; i < DENSE_PEAK_CHAINS; i++)
            sums[i] = OF(multiply_add_lanes, KIND)(sums[i], factor, factor);
    for (int i = 0; i < DENSE_PEAK_CHAINS; i++)
        sum += sums[i];
    ((REAL *)job->out)[part] = OF(sum, KIND)(sum);
}
