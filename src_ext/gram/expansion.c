/* Sums of kernel values times coefficients for every row of A: predictions. Values are consumed where they
 * are made: in the second-level cache (dense), or before they are stored at all (sparse).
 *
 * Threads take rows, some at a time, as they come to be idle; for few rows, chunks of columns.
 *
 * Measured, 2 cores with AVX-512, whole predictions: 10,000 rows of MNIST with 13,374 support vectors take
 * 0.6 s (0.9 s where gemm.h's panels keep the features that are zero in all their rows); 6,561 rows of 123
 * binary features with 9,347 take 27 ms (180 as blocks of values that were stored and then multiplied); 5,000
 * rows of 30 features with 13,035 take 23 ms.
 */
#include "gram.h"

enum {
    DENSE_ROW_BYTES = 4096, /* of values, for one row and chunk */
    SPARSE_CHUNK = 4096,    /* columns */
    DENSE_ROWS = 84,        /* whole tiles at every instruction-set level */
    SPARSE_ROWS = 64,       /* whole groups */
    MAX_ITEM_ROWS = 16,     /* times those */
    ITEMS_PER_THREAD = 8,
    FEW_ROWS = 64,               /* for a thread */
    MAX_CHUNKED_BYTES = 1 << 22, /* of sums by chunk */
};

static ptrdiff_t at_most(ptrdiff_t bound, ptrdiff_t n) { return n < bound ? n : bound; }

static gram_job job_of(const gram_expansion *expansion, ptrdiff_t row, ptrdiff_t n_rows) {
    gram_job job = expansion->job;
    job.a.n_rows = n_rows;
    if (job.a.indptr)
        job.a.indptr = (const char *)job.a.indptr + row * expansion->index_bytes;
    else
        job.a.data = (const char *)job.a.data + row * job.a.n_features * expansion->value_bytes;
    job.sums = NULL;
    return job;
}

void gram_plan(gram_expansion *expansion, int n_threads) {
    ptrdiff_t n_rows = expansion->job.a.n_rows, n_columns = expansion->job.b.rows.n_rows;
    bool makes_sums = expansion->method.makes_sums;
    ptrdiff_t granule = makes_sums ? SPARSE_ROWS : DENSE_ROWS;
    size_t all_sums = (size_t)(n_rows * expansion->sums.n_segments * expansion->sums.n_sums) * sizeof(double);

    expansion->chunk = makes_sums ? SPARSE_CHUNK : DENSE_ROW_BYTES / expansion->value_bytes;
    expansion->n_chunks = (n_columns + expansion->chunk - 1) / expansion->chunk;
    expansion->by_chunk = n_threads > 1 && n_rows < FEW_ROWS * n_threads && expansion->n_chunks > 1 &&
                          all_sums * (size_t)expansion->n_chunks <= MAX_CHUNKED_BYTES;
    ptrdiff_t n_granules = (n_rows + granule - 1) / granule;
    if (!expansion->by_chunk)
        n_granules = at_most(MAX_ITEM_ROWS, (n_granules - 1) / (ITEMS_PER_THREAD * n_threads) + 1);
    expansion->item_rows = n_granules * granule;
    expansion->run_rows = makes_sums ? expansion->item_rows : granule;
    ptrdiff_t run_rows = at_most(n_rows, expansion->run_rows);
    size_t bytes = makes_sums ? (size_t)expansion->sums.n_sums * GRAM_MAX_VECTORS * 64
                              : (size_t)(run_rows * expansion->chunk * expansion->value_bytes);
    expansion->values_bytes = gram_aligned(bytes);
    gram_job job = job_of(expansion, 0, run_rows);
    if (makes_sums) /* memory for the largest of some rows: all */
        job = job_of(expansion, 0, n_rows);
    expansion->scratch_bytes = gram_aligned(expansion->values_bytes + expansion->method.scratch(&job));
    expansion->next = 0;
}

/* The sums of some rows over a chunk. */
static void expand(const gram_expansion *expansion, ptrdiff_t row, ptrdiff_t n_rows, ptrdiff_t chunk,
                   double *out, char *scratch) {
    ptrdiff_t first = chunk * expansion->chunk,
              last = at_most(expansion->job.b.rows.n_rows, first + expansion->chunk);
    gram_job job = job_of(expansion, row, n_rows);
    gram_sums sums = expansion->sums;
    sums.out = out + row * sums.n_segments * sums.n_sums;
    if (expansion->method.makes_sums) {
        sums.lanes = scratch;
        job.sums = &sums;
        expansion->method.run(&job, first, last, scratch + expansion->values_bytes);
        return;
    }
    /* A method counts columns from B's first row. */
    job.out = (void *)((uintptr_t)scratch - (uintptr_t)(first * expansion->value_bytes));
    job.out_stride = expansion->chunk;
    expansion->method.run(&job, first, last, scratch + expansion->values_bytes);
    expansion->add_sums(&sums, scratch, expansion->chunk, n_rows, first, last);
}

void gram_expand(void *context, int share, int n_shares) {
    gram_expansion *expansion = context;
    char *scratch = expansion->scratch + (size_t)share * expansion->scratch_bytes;
    ptrdiff_t n_rows = expansion->job.a.n_rows,
              n_sums = n_rows * expansion->sums.n_segments * expansion->sums.n_sums;
    (void)n_shares;
    for (;;) {
        ptrdiff_t item = __atomic_fetch_add(&expansion->next, 1, __ATOMIC_RELAXED);
        ptrdiff_t row = expansion->by_chunk ? 0 : item * expansion->item_rows;
        if (expansion->by_chunk ? item >= expansion->n_chunks : row >= n_rows)
            return;
        ptrdiff_t end = at_most(n_rows, row + expansion->item_rows);
        for (ptrdiff_t chunk = expansion->by_chunk ? item : 0;
             chunk < (expansion->by_chunk ? item + 1 : expansion->n_chunks); chunk++)
            for (ptrdiff_t i = row; i < end; i += expansion->run_rows)
                expand(expansion, i, at_most(expansion->run_rows, end - i), chunk,
                       expansion->sums.out + (expansion->by_chunk ? item * n_sums : 0), scratch);
    }
}
