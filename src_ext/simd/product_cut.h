/* How a matrix product is cut into parts; after gemm.h, whose tiles they are whole numbers of. */
#ifndef FASTML_PRODUCT_CUT_H
#define FASTML_PRODUCT_CUT_H

#include "product_job.h"

enum {
    PRODUCT_BLOCK_BYTES = 1 << 18, /* of packed A */
    PRODUCT_PANEL_BYTES = 1 << 18, /* of packed B */
    PRODUCT_DEPTH_BYTES = 1024,    /* of one row at a time */
    PRODUCT_MAX_PARTS = 32,
    PRODUCT_MIN_DEPTH = 128, /* of a part */
    PRODUCT_TILES = 4,       /* of A, packed together while B is kept */
};

/* Multiply-adds of a part: some 15 us at full speed. */
#define PRODUCT_PART_WORK 1.5e6
/* The time to pack an element, row by row or by depth, and to write and add a partial sum, in multiply-adds.
 */
#define PRODUCT_PACK_ROWS 10.0
#define PRODUCT_PACK_DEPTHS 5.0
#define PRODUCT_PARTIAL 20.0
/* So that no thread waits long for the last part of another. */
#define PRODUCT_PARTS_A_THREAD 4.0

INLINE double product_pack_cost(const product_operand *operand) {
    return operand->by_depth ? PRODUCT_PACK_DEPTHS : PRODUCT_PACK_ROWS;
}

/* Where share i of n even shares of `whole` begins. */
INLINE ptrdiff_t product_share(ptrdiff_t whole, ptrdiff_t i, ptrdiff_t n) { return whole * i / n; }

INLINE ptrdiff_t product_ceil(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

/* The cheapest way to cut rows and columns, into `wanted` parts at least with those of the depth; its cost.
 */
SHARED double product_cut_block(product_job *job, double wanted, ptrdiff_t depths, ptrdiff_t columns) {
    double M = (double)job->n_rows, N = (double)job->n_columns, K = (double)job->depth, best = -1.0;
    ptrdiff_t n_tiles = product_ceil(job->n_rows, GEMM_ROWS),
              n_panels = product_ceil(job->n_columns, columns);
    n_tiles = n_tiles > 0 ? n_tiles : 1; /* sums are to be set where there is no row */
    n_panels = n_panels > 0 ? n_panels : 1;
    for (ptrdiff_t by_column = 1; by_column <= gemm_smaller(n_panels, PRODUCT_MAX_PARTS); by_column++) {
        ptrdiff_t by_row = (ptrdiff_t)(wanted / (double)(depths * by_column) + 0.999);
        by_row = by_row < 1 ? 1 : gemm_smaller(by_row, n_tiles);
        double n_parts = (double)(by_row * by_column * depths);
        double cost = M * K * product_pack_cost(&job->a) * (double)by_column +
                      N * K * product_pack_cost(&job->b) * (double)by_row;
        if (n_parts < wanted) /* as if the rest of the threads stood idle */
            cost += M * N * K * (wanted / n_parts - 1.0);
        if (best < 0.0 || cost < best) {
            best = cost;
            job->row_parts = by_row;
            job->column_parts = by_column;
        }
    }
    return best;
}

/* The cheapest way to cut into at least as many parts as are worth having: the depth by the shape alone, so
   that sums do not depend on the number of threads; rows and columns no finer than so many threads need. */
SHARED void product_cut(product_job *job, ptrdiff_t columns, ptrdiff_t size) {
    double M = (double)job->n_rows, N = (double)job->n_columns, K = (double)job->depth, best = -1.0;
    double wanted = M * N * K / PRODUCT_PART_WORK;
    wanted = wanted < 1.0 ? 1.0 : wanted > PRODUCT_MAX_PARTS ? PRODUCT_MAX_PARTS : wanted;
    for (ptrdiff_t depths = 1; depths <= PRODUCT_MAX_PARTS; depths *= 2) {
        if (depths > 1 &&
            (job->depth < depths * PRODUCT_MIN_DEPTH || (double)depths * M * N * (double)size > 4e6))
            break;
        double cost = product_cut_block(job, wanted, depths, columns) +
                      (depths > 1 ? M * N * PRODUCT_PARTIAL * (double)depths : 0.0);
        if (best < 0.0 || cost < best) {
            best = cost;
            job->depth_parts = depths;
        }
    }
    double enough = (double)job->n_threads * PRODUCT_PARTS_A_THREAD;
    product_cut_block(job, enough < wanted ? enough : wanted, job->depth_parts, columns);
}

/* Share i of n of a matrix's rows or columns, whole tiles or panels of `size`; or, if there is a unit, the
   i-th of that. */
INLINE ptrdiff_t product_begin(ptrdiff_t whole, ptrdiff_t i, ptrdiff_t n, ptrdiff_t size, ptrdiff_t unit) {
    return gemm_smaller(unit ? i * unit : product_share(product_ceil(whole, size), i, n) * size, whole);
}

INLINE bool product_by_unit(const product_job *job) { return job->row_unit > 0 || job->column_unit > 0; }

#endif
