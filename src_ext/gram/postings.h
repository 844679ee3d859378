/* Sparse rows of many features: B by columns, as an inverted index. For a group of GRAM_GROUP rows of A, each
 * feature that one of them has is looked up once, and each of its postings (a row of B that has it) adds to
 * that row's vectors of sums: only features that both sides have cost anything. The sums of a block of B's
 * rows stay in the second-level cache.
 *
 * A bit for every feature, scanned word by word, gives the group's features in order and each its slot in a
 * table: sums are chains in the order of the columns (1,000,000 features are 15,625 words, some 5 us a
 * group).
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)
#define ROW OF(csr_row, VARIANT)
#define GROUP OF(gram_group, KIND)
#define VECTORS (GRAM_GROUP / LANES)
#define INDEXED OF(gram_indexed, VARIANT)

#ifndef FASTML_GRAM_POSTINGS_H
#define FASTML_GRAM_POSTINGS_H

enum { GRAM_GROUP = 16, GRAM_SUM_BYTES = 1 << 18 };

INLINE size_t gram_words(const gram_job *job) { return ((size_t)job->a.n_features + 63) / 64; }

#endif

typedef struct {
    uint64_t *present; /* a bit for every feature */
    int32_t *rank;     /* of a word of them: slots before it */
    int64_t *next;     /* for each slot, its next posting ... */
    int64_t *end;      /* ... and where they end */
    VEC *table, *sums;
    ptrdiff_t n_slots;
} INDEXED;

enum { OF(GRAM_SUM_ROWS, VARIANT) = GRAM_SUM_BYTES / (GRAM_GROUP * (int)sizeof(REAL)) };

/* Non-zeros of the group that has most. */
static size_t OF(most_slots, VARIANT)(const gram_job *job) {
    const INDEX *indptr = job->a.indptr;
    ptrdiff_t most = 0;
    for (ptrdiff_t i = 0; i < job->a.n_rows; i += GRAM_GROUP) {
        ptrdiff_t n = (ptrdiff_t)(indptr[gemm_smaller(i + GRAM_GROUP, job->a.n_rows)] - indptr[i]);
        most = n > most ? n : most;
    }
    return (size_t)most;
}

/* Lay out the scratch memory; with NULL, only measure it. */
static size_t OF(lay_out, VARIANT)(const gram_job *job, char *memory, INDEXED *indexed) {
    size_t slots = OF(most_slots, VARIANT)(job), words = gram_words(job);
    size_t at[7] = {0,
                    words * sizeof(uint64_t),
                    words * sizeof(int32_t),
                    slots * sizeof(int64_t),
                    slots * sizeof(int64_t),
                    slots * GRAM_GROUP * sizeof(REAL),
                    GRAM_SUM_BYTES};
    for (int part = 1; part < 7; part++)
        at[part] = at[part - 1] + gram_aligned(at[part]);
    if (memory)
        *indexed = (INDEXED){(uint64_t *)(memory + at[0]),
                             (int32_t *)(memory + at[1]),
                             (int64_t *)(memory + at[2]),
                             (int64_t *)(memory + at[3]),
                             (VEC *)(memory + at[4]),
                             (VEC *)(memory + at[5]),
                             0};
    return at[6];
}

static size_t OF(postings_scratch, VARIANT)(const gram_job *job) {
    return OF(lay_out, VARIANT)(job, NULL, NULL);
}

/* The first posting in [from, to) that is of row `row` or later. */
INLINE int64_t OF(posting_from, VARIANT)(const int32_t *rows, int64_t from, int64_t to, ptrdiff_t row) {
    while (from < to) {
        int64_t middle = from + (to - from) / 2;
        if (rows[middle] < row)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* Slots for the group's features, in order, and its table. `present` is empty before and afterwards. */
static void OF(index_group, VARIANT)(const gram_job *job, const GROUP *group, ptrdiff_t first,
                                     INDEXED *indexed, REAL *sq_norms) {
    uint64_t *present = indexed->present;
    ptrdiff_t n_slots = 0;
    for (ptrdiff_t i = 0; i < group->n_rows; i++) {
        ROW row = OF(csr_row_at, VARIANT)(&job->a, group->row + i);
        for (ptrdiff_t t = 0; t < row.n; t++)
            present[row.column[t] >> 6] |= (uint64_t)1 << (row.column[t] & 63);
    }
    for (size_t word = 0; word < gram_words(job); word++) {
        indexed->rank[word] = (int32_t)n_slots;
        for (uint64_t left = present[word]; left; left &= left - 1, n_slots++) {
            size_t column = word * 64 + (size_t)__builtin_ctzll(left);
            indexed->end[n_slots] = job->b.column_start[column + 1];
            indexed->next[n_slots] = OF(posting_from, VARIANT)(job->b.column_row, job->b.column_start[column],
                                                               indexed->end[n_slots], first);
        }
    }
    indexed->n_slots = n_slots;
    memset(indexed->table, 0, (size_t)n_slots * GRAM_GROUP * sizeof(REAL));
    for (ptrdiff_t i = 0; i < group->n_rows; i++) {
        ROW row = OF(csr_row_at, VARIANT)(&job->a, group->row + i);
        for (ptrdiff_t t = 0; t < row.n; t++) {
            uint64_t before = present[row.column[t] >> 6] & (((uint64_t)1 << (row.column[t] & 63)) - 1);
            ptrdiff_t slot = indexed->rank[row.column[t] >> 6] + __builtin_popcountll(before);
            ((REAL *)indexed->table)[slot * GRAM_GROUP + i] = row.value[t];
        }
        sq_norms[i] = OF(csr_sq_norm, VARIANT)(row);
    }
    for (ptrdiff_t i = 0; i < group->n_rows; i++) {
        ROW row = OF(csr_row_at, VARIANT)(&job->a, group->row + i);
        for (ptrdiff_t t = 0; t < row.n; t++)
            present[row.column[t] >> 6] = 0;
    }
}

/* The products with B's rows in [first, last), each in the vectors from sums[(row - first) * VECTORS] on. */
static void OF(add_postings, VARIANT)(const gram_job *job, INDEXED *indexed, ptrdiff_t first,
                                      ptrdiff_t last) {
    const int32_t *rows = job->b.column_row;
    const REAL *values = job->b.column_value;
    for (ptrdiff_t slot = 0; slot < indexed->n_slots; slot++) {
        const VEC *entry = indexed->table + slot * VECTORS;
        int64_t at = indexed->next[slot], end = indexed->end[slot];
        for (; at < end && rows[at] < last; at++) {
            VEC *sums = indexed->sums + (rows[at] - first) * VECTORS;
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++)
                sums[v] += values[at] * entry[v];
        }
        indexed->next[slot] = at;
    }
}

static void OF(postings_run, VARIANT)(const gram_job *job, ptrdiff_t first, ptrdiff_t last, void *scratch) {
    INDEXED indexed;
    OF(lay_out, VARIANT)(job, scratch, &indexed);
    memset(indexed.present, 0, gram_words(job) * sizeof(uint64_t));
    for (ptrdiff_t row = 0; row < job->a.n_rows; row += GRAM_GROUP) {
        REAL sq_norms[GRAM_GROUP] = {0};
        GROUP group = {row,
                       gemm_smaller(GRAM_GROUP, job->a.n_rows - row),
                       VECTORS,
                       sq_norms,
                       OF(csr_distance, VARIANT),
                       false,
                       0};
        OF(index_group, VARIANT)(job, &group, first, &indexed, sq_norms);
        OF(begin_columns, KIND)(job, &group, first);
        for (ptrdiff_t start = first; start < last; start += OF(GRAM_SUM_ROWS, VARIANT)) {
            ptrdiff_t stop = gemm_smaller(start + OF(GRAM_SUM_ROWS, VARIANT), last);
            memset(indexed.sums, 0, GRAM_SUM_BYTES);
            OF(add_postings, VARIANT)(job, &indexed, start, stop);
            for (ptrdiff_t column = start; column < stop; column += LANES)
                OF(finish_columns, KIND)(job, &group, indexed.sums + (column - start) * VECTORS, column,
                                         gemm_smaller(LANES, stop - column));
        }
        OF(end_sums, KIND)(job, &group);
    }
}

#undef VEC
#undef LANES
#undef ROW
#undef GROUP
#undef VECTORS
#undef INDEXED
