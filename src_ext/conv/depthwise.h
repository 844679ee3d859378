/* As many groups as channels, one filter each, for REAL of KIND: a template. Vectors along the channels.
 *
 * Each sum is one chain over the taps; taps that look beyond the image are passed by.
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)

/* The positions [first, last) of a class, as implicit_positions; the filters are read as they are. */
static void OF(depthwise_positions, KIND)(const conv_job *job, const conv_class *of, conv_image from,
                                          const REAL *source, conv_image to, REAL *destination,
                                          ptrdiff_t first, ptrdiff_t last, const REAL *bias, bool relu) {
    const REAL *filters = job->filters;
    for (ptrdiff_t p = first; p < last; p++) {
        ptrdiff_t y = p / of->grid_w, x = p % of->grid_w;
        REAL *out =
            destination + ((of->first_y + y * of->each_y) * to.w + of->first_x + x * of->each_x) * to.c;
        for (ptrdiff_t c = 0; c < to.c; c += LANES) {
            ptrdiff_t n = to.c - c;
            VEC sum = {0};
            for (ptrdiff_t t = 0; t < of->n_taps; t++) {
                ptrdiff_t row = y * of->step_y + of->taps[t].y, column = x * of->step_x + of->taps[t].x;
                if (row < 0 || row >= from.h || column < 0 || column >= from.w)
                    continue;
                sum += OF(load_up_to, KIND)(source + (row * from.w + column) * from.c + c, n) *
                       OF(load_up_to, KIND)(filters + of->tap_numbers[t] * to.c + c, n);
            }
            if (bias)
                sum += OF(load_up_to, KIND)(bias + c, n);
            OF(store_up_to, KIND)(out + c, relu ? OF(at_least, KIND)((VEC){0}, sum) : sum, n);
        }
    }
}

/* As implicit_filters; the gradient to the output is `dout`, n_rows x ow x m. */
static void OF(depthwise_filters, KIND)(const conv_job *job, const REAL *image, ptrdiff_t y, ptrdiff_t n_rows,
                                        const REAL *dout, bool first, REAL *sums) {
    for (ptrdiff_t ky = 0; ky < job->kh; ky++)
        for (ptrdiff_t kx = 0; kx < job->kw; kx++, sums += job->m)
            for (ptrdiff_t c = 0; c < job->m; c += LANES) {
                ptrdiff_t n = job->m - c;
                VEC sum = first ? (VEC){0} : OF(load_up_to, KIND)(sums + c, n);
                for (ptrdiff_t r = 0; r < n_rows; r++) {
                    ptrdiff_t row = (y + r) * job->stride_y - job->top + ky * job->dilation_y;
                    ptrdiff_t column = kx * job->dilation_x - job->left;
                    if (row < 0 || row >= job->h)
                        continue;
                    for (ptrdiff_t i = 0; i < job->ow; i++, column += job->stride_x)
                        if (column >= 0 && column < job->w)
                            sum += OF(load_up_to, KIND)(image + (row * job->w + column) * job->c + c, n) *
                                   OF(load_up_to, KIND)(dout + (r * job->ow + i) * job->m + c, n);
                }
                OF(store_up_to, KIND)(sums + c, sum, n);
            }
}

#undef VEC
#undef LANES
