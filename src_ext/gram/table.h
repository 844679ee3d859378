/* Sparse rows of few features: a group of A's rows becomes a dense table, the elements of a feature beside
 * each other in vectors, and each non-zero of B is one multiply-add per vector with its feature's entry.
 *
 * A group is as wide as its table fits the first-level cache; the tables of several groups fit the second,
 * and B passes by them in chunks that do, too.
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)
#define ROW OF(csr_row, VARIANT)
#define GROUP OF(gram_group, KIND)

#ifndef FASTML_GRAM_TABLE_H
#define FASTML_GRAM_TABLE_H

enum {
    TABLE_BYTES = 1 << 15,       /* of one group, where it may be wider than a vector */
    TABLE_BLOCK_BYTES = 1 << 19, /* of the groups that are laid out at a time */
    TABLE_CHUNK_BYTES = 1 << 16, /* of B's non-zeros */
    TABLE_MAX_VECTORS = 4,
};

typedef struct {
    int vectors;
    ptrdiff_t width, n_groups; /* rows to a group; groups to a block */
    ptrdiff_t elements;        /* of a table */
} gram_table_shape;

#endif

static gram_table_shape OF(table_shape, VARIANT)(const gram_job *job) {
    ptrdiff_t vector_table = job->a.n_features * (ptrdiff_t)sizeof(VEC);
    gram_table_shape shape = {.vectors = TABLE_MAX_VECTORS};
    while (shape.vectors > 1 &&
           (vector_table * shape.vectors > TABLE_BYTES || (shape.vectors - 1) * LANES >= job->a.n_rows))
        shape.vectors /= 2;
    shape.width = shape.vectors * LANES;
    shape.elements = job->a.n_features * shape.width;
    ptrdiff_t most = TABLE_BLOCK_BYTES / (vector_table * shape.vectors + 1),
              all = (job->a.n_rows + shape.width - 1) / shape.width;
    shape.n_groups = gemm_smaller(most > 1 ? most : 1, all > 1 ? all : 1);
    return shape;
}

static size_t OF(table_scratch, VARIANT)(const gram_job *job) {
    gram_table_shape shape = OF(table_shape, VARIANT)(job);
    return (size_t)(shape.n_groups * (shape.elements + shape.width)) * sizeof(REAL);
}

/* One group's table, zero before, and its rows' squared norms. */
static void OF(fill_table, VARIANT)(const gram_job *job, const GROUP *group, REAL *table, REAL *sq_norms) {
    ptrdiff_t width = group->vectors * LANES;
    for (ptrdiff_t i = 0; i < group->n_rows; i++) {
        ROW row = OF(csr_row_at, VARIANT)(&job->a, group->row + i);
        for (ptrdiff_t t = 0; t < row.n; t++)
            table[row.column[t] * width + i] = row.value[t];
        sq_norms[i] = OF(csr_sq_norm, VARIANT)(row);
    }
}

INLINE void OF(table_tile, VARIANT)(const gram_job *job, const VEC *table, VEC *tile, ptrdiff_t column,
                                    ptrdiff_t n_columns, const int vectors) {
    for (ptrdiff_t j = 0; j < n_columns; j++) {
        ROW row = OF(csr_row_at, VARIANT)(&job->b.rows, column + j);
        VEC sums[TABLE_MAX_VECTORS] = {{0}};
        for (ptrdiff_t t = 0; t < row.n; t++) {
            const VEC *entry = table + row.column[t] * vectors;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sums[v] += row.value[t] * entry[v];
        }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            tile[j * vectors + v] = sums[v];
    }
}

static void OF(table_columns, VARIANT)(const gram_job *job, GROUP *group, const VEC *table, ptrdiff_t first,
                                       ptrdiff_t last) {
    VEC tile[LANES * TABLE_MAX_VECTORS] = {{0}};
    OF(begin_columns, KIND)(job, group, first);
    for (ptrdiff_t column = first; column < last; column += LANES) {
        ptrdiff_t n_columns = gemm_smaller(LANES, last - column);
        switch (group->vectors) {
        case 1:
            OF(table_tile, VARIANT)(job, table, tile, column, n_columns, 1);
            break;
        case 2:
            OF(table_tile, VARIANT)(job, table, tile, column, n_columns, 2);
            break;
        default:
            OF(table_tile, VARIANT)(job, table, tile, column, n_columns, 4);
        }
        OF(finish_columns, KIND)(job, group, tile, column, n_columns);
    }
    OF(end_sums, KIND)(job, group);
}

static void OF(table_run, VARIANT)(const gram_job *job, ptrdiff_t first, ptrdiff_t last, void *scratch) {
    gram_table_shape shape = OF(table_shape, VARIANT)(job);
    REAL *tables = scratch, *sq_norms = tables + shape.n_groups * shape.elements;
    ptrdiff_t row_bytes = OF(n_values_of, VARIANT)(&job->b.rows) * (ptrdiff_t)(sizeof(REAL) + sizeof(INDEX)) /
                              (job->b.rows.n_rows > 0 ? job->b.rows.n_rows : 1) +
                          1;
    ptrdiff_t chunk = (TABLE_CHUNK_BYTES / row_bytes / LANES + 1) * LANES,
              step = shape.n_groups * shape.width;
    for (ptrdiff_t block = 0; block < job->a.n_rows; block += step) {
        memset(scratch, 0, OF(table_scratch, VARIANT)(job));
        for (ptrdiff_t start = first; start < last || start == first; start += chunk)
            for (ptrdiff_t g = 0; g < shape.n_groups && block + g * shape.width < job->a.n_rows; g++) {
                ptrdiff_t row = block + g * shape.width;
                REAL *table = tables + g * shape.elements, *norms = sq_norms + g * shape.width;
                GROUP group = {row,
                               gemm_smaller(shape.width, job->a.n_rows - row),
                               shape.vectors,
                               norms,
                               OF(csr_distance, VARIANT),
                               false,
                               0};
                if (start == first)
                    OF(fill_table, VARIANT)(job, &group, table, norms);
                OF(table_columns, VARIANT)(job, &group, (const VEC *)table, start,
                                           gemm_smaller(start + chunk, last));
            }
    }
}

#undef VEC
#undef LANES
#undef ROW
#undef GROUP
