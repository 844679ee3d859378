/* Rows of a data set, gathered into a batch. The specification is kernels/reference/gather.py. */
#ifndef FASTML_GATHER_H
#define FASTML_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "program.h"

typedef struct {
    const void *x;
    const int64_t *rows;
    void *out;
    ptrdiff_t n, width, rows_per_part; /* width: elements of a row; bytes where they are copied */
    double scale, offset;
} gather_job;

typedef struct {
    fastml_part *copy;
    fastml_part *convert[3][2]; /* from uint8, float32, float64 to float32, float64 */
} gather_kernels;

FASTML_DECLARE(gather_kernels, gather_kernels);
#define GATHER_KERNELS(level) FASTML_SELECT(gather_kernels, level)

#endif
