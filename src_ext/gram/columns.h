/* What the sparse methods share, for REAL of KIND: a template.
 *
 * They compute LANES columns of `out` at a time, for a group of rows of A that lie beside each other in the
 * lanes of vectors: tile[j * vectors + v] holds the products of B's row `column` + j with the group's v-th
 * vector of rows.
 */
#define VEC OF(vec, KIND)
#define BITS OF(bits, KIND)
#define MEM OF(mem, KIND)
#define LANES OF(LANES, KIND)
#define GROUP OF(gram_group, KIND)

#ifndef FASTML_GRAM_COLUMNS_H
#define FASTML_GRAM_COLUMNS_H

/* |a - b|^2 of A's row i and B's row j, in float64, from their non-zeros. */
typedef double gram_distance(const gram_job *job, ptrdiff_t i, ptrdiff_t j);

#endif

typedef struct {
    ptrdiff_t row, n_rows; /* of A */
    int vectors;
    const REAL *sq_norms;
    gram_distance *distance;
} GROUP;

INLINE void OF(column_values, KIND)(const gram_job *job, const GROUP *group, VEC *tile, ptrdiff_t column,
                                    const int kernel) {
    const REAL *norms_of_b = (const REAL *)job->b.sq_norms + column;
    for (int j = 0; j < LANES; j++)
        for (int v = 0; v < group->vectors; v++) {
            VEC norms = norms_of_b[j] + *(const MEM *)(group->sq_norms + v * LANES);
            tile[j * group->vectors + v] = OF(value, KIND)(job, kernel, tile[j * group->vectors + v], norms);
        }
}

/* column_values for rbf where some values are to be refined. */
SHARED void OF(refined_columns, KIND)(const gram_job *job, const GROUP *group, VEC *tile, ptrdiff_t column,
                                      ptrdiff_t n_columns) {
    const REAL *norms_of_b = (const REAL *)job->b.sq_norms + column;
    for (ptrdiff_t j = 0; j < n_columns; j++)
        for (int v = 0; v < group->vectors; v++) {
            VEC *values = &tile[j * group->vectors + v];
            VEC norms = norms_of_b[j] + *(const MEM *)(group->sq_norms + v * LANES);
            BITS which = OF(to_refine, KIND)(job, *values, norms);
            *values = OF(value, KIND)(job, GRAM_RBF, *values, norms);
            if (!any_lane(&which))
                continue;
            for (ptrdiff_t i = 0; i < gemm_smaller(LANES, group->n_rows - v * LANES); i++)
                if (which[i])
                    (*values)[i] =
                        (REAL)exp(-job->gamma * group->distance(job, group->row + v * LANES + i, column + j));
        }
}

/* The kernel's values of a tile of products, transposed into `out`. */
SHARED void OF(finish_columns, KIND)(const gram_job *job, const GROUP *group, VEC *tile, ptrdiff_t column,
                                     ptrdiff_t n_columns) {
    switch (job->kernel) {
    case GRAM_POLY:
        OF(column_values, KIND)(job, group, tile, column, GRAM_POLY);
        break;
    case GRAM_SIGMOID:
        OF(column_values, KIND)(job, group, tile, column, GRAM_SIGMOID);
        break;
    case GRAM_RBF:
        if (gram_is_plain(job, (double)OF(max_of, KIND)(group->sq_norms, group->n_rows), OF(RBF_LIMIT, KIND)))
            OF(column_values, KIND)(job, group, tile, column, GRAM_RBF);
        else
            OF(refined_columns, KIND)(job, group, tile, column, n_columns);
        break;
    }
    for (int v = 0; v < group->vectors; v++) {
        VEC square[LANES];
        for (int j = 0; j < LANES; j++)
            square[j] = tile[j * group->vectors + v];
        OF(transpose, KIND)(square);
        REAL *out = (REAL *)job->out + (group->row + v * LANES) * job->out_stride + column;
        for (ptrdiff_t i = 0; i < gemm_smaller(LANES, group->n_rows - v * LANES); i++)
            OF(store_up_to, KIND)(out + i * job->out_stride, square[i], n_columns);
    }
}

#undef VEC
#undef BITS
#undef MEM
#undef LANES
#undef GROUP
