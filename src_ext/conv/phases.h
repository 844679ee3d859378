/* How the work is cut, and each part of it, for REAL of KIND: a template.
 *
 * A unit is some rows of one image's output; a part, some units. Filters are laid out as panels of
 * GEMM_COLUMNS first. Gradients to the filters are sums over the batch: of fixed blocks of units, added in
 * order.
 */
#define VEC OF(vec, KIND)
#define LANES OF(LANES, KIND)
#define COLUMNS OF(GEMM_COLUMNS, KIND)

static void OF(plan_forward, KIND)(conv_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL), depth = job->kh * job->kw * job->c / job->groups;
    ptrdiff_t row_bytes = job->ow * job->m * size + 1;
    ptrdiff_t n_panels = product_ceil(job->m / job->groups, COLUMNS);
    job->rows =
        conv_rows(job, job->pooled ? CONV_POOLED_BYTES / row_bytes : CONV_POSITIONS / (job->ow + 1) + 1);
    conv_units(job, job->oh);
    job->n_packed = job->method == CONV_DEPTHWISE ? 0 : job->groups * n_panels;
    job->packed_bytes = (size_t)(job->n_packed * depth * COLUMNS * size);
    job->scratch_bytes = job->pooled ? (size_t)(job->rows * row_bytes + 64 * size) : 0;
    if (job->method == CONV_DIRECT)
        job->scratch_bytes += (size_t)(depth * 8 + (strip_size(job, job->rows) + LANES) * size);
    else
        job->scratch_bytes += OF(implicit_scratch, KIND)(depth);
}

/* One panel of filters. */
static void OF(pack_forward, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const conv_job *job = context;
    ptrdiff_t columns = job->m / job->groups, depth = job->kh * job->kw * job->c / job->groups;
    ptrdiff_t n_panels = product_ceil(columns, COLUMNS), column = part % n_panels * COLUMNS;
    OF(product_copy, KIND)((const REAL *)job->filters + part / n_panels * columns + column, job->m,
                           gemm_smaller(COLUMNS, columns - column), depth,
                           (REAL *)job->packed + part * depth * COLUMNS, COLUMNS);
}

SHARED void OF(forward_rows, KIND)(const conv_job *job, ptrdiff_t image, ptrdiff_t y, ptrdiff_t n_rows,
                                   REAL *out, bool relu, void *scratch) {
    const REAL *source = (const REAL *)job->x + image * job->h * job->w * job->c, *bias = job->bias;
    conv_image from = {job->h, job->w, job->c}, to = {job->oh, job->ow, job->m};
    REAL *origin = out - y * job->ow * job->m;
    ptrdiff_t first = y * job->ow, last = (y + n_rows) * job->ow;
    if (job->method == CONV_DIRECT)
        OF(direct_rows, KIND)(job, source, y, n_rows, out, relu, scratch);
    else if (job->method == CONV_DEPTHWISE)
        OF(depthwise_positions, KIND)(job, job->classes, from, source, to, origin, first, last, bias, relu);
    else
        OF(implicit_positions, KIND)(job, job->classes, from, source, to, origin, first, last, bias, relu,
                                     scratch);
}

static void OF(forward, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const conv_job *job = context;
    ptrdiff_t per_image = product_ceil(job->oh, job->rows), width = job->ow * job->m;
    ptrdiff_t end = product_share(job->n_units, part + 1, job->n_parts);
    for (ptrdiff_t unit = product_share(job->n_units, part, job->n_parts); unit < end; unit++) {
        ptrdiff_t image = unit / per_image, y = unit % per_image * job->rows;
        ptrdiff_t n_rows = gemm_smaller(job->rows, job->oh - y);
        if (!job->pooled) {
            REAL *out = (REAL *)job->out + (image * job->oh + y) * width;
            OF(forward_rows, KIND)(job, image, y, n_rows, out, job->relu, scratch);
            continue;
        }
        ptrdiff_t to = (image * job->oh + y) / job->window_h * (job->ow / job->window_w) * job->m;
        if (conv_by_windows(job)) {
            OF(direct_pooled, KIND)(job, (const REAL *)job->x + image * job->h * job->w * job->c, y, n_rows,
                                    (REAL *)job->out + to, job->argmax + to, scratch);
            continue;
        }
        REAL *rows = scratch;
        ptrdiff_t size = (job->rows * width + 63) / 64 * 64;
        OF(forward_rows, KIND)(job, image, y, n_rows, rows, false, rows + size);
        OF(pool_rows, KIND)(job, rows, n_rows, (REAL *)job->out + to, job->argmax + to);
    }
}

/* To the input: a unit is some rows of the classes' grids, of all classes. */
static void OF(plan_input, KIND)(conv_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL), height = 0, most_taps = 0, packed = 0;
    ptrdiff_t n_panels = product_ceil(job->c / job->groups, COLUMNS), of_group = job->m / job->groups;
    for (ptrdiff_t i = 0; i < job->n_classes; i++) {
        const conv_class *of = &job->classes[i];
        height = of->grid_h > height ? of->grid_h : height;
        most_taps = of->n_taps > most_taps ? of->n_taps : most_taps;
        packed += of->n_taps * of_group * job->groups * n_panels * COLUMNS;
    }
    ptrdiff_t across = product_ceil(job->w, job->stride_x);
    job->rows = gemm_smaller(CONV_POSITIONS / (across + 1) + 1, height);
    conv_units(job, height);
    job->n_packed = job->method == CONV_DEPTHWISE ? 0 : job->n_classes * job->groups * n_panels;
    job->packed_bytes = (size_t)(packed * size);
    job->scratch_bytes = OF(implicit_scratch, KIND)(most_taps * of_group);
}

/* One panel of one class: of input channels, tap after tap, filter after filter. */
static void OF(pack_input, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const conv_job *job = context;
    ptrdiff_t columns = job->c / job->groups, n_panels = product_ceil(columns, COLUMNS);
    ptrdiff_t column = part % n_panels * COLUMNS, group = part / n_panels % job->groups;
    ptrdiff_t of_group = job->m / job->groups;
    const conv_class *of = &job->classes[part / n_panels / job->groups];
    REAL *panel = (REAL *)job->packed + of->packed_at +
                  part % (n_panels * job->groups) * of->n_taps * of_group * COLUMNS;
    const REAL *filters = (const REAL *)job->filters + column * job->m + group * of_group;
    product_operand lying = {filters, job->m, false};
    for (ptrdiff_t t = 0; t < of->n_taps; t++, panel += of_group * COLUMNS)
        OF(product_pack, KIND)(&lying, 0, gemm_smaller(COLUMNS, columns - column),
                               of->tap_numbers[t] * columns * job->m, of_group, panel, COLUMNS);
}

static void OF(input, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const conv_job *job = context;
    conv_image from = {job->oh, job->ow, job->m}, to = {job->h, job->w, job->c};
    ptrdiff_t per_image = job->n_units / job->n, end = product_share(job->n_units, part + 1, job->n_parts);
    for (ptrdiff_t unit = product_share(job->n_units, part, job->n_parts); unit < end; unit++) {
        ptrdiff_t image = unit / per_image, y = unit % per_image * job->rows;
        const REAL *source = (const REAL *)job->dout + image * job->oh * job->ow * job->m;
        REAL *destination = (REAL *)job->dx + image * job->h * job->w * job->c;
        for (ptrdiff_t i = 0; i < job->n_classes; i++) {
            const conv_class *of = &job->classes[i];
            ptrdiff_t first = gemm_smaller(y, of->grid_h) * of->grid_w;
            ptrdiff_t last = gemm_smaller(y + job->rows, of->grid_h) * of->grid_w;
            if (job->method == CONV_DEPTHWISE)
                OF(depthwise_positions, KIND)(job, of, from, source, to, destination, first, last, NULL,
                                              false);
            else
                OF(implicit_positions, KIND)(job, of, from, source, to, destination, first, last, NULL, false,
                                             scratch);
        }
    }
}

static void OF(plan_filters, KIND)(conv_job *job) {
    ptrdiff_t size = (ptrdiff_t)sizeof(REAL), depth = job->kh * job->kw * job->c;
    ptrdiff_t block_bytes = conv_gradients(job) * size;
    ptrdiff_t wanted = job->method == CONV_DIRECT ? CONV_DIRECT_POSITIONS : CONV_POSITIONS;
    bool by_maxima = conv_by_maxima(job);
    job->rows = by_maxima ? OF(maxima_rows_at_once, KIND)(job) : conv_rows(job, wanted / (job->ow + 1) + 1);
    conv_units(job, job->oh);
    ptrdiff_t fitting = CONV_BLOCKS_BYTES / (block_bytes + 1) + 1;
    job->n_blocks = gemm_smaller(gemm_smaller(fitting, CONV_MAX_BLOCKS), job->n_units);
    job->n_blocks = job->n_blocks < 1 ? 1 : job->n_blocks; /* gradients are to be set without an image, too */
    job->tap_parts = 1;
    if (job->method == CONV_IMPLICIT)
        job->tap_parts = gemm_smaller(product_ceil(CONV_MAX_BLOCKS, job->n_blocks),
                                      by_maxima ? product_ceil(job->m, COLUMNS) : job->kh * job->kw);
    job->n_parts = job->n_blocks * job->tap_parts;
    job->n_sum_parts = gemm_smaller(product_ceil(conv_gradients(job), 2048), CONV_MAX_PARTS);
    job->partial_bytes = (size_t)(job->n_blocks * block_bytes);
    if (by_maxima) {
        job->scratch_bytes = OF(maxima_filters_scratch, KIND)(job);
        return;
    }
    ptrdiff_t of_panels = job->groups * product_ceil(job->m / job->groups, COLUMNS) * COLUMNS;
    ptrdiff_t positions = job->rows * job->ow, n_pointers = positions > depth ? positions : depth;
    job->scratch_bytes = (size_t)((positions * of_panels + job->m + LANES + 64) * size + n_pointers * 8);
    if (job->method == CONV_DIRECT) /* windows.h wants four times the strip, too */
        job->scratch_bytes += (size_t)((5 * strip_size(job, job->rows) + LANES) * size);
}

/* A block of the batch, some of the taps; by maxima, some of the filters. */
static void OF(filters, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    const conv_job *job = context;
    ptrdiff_t block = part / job->tap_parts, n_taps = job->kh * job->kw;
    ptrdiff_t first_tap = product_share(n_taps, part % job->tap_parts, job->tap_parts);
    ptrdiff_t last_tap = product_share(n_taps, part % job->tap_parts + 1, job->tap_parts);
    ptrdiff_t start = product_share(job->n_units, block, job->n_blocks);
    ptrdiff_t end = product_share(job->n_units, block + 1, job->n_blocks);
    ptrdiff_t per_image = job->n_units ? job->n_units / job->n : 1, size = conv_gradients(job);
    ptrdiff_t n_channels = job->groups * product_ceil(job->m / job->groups, COLUMNS) * COLUMNS;
    REAL *sums = (REAL *)job->partial + block * size, *spread = scratch;
    if (conv_by_maxima(job)) {
        ptrdiff_t own = part % job->tap_parts;
        OF(maxima_filters, KIND)(job, start, end, OF(maxima_filter, KIND)(job, own, job->tap_parts),
                                 OF(maxima_filter, KIND)(job, own + 1, job->tap_parts), sums, scratch);
        return;
    }
    REAL *not_used = spread + (job->rows * job->ow * n_channels + 15) / 16 * 16;
    void *rest = not_used + (job->m + 15) / 16 * 16;
    if (start == end && first_tap == 0)
        memset(sums, 0, (size_t)size * sizeof(REAL));
    REAL *bias_sums = first_tap == 0 ? sums + size - job->m : not_used;
    memset(bias_sums, 0, (size_t)job->m * sizeof(REAL));
    for (ptrdiff_t unit = start; unit < end; unit++) {
        ptrdiff_t image = unit / per_image, y = unit % per_image * job->rows;
        ptrdiff_t n_rows = gemm_smaller(job->rows, job->oh - y);
        ptrdiff_t pooled = (image * job->oh + y) / job->window_h * (job->ow / job->window_w) * job->m;
        const REAL *source = (const REAL *)job->x + image * job->h * job->w * job->c;
        const REAL *dout = (const REAL *)job->dout + pooled;
        bool first = unit == start;
        if (first_tap == 0 && !job->pooled)
            OF(add_rows, KIND)(dout, n_rows * job->ow, job->m, bias_sums);
        if (job->method == CONV_DEPTHWISE) {
            OF(depthwise_filters, KIND)(job, source, y, n_rows, dout, first, sums);
            continue;
        }
#if defined(PICK_BY_PERMUTATION)
        if (conv_by_windows(job)) {
            OF(direct_windows, KIND)(job, source, y, n_rows, dout, (const REAL *)job->out + pooled,
                                     job->argmax + pooled, first, sums, bias_sums, rest);
            continue;
        }
#endif
        conv_panels panels = {spread, COLUMNS, n_rows * job->ow * COLUMNS};
        if (job->pooled)
            OF(spread_rows, KIND)(job, dout, (const REAL *)job->out + pooled, job->argmax + pooled, n_rows,
                                  spread, bias_sums);
        else if (job->m / job->groups % COLUMNS == 0)
            panels = (conv_panels){dout, job->m, COLUMNS};
        else
            OF(copy_rows, KIND)(job, dout, n_rows, spread);
        if (job->method == CONV_DIRECT)
            OF(direct_filters, KIND)(job, source, y, n_rows, panels, first, sums, rest);
        else
            OF(implicit_filters, KIND)(job, source, y, n_rows, panels, first, sums, first_tap, last_tap,
                                       rest);
    }
}

/* A share of the blocks' sums: filters, then the bias. */
static void OF(sum_filters, KIND)(const void *context, ptrdiff_t part, void *scratch) {
    (void)scratch;
    const conv_job *job = context;
    ptrdiff_t size = conv_gradients(job), n_filters = size - job->m;
    ptrdiff_t first = product_share(size, part, job->n_sum_parts);
    ptrdiff_t last = product_share(size, part + 1, job->n_sum_parts);
    const REAL *partial = job->partial;
    for (ptrdiff_t i = first; i < last; i++) {
        REAL sum = partial[i];
        for (ptrdiff_t block = 1; block < job->n_blocks; block++)
            sum += partial[block * size + i];
        if (i < n_filters)
            ((REAL *)job->dfilters)[i] = sum;
        else if (job->dbias)
            ((REAL *)job->dbias)[i - n_filters] = sum;
    }
}

#undef VEC
#undef LANES
#undef COLUMNS
