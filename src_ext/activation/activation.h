/* Activations, the softmax family and dropout. The specification is kernels/reference/activation.py.
 *
 * A job is what one operation works on; a part of it is what one thread takes at a time. Which elements a
 * part has depends on the job alone, and parts write to different elements.
 */
#ifndef FASTML_ACTIVATION_H
#define FASTML_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"
#include "program.h"

/* In the order of _FORMULAS in activation.pxi. */
enum act_formula {
    ACT_CELU,
    ACT_ELU,
    ACT_EXPONENTIAL,
    ACT_GELU,
    ACT_GELU_APPROXIMATE,
    ACT_HARD_SHRINK,
    ACT_HARD_SIGMOID,
    ACT_HARD_SILU,
    ACT_HARD_TANH,
    ACT_LEAKY_RELU,
    ACT_LINEAR,
    ACT_LOG_SIGMOID,
    ACT_MISH,
    ACT_RELU,
    ACT_SELU,
    ACT_SIGMOID,
    ACT_SILU,
    ACT_SOFT_SHRINK,
    ACT_SOFTPLUS,
    ACT_SOFTSIGN,
    ACT_SPARSE_PLUS,
    ACT_SPARSE_SIGMOID,
    ACT_SQUAREPLUS,
    ACT_TANH,
    ACT_TANH_SHRINK,
    ACT_THRESHOLD,
    N_FORMULAS
};

enum {
    ACT_PARAMETERS = 3,
    ACT_PART = 8192 /* elements of a part; whole vectors, and whole groups of Philox */
};

typedef struct {
    const void *x, *out, *dout; /* a forward step has x alone */
    void *result;
    ptrdiff_t n;
    int formula;
    double parameters[ACT_PARAMETERS];
} act_elements;

typedef struct {
    const void *x, *dout; /* of a gradient x is what the forward step gave */
    void *result;
    ptrdiff_t n, k, rows_per_part;
} act_rows;

typedef struct {
    const void *logits, *weights; /* weights may be NULL */
    const int32_t *labels;
    void *probabilities, *dlogits; /* dlogits may be NULL */
    double *losses;
    ptrdiff_t n, k, rows_per_part;
} act_cross_entropy;

typedef struct {
    const void *x;
    void *result;
    uint8_t *mask;
    uint64_t *state; /* key, number of the call */
    ptrdiff_t n;
    uint64_t threshold; /* a word at least this is kept */
    double scale;
} act_dropout;

typedef struct {
    fastml_part *forward, *gradient;                                              /* act_elements */
    fastml_part *softmax, *softmax_gradient, *log_softmax, *log_softmax_gradient; /* act_rows */
    fastml_part *sparsemax, *sparsemax_gradient;                                  /* act_rows */
    fastml_part *softmax_cross_entropy;                                           /* act_cross_entropy */
    fastml_part *dropout, *dropout_next /* a phase of one part after it */,
        *dropout_gradient; /* act_dropout */
} act_functions;

typedef struct {
    act_functions f32, f64;
} act_kernels;

FASTML_DECLARE(act_kernels, act_kernels);
#define ACT_KERNELS(level) FASTML_SELECT(act_kernels, level)

#endif
