/* Convolutions of images. The specification is kernels/reference/conv.py. */
#ifndef FASTML_CONV_H
#define FASTML_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dispatch.h"

enum conv_method { CONV_DIRECT, CONV_IMPLICIT, CONV_DEPTHWISE };

/* Where a tap looks, in pixels of the source from the position's own. */
typedef struct {
    int32_t y, x;
} conv_tap;

/* Positions of the output, a grid in equal steps, that see the source through the same taps. A convolution
   has one such class. Of its gradient to the input there is one for each remainder of a pixel's place by the
   strides. */
typedef struct {
    ptrdiff_t grid_h, grid_w;
    ptrdiff_t step_y, step_x;                   /* pixels of the source from one position to the next */
    ptrdiff_t first_y, first_x, each_y, each_x; /* pixels of the destination: of the first, and between */
    ptrdiff_t n_taps;
    const conv_tap *taps;
    const int32_t *tap_numbers; /* of the filters' taps, ky * kw + kx */
    ptrdiff_t packed_at;        /* where its panels begin, in elements */
} conv_class;

/* The gradient to some rows of the output, in panels of channels: of a panel, a position's channels lie
   beside each other, `step` elements after those of the position before. */
typedef struct {
    const void *data;
    ptrdiff_t step, panel_step;
} conv_panels;

typedef struct {
    ptrdiff_t n;       /* images */
    ptrdiff_t h, w, c; /* X */
    /* The convolution's output; where it is pooled, as much of it as whole windows cover. */
    ptrdiff_t oh, ow, m;
    ptrdiff_t kh, kw, stride_y, stride_x, top, left, dilation_y, dilation_x, groups;
    bool pooled;
    ptrdiff_t window_h, window_w; /* 1 x 1 where not pooled */
    const void *x, *filters, *bias, *dout;
    void *out, *dx, *dfilters, *dbias;
    uint8_t *argmax;
    bool relu;
    enum conv_method method;
    const conv_class *classes;
    ptrdiff_t n_classes;
    const void *zeros; /* as many as there are channels */
    /* Planned: */
    ptrdiff_t rows; /* of the output at a time: a unit of work, of one image */
    ptrdiff_t n_units, n_parts;
    ptrdiff_t n_packed;  /* parts of laying out the filters, before all else */
    ptrdiff_t n_blocks;  /* of the batch, each with gradients to the filters of its own */
    ptrdiff_t tap_parts; /* of a block's taps, or of its filters if by maxima */
    ptrdiff_t n_sum_parts;
    size_t packed_bytes, partial_bytes, scratch_bytes;
    /* To be allocated by the caller: */
    void *packed;
    void *partial; /* n_blocks times gradients of all filters, then of the bias */
} conv_job;

/* plan: for the sizes to be allocated; pack, run, sum: the phases. */
typedef struct {
    void (*plan_forward)(conv_job *job);
    void (*pack_forward)(const void *job, ptrdiff_t part, void *scratch);
    void (*forward)(const void *job, ptrdiff_t part, void *scratch);
    void (*plan_input)(conv_job *job);
    void (*pack_input)(const void *job, ptrdiff_t part, void *scratch);
    void (*input)(const void *job, ptrdiff_t part, void *scratch);
    void (*plan_maxima_input)(conv_job *job);
    void (*pack_maxima_input)(const void *job, ptrdiff_t part, void *scratch);
    void (*maxima_input)(const void *job, ptrdiff_t part, void *scratch);
    void (*plan_filters)(conv_job *job);
    void (*filters)(const void *job, ptrdiff_t part, void *scratch);
    void (*sum_filters)(const void *job, ptrdiff_t part, void *scratch);
} conv_methods;

typedef struct {
    conv_methods f32, f64;
    ptrdiff_t panel_f32, panel_f64; /* filters to a panel */
} conv_kernels;

FASTML_DECLARE(conv_kernels, conv_kernels);
#define CONV_KERNELS(level) FASTML_SELECT(conv_kernels, level)

#endif
