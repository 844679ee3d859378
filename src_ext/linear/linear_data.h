/* The data that linear models learn from: rows, targets, and what a row's loss counts. */
#ifndef FASTML_LINEAR_DATA_H
#define FASTML_LINEAR_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vector.h"

typedef struct {
    /* X: dense (indices NULL, row i at data + i * n_features) or CSR. */
    const void *data, *indices, *indptr;
    ptrdiff_t n_rows, n_features, n_values;
    double bias; /* the value of one more feature, which X does not hold; 0: there is none */
    /* One of the two: class labels, or values. */
    const int32_t *label;
    const double *value;
    const double *sample_weight; /* NULL: all ones */
    const double *sq_norm;       /* of each row, bias included; NULL where a loop does not read it */
} linear_data;

INLINE double linear_target(const linear_data *data, int64_t positive_class, ptrdiff_t i) {
    return data->label ? (data->label[i] == positive_class ? 1.0 : -1.0) : data->value[i];
}

/* C of the row. */
INLINE double linear_cost(const linear_data *data, double positive, double negative, double y, ptrdiff_t i) {
    double cost = y > 0.0 ? positive : negative;
    return data->sample_weight ? cost * data->sample_weight[i] : cost;
}

#endif
