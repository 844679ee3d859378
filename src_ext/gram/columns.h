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
    bool plain;        /* no value is to be refined */
    ptrdiff_t segment; /* whose sums the job's `lanes` hold */
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

/* Add the sums of the group's present segment to its rows' and go on to the next. */
SHARED void OF(end_segment, KIND)(const gram_job *job, GROUP *group) {
    const gram_sums *sums = job->sums;
    REAL *lanes = sums->lanes;
    double *out = sums->out + (group->row * sums->n_segments + group->segment) * sums->n_sums;
    ptrdiff_t width = group->vectors * LANES, row_stride = sums->n_segments * sums->n_sums;
    for (ptrdiff_t s = 0; s < sums->n_sums; s++)
        for (ptrdiff_t i = 0; i < group->n_rows; i++)
            out[i * row_stride + s] += (double)lanes[s * width + i];
    memset(lanes, 0, (size_t)(sums->n_sums * width) * sizeof(REAL));
    group->segment++;
}

/* Before the first of a range of columns; after the last one, end_sums. */
SHARED void OF(begin_columns, KIND)(const gram_job *job, GROUP *group, ptrdiff_t column) {
    double largest = (double)OF(max_of, KIND)(group->sq_norms, group->n_rows);
    group->plain = gram_is_plain(job, largest, OF(RBF_LIMIT, KIND));
    if (!job->sums)
        return;
    group->segment = 0;
    while (job->sums->starts[group->segment + 1] <= column)
        group->segment++;
    memset(job->sums->lanes, 0, (size_t)job->sums->n_sums * (size_t)group->vectors * sizeof(VEC));
}

INLINE void OF(end_sums, KIND)(const gram_job *job, GROUP *group) {
    if (job->sums)
        OF(end_segment, KIND)(job, group);
}

/* The values of n columns of one segment, times their coefficients: rows lie in the lanes, none is
 * transposed. */
INLINE void OF(add_segment, KIND)(const gram_job *job, const VEC *tile, ptrdiff_t column, ptrdiff_t n,
                                  const int vectors) {
    for (ptrdiff_t s = 0; s < job->sums->n_sums; s++) {
        const REAL *coef = (const REAL *)job->sums->coef + s * job->sums->n_columns + column;
        VEC *lanes = (VEC *)job->sums->lanes + s * vectors;
        VEC total[GRAM_MAX_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            total[v] = lanes[v];
        for (ptrdiff_t j = 0; j < n; j++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++)
                total[v] = OF(multiply_add_lanes, KIND)(coef[j] + (VEC){0}, tile[j * vectors + v], total[v]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            lanes[v] = total[v];
    }
}

INLINE void OF(add_columns, KIND)(const gram_job *job, GROUP *group, const VEC *tile, ptrdiff_t column,
                                  ptrdiff_t n_columns) {
    for (ptrdiff_t j = 0, n; j < n_columns; j += n) {
        while (job->sums->starts[group->segment + 1] <= column + j)
            OF(end_segment, KIND)(job, group);
        n = gemm_smaller(job->sums->starts[group->segment + 1] - (column + j), n_columns - j);
        const VEC *from = tile + j * group->vectors;
        switch (group->vectors) {
        case 1:
            OF(add_segment, KIND)(job, from, column + j, n, 1);
            break;
        case 2:
            OF(add_segment, KIND)(job, from, column + j, n, 2);
            break;
        case 4:
            OF(add_segment, KIND)(job, from, column + j, n, 4);
            break;
        default:
            OF(add_segment, KIND)(job, from, column + j, n, 8);
        }
    }
}

/* The values transposed into `out`. */
INLINE void OF(store_columns, KIND)(const gram_job *job, const GROUP *group, const VEC *tile,
                                    ptrdiff_t column, ptrdiff_t n_columns) {
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

/* The kernel's values of a tile of products, to where the job wants them. */
SHARED void OF(finish_columns, KIND)(const gram_job *job, GROUP *group, VEC *tile, ptrdiff_t column,
                                     ptrdiff_t n_columns) {
    switch (job->kernel) {
    case GRAM_POLY:
        OF(column_values, KIND)(job, group, tile, column, GRAM_POLY);
        break;
    case GRAM_SIGMOID:
        OF(column_values, KIND)(job, group, tile, column, GRAM_SIGMOID);
        break;
    case GRAM_RBF:
        if (group->plain)
            OF(column_values, KIND)(job, group, tile, column, GRAM_RBF);
        else
            OF(refined_columns, KIND)(job, group, tile, column, n_columns);
        break;
    }
    if (job->sums)
        OF(add_columns, KIND)(job, group, tile, column, n_columns);
    else
        OF(store_columns, KIND)(job, group, tile, column, n_columns);
}

#undef VEC
#undef BITS
#undef MEM
#undef LANES
#undef GROUP
