/* What is done with kept kernel rows: products, parts of them. REAL, KIND: the type of kernel values.
 *
 * The product is bound by memory: each kernel value is read once. SMO_ROWS rows go together, so that the
 * decision values, in the L1 cache, are loaded and stored once for all of them.
 */
#include "lanes.h"

#define SMO_ROWS 8
#define SMO_COLUMNS 2048

/* decision[0..n-1] += sum over SMO_ROWS rows, each row's first element given. */
SHARED void OF(add_few, KIND)(double *restrict decision, const REAL *const rows[SMO_ROWS],
                              const double coefficients[SMO_ROWS], ptrdiff_t n) {
    ptrdiff_t c = 0;
    for (; c + LANES_f64 <= n; c += LANES_f64) {
        vec_f64 even = *(mem_f64 *)(decision + c), odd = {0};
        for (int r = 0; r < SMO_ROWS; r += 2) {
            even += coefficients[r] * OF(strip, KIND)(rows[r] + c);
            odd += coefficients[r + 1] * OF(strip, KIND)(rows[r + 1] + c);
        }
        *(mem_f64 *)(decision + c) = even + odd;
    }
    for (; c < n; c++) {
        double even = decision[c], odd = 0.0;
        for (int r = 0; r < SMO_ROWS; r += 2) {
            even += coefficients[r] * rows[r][c];
            odd += coefficients[r + 1] * rows[r + 1][c];
        }
        decision[c] = even + odd;
    }
}

static void OF(add_rows, KIND)(const smo_product *product, ptrdiff_t first, ptrdiff_t last) {
    const REAL *K = product->K;
    for (ptrdiff_t c = first; c < last; c += SMO_COLUMNS) {
        ptrdiff_t width = last - c < SMO_COLUMNS ? last - c : SMO_COLUMNS;
        for (ptrdiff_t j = 0; j < product->n_rows; j += SMO_ROWS) {
            const REAL *rows[SMO_ROWS];
            double coefficients[SMO_ROWS];
            for (int r = 0; r < SMO_ROWS; r++) {
                /* Past the end: the first row again, times zero. */
                ptrdiff_t row = j + r < product->n_rows ? j + r : j;
                ptrdiff_t slot = product->slots ? product->slots[row] : row;
                rows[r] = K + slot * product->K_stride + c;
                coefficients[r] = row == j + r ? product->coefficients[row] : 0.0;
            }
            OF(add_few, KIND)(product->decision + c, rows, coefficients, width);
        }
    }
}

static void OF(gather, KIND)(const smo_gather *gather, ptrdiff_t first, ptrdiff_t last) {
    for (ptrdiff_t i = first; i < last; i++) {
        const REAL *from = (const REAL *)gather->K + gather->slots[i] * gather->K_stride;
        REAL *to = (REAL *)gather->out + i * gather->out_stride;
        for (ptrdiff_t j = 0; j < gather->n_columns; j++)
            to[j] = from[gather->columns[j]];
    }
}

/* gradient += K moves within a block. */
static void OF(add_moves, KIND)(const smo_block *block, const double *moves) {
    double *gradient = block->gradient;
    const int32_t *index = block->index;
    for (ptrdiff_t j = 0; j < block->n; j++) {
        const double move = moves[j];
        if (move == 0.0)
            continue;
        const REAL *row = (const REAL *)block->K + (index ? index[j] : j) * block->K_stride;
        if (index)
            for (ptrdiff_t k = 0; k < block->n; k++)
                gradient[k] += move * (double)row[index[k]];
        else
            for (ptrdiff_t k = 0; k < block->n; k++)
                gradient[k] += move * (double)row[k];
    }
}
