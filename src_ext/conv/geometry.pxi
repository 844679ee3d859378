# Sizes and geometry, checked before C trusts them; the taps of each class of positions.

cdef tuple pair(values, str name, int least):
    """Two whole numbers, down and across."""
    down, across = values
    if down < least or across < least:
        raise ValueError(f"{name} must be at least {least}; got {values}.")
    return down, across


cdef conv_job *new_job(Operation operation, int real, tuple x, tuple filters, tuple out, geometry, window) except NULL:
    """A job with all sizes; out: after pooling, if there is a window."""
    cdef conv_job *job = <conv_job *> operation.owned(sizeof(conv_job), "a convolution")
    strides, padding, dilation, groups = geometry
    if len(x) != 4 or len(filters) != 4 or len(out) != 4:
        raise ValueError(f"Images and filters must have 4 dimensions; got shapes {x}, {filters}, {out}.")
    job.n, job.h, job.w, job.c = x
    job.kh, job.kw = filters[:2]
    job.oh, job.ow, job.m = out[1:]
    job.stride_y, job.stride_x = pair(strides, "strides", 1)
    job.top, job.left = pair(padding, "padding", 0)
    job.dilation_y, job.dilation_x = pair(dilation, "dilation", 1)
    job.groups = groups
    if job.kh < 1 or job.kw < 1:
        raise ValueError(f"Filters must have at least one tap; got shape {filters}.")
    if job.groups < 1 or job.c % job.groups or job.m % job.groups:
        raise ValueError(f"groups must divide the {job.c} channels and the {job.m} filters; got {groups}.")
    if filters[2] != job.c // job.groups or filters[3] != job.m:
        raise ValueError(
            f"Filters must be of shape {(job.kh, job.kw, job.c // job.groups, job.m)} for images of shape {x} in "
            f"{groups} groups and an output of shape {out}; got {filters}.")
    job.window_h, job.window_w = (1, 1) if window is None else pair(window, "window", 1)
    if job.window_h * job.window_w > 256:
        raise ValueError(f"A window must have at most 256 positions; got {window}.")
    job.pooled = window is not None
    job.oh *= job.window_h
    job.ow *= job.window_w
    if max(job.h + job.top, job.w + job.left, (job.oh + job.kh * job.dilation_y) * job.stride_y,
           (job.ow + job.kw * job.dilation_x) * job.stride_x, job.c, job.m) >= 1 << 30:
        raise ValueError(f"Images of shape {x} and outputs of shape {out} are too large.")
    job.method = CONV_IMPLICIT
    if job.groups == 1 and job.c <= MAX_DIRECT_CHANNELS:
        job.method = CONV_DIRECT
    elif job.groups == job.c == job.m and not job.pooled:
        job.method = CONV_DEPTHWISE
    job.zeros = operation.owned((max(job.c, job.m) + 16) * (4 if real == cnp.NPY_FLOAT32 else 8), "zeros")
    return job


cdef int set_layer(Operation operation, conv_job *job, int real, X, W, bias) except -1:
    job.x = operation.reads(X, real, "X", (job.n, job.h, job.w, job.c))
    job.filters = operation.reads(W, real, "W", (job.kh, job.kw, job.c // job.groups, job.m))
    if bias is not None:
        job.bias = operation.reads(bias, real, "bias", (job.m,))
    return 0


cdef int set_maxima(Operation operation, conv_job *job, int real, dout, out, argmax) except -1:
    pooled = (job.n, job.oh // job.window_h, job.ow // job.window_w, job.m)
    job.dout = operation.reads(dout, real, "dout", pooled)
    job.out = <void *> operation.reads(out, real, "out", pooled)
    job.argmax = <uint8_t *> operation.reads(argmax, cnp.NPY_UINT8, "argmax", pooled)
    return 0


cdef int set_gradients(Operation operation, conv_job *job, int real, X, dW, dbias) except -1:
    job.x = operation.reads(X, real, "X", (job.n, job.h, job.w, job.c))
    job.dfilters = operation.writes(dW, real, "dW", (job.kh, job.kw, job.c // job.groups, job.m))
    if dbias is not None:
        job.dbias = operation.writes(dbias, real, "dbias", (job.m,))
    return 0


cdef int set_taps(Operation operation, conv_class *of, list ys, list xs, Py_ssize_t kw) except -1:
    """The taps that rows (ky, y) and columns (kx, x) of a filter cross in: numbers, and places in the source."""
    cdef conv_tap *taps = <conv_tap *> operation.owned(len(ys) * len(xs) * sizeof(conv_tap), "taps")
    cdef int32_t *numbers = <int32_t *> operation.owned(len(ys) * len(xs) * sizeof(int32_t), "taps")
    cdef Py_ssize_t n = 0
    for ky, y in ys:
        for kx, x in xs:
            taps[n] = conv_tap(y, x)
            numbers[n] = ky * kw + kx
            n += 1
    of.n_taps, of.taps, of.tap_numbers = n, taps, numbers
    return 0


cdef int set_forward_class(Operation operation, conv_job *job) except -1:
    """One class: all positions see the image through all taps."""
    cdef conv_class *of = <conv_class *> operation.owned(sizeof(conv_class), "positions")
    of.grid_h, of.grid_w = job.oh, job.ow
    of.step_y, of.step_x = job.stride_y, job.stride_x
    of.each_y = of.each_x = 1
    set_taps(
        operation, of,
        [(ky, ky * job.dilation_y - job.top) for ky in range(job.kh)],
        [(kx, kx * job.dilation_x - job.left) for kx in range(job.kw)], job.kw)
    job.classes, job.n_classes = of, 1
    return 0


cdef list remainders(Py_ssize_t size, Py_ssize_t n_taps, Py_ssize_t stride, Py_ssize_t padding, Py_ssize_t dilation):
    """(first pixel, number of pixels, [(tap, output position that it took the first pixel to)]) of each remainder.

    Tap k takes pixel i to position (i + padding - k dilation) / stride, if that is whole.
    """
    return [
        (
            first,
            (size - first + stride - 1) // stride,
            [
                (k, (first + padding - k * dilation) // stride)
                for k in range(n_taps) if (first + padding - k * dilation) % stride == 0
            ],
        )
        for first in range(min(stride, size))
    ]


cdef int set_gradient_classes(Operation operation, conv_job *job, Py_ssize_t panel) except -1:
    """A class for each remainder of a pixel's place by the strides: through some taps, it sees the output in steps
    of one."""
    cdef list down = remainders(job.h, job.kh, job.stride_y, job.top, job.dilation_y)
    cdef list across = remainders(job.w, job.kw, job.stride_x, job.left, job.dilation_x)
    cdef conv_class *classes = <conv_class *> operation.owned(
        len(down) * len(across) * sizeof(conv_class), "positions")
    cdef conv_class *of = classes
    cdef Py_ssize_t at = 0, columns = job.c // job.groups
    for first_y, grid_h, ys in down:
        for first_x, grid_w, xs in across:
            of.grid_h, of.grid_w, of.first_y, of.first_x = grid_h, grid_w, first_y, first_x
            of.step_y = of.step_x = 1
            of.each_y, of.each_x = job.stride_y, job.stride_x
            set_taps(operation, of, ys, xs, job.kw)
            of.packed_at = at
            at += of.n_taps * job.m * ((columns + panel - 1) // panel) * panel
            of += 1
    job.classes, job.n_classes = classes, len(down) * len(across)
    return 0


cdef double work_of(const conv_job *job, int real) noexcept:
    return (
        <double> job.n * job.oh * job.ow * job.m * (job.kh * job.kw * job.c / job.groups + 2.0)
        * (1 if real == cnp.NPY_FLOAT32 else 2))


cdef double work_of_maxima(const conv_job *job, int real) noexcept:
    """Of gradients: the same, but for one position of each window."""
    return work_of(job, real) / (job.window_h * job.window_w)
