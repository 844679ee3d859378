/* Units of work: some rows of one image's output. */
#ifndef FASTML_CONV_UNITS_H
#define FASTML_CONV_UNITS_H

enum {
    CONV_MAX_PARTS = 64,
    CONV_MAX_BLOCKS = 16,
    CONV_BLOCKS_BYTES = 1 << 23, /* of all blocks' gradients */
    CONV_POOLED_BYTES = 1 << 14, /* of rows that are pooled at a time: in the first-level cache */
    CONV_POSITIONS = 256,        /* of a unit, or one row */
    CONV_DIRECT_POSITIONS = 128, /* the same where all of it is to stay in the first-level cache */
};

/* Whole windows' rows, as many as fit, at least one, and not more than there are. */
INLINE ptrdiff_t conv_rows(const conv_job *job, ptrdiff_t fitting) {
    ptrdiff_t rows = fitting / job->window_h * job->window_h;
    return gemm_smaller(rows < job->window_h ? job->window_h : rows, job->oh);
}

INLINE void conv_units(conv_job *job, ptrdiff_t height) {
    job->n_units = job->rows > 0 ? job->n * product_ceil(height, job->rows) : 0;
    job->n_parts = gemm_smaller(job->n_units, CONV_MAX_PARTS);
}

/* Elements of a row of the image with the zeros around it, as far as filters see it. */
INLINE ptrdiff_t conv_seen_row(const conv_job *job) {
    ptrdiff_t width = (job->ow - 1) * job->stride_x + (job->kw - 1) * job->dilation_x + 1;
    return job->ow > 0 ? width * job->c : 0;
}

/* Such rows that n_rows rows of positions see. */
INLINE ptrdiff_t conv_seen_rows(const conv_job *job, ptrdiff_t n_rows) {
    return n_rows > 0 ? strip_rows(job, n_rows) : 0;
}

/* Whether windows.h has this one. */
INLINE bool conv_by_windows(const conv_job *job) {
    return job->method == CONV_DIRECT && job->pooled && job->window_h == 2 && job->window_w == 2;
}

/* Whether gradients to the filters are maxima.h's: windows of two or three positions spare too little. Places
   in what a row of windows sees of the image, and in the lists of its maxima, are numbers of 32 bits. */
INLINE bool conv_by_maxima(const conv_job *job) {
    double seen = (double)conv_seen_row(job) * (double)strip_rows(job, job->window_h);
    double listed = (double)job->m * (double)(job->ow / job->window_w + (1 << 15));
    return job->method == CONV_IMPLICIT && job->pooled && job->m > 0 && job->window_h * job->window_w >= 4 &&
           seen + (1 << 15) < INT32_MAX && listed < INT32_MAX;
}

/* Gradients of all filters and of the bias. */
INLINE ptrdiff_t conv_gradients(const conv_job *job) {
    return (job->kh * job->kw * job->c / job->groups + 1) * job->m;
}

#endif
