# Binding of optimizer.h.

cdef extern from "optimizer.h":
    enum:
        OPT_PART

    ctypedef struct opt_update:
        void *w
        const void *g
        void *state[3]
        const double *settings
        Py_ssize_t n, part_size

    ctypedef struct opt_clip:
        void *g
        const void *w
        double *sums
        double *out
        const double *squared
        const double *strength
        double limit
        Py_ssize_t n, part_size, n_parts

    ctypedef struct opt_functions:
        _runtime.part_function sgd, rmsprop, adagrad, adam
        _runtime.part_function squared_norm, add_ridge, add_norms, scale_by_norm, clip

    ctypedef struct opt_kernels:
        opt_functions f32, f64

    const opt_kernels *OPT_KERNELS(int level) nogil

cdef const opt_kernels *OPT = OPT_KERNELS(LEVEL)

# An element's share of a step, as Operation.work counts: some arrays, a root and a division.
cdef double STEP = 60.0


cdef const opt_functions *opt_of(array, str name) except NULL:
    return &OPT.f32 if _runtime.real_type(array, name) == cnp.NPY_FLOAT32 else &OPT.f64


cdef Operation update(
    w, g, tuple names, tuple states, settings, Py_ssize_t n_settings, Py_ssize_t which, Py_ssize_t part_size
):
    """The update that is ``which`` in opt_functions' order; a state of None is not there."""
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(w, "w"), i
    cdef opt_update *job = <opt_update *> operation.owned(sizeof(opt_update), "a job")
    job.n, job.part_size = w.size, part_size
    job.w = operation.writes(w, type_number, "w", (job.n,))
    job.g = operation.reads(g, type_number, "g", (job.n,))
    job.settings = <const double *> operation.reads(settings, cnp.NPY_FLOAT64, "settings", (n_settings,))
    for i, (name, state) in enumerate(zip(names, states)):
        if state is not None:
            job.state[i] = operation.writes(state, type_number, name, (job.n,))
    operation.work = STEP * job.n
    operation.add_phase((&opt_of(w, "w").sgd)[which], job, parts_of(job.n, part_size))
    return operation


def sgd(w, g, velocity, settings, *, Py_ssize_t part_size=OPT_PART):
    return update(w, g, ("velocity",), (velocity,), settings, 4, 0, part_size)


def rmsprop(w, g, v, mean_gradient, velocity, settings, *, Py_ssize_t part_size=OPT_PART):
    if v is None:
        raise TypeError("v must be an array.")
    names = ("v", "mean_gradient", "velocity")
    return update(w, g, names, (v, mean_gradient, velocity), settings, 5, 1, part_size)


def adagrad(w, g, accumulator, settings, *, Py_ssize_t part_size=OPT_PART):
    if accumulator is None:
        raise TypeError("accumulator must be an array.")
    return update(w, g, ("accumulator",), (accumulator,), settings, 3, 2, part_size)


def adam(w, g, m, v, vhat, settings, *, Py_ssize_t part_size=OPT_PART):
    if m is None or v is None:
        raise TypeError("m and v must be arrays.")
    return update(w, g, ("m", "v", "vhat"), (m, v, vhat), settings, 7, 3, part_size)


cdef opt_clip *clipped(Operation operation, g, limit, Py_ssize_t part_size=OPT_PART) except NULL:
    cdef opt_clip *job = <opt_clip *> operation.owned(sizeof(opt_clip), "a job")
    job.n, job.part_size = g.size, part_size
    job.n_parts = parts_of(job.n, part_size)
    job.g = <void *> operation.reads(g, _runtime.real_type(g, "g"), "g", (job.n,))
    if limit is not None:
        job.limit = real(limit, "limit")
        if job.limit <= 0.0:
            raise ValueError(f"limit must be positive; got {limit}.")
        operation.writes(g, _runtime.real_type(g, "g"), "g", (job.n,))
    operation.work = STREAM * job.n
    return job


cdef int sums_squares(Operation operation, opt_clip *job, out, str name) except -1:
    job.sums = <double *> operation.owned(job.n_parts * sizeof(double), "sums")
    job.out = <double *> operation.writes(out, cnp.NPY_FLOAT64, name, (1,))
    return 0


def squared_norm(g, out):
    cdef Operation operation = Operation()
    cdef opt_clip *job = clipped(operation, g, None)
    sums_squares(operation, job, out, "out")
    operation.add_phase(opt_of(g, "g").squared_norm, job, job.n_parts)
    operation.add_phase(opt_of(g, "g").add_norms, job, 1)
    return operation


def add_ridge(w, g, strength, squared, *, Py_ssize_t part_size=OPT_PART):
    cdef Operation operation = Operation()
    cdef opt_clip *job = clipped(operation, g, None, part_size)
    cdef int type_number = _runtime.real_type(g, "g")
    job.w = operation.reads(w, type_number, "w", (job.n,))
    job.strength = <const double *> operation.reads(strength, cnp.NPY_FLOAT64, "strength", (1,))
    operation.writes(g, type_number, "g", (job.n,))
    sums_squares(operation, job, squared, "squared")
    operation.add_phase(opt_of(g, "g").add_ridge, job, job.n_parts)
    operation.add_phase(opt_of(g, "g").add_norms, job, 1)
    return operation


def scale_by_norm(g, squared, limit):
    cdef Operation operation = Operation()
    cdef opt_clip *job = clipped(operation, g, limit)
    job.squared = <const double *> operation.reads(squared, cnp.NPY_FLOAT64, "squared", (1,))
    operation.add_phase(opt_of(g, "g").scale_by_norm, job, job.n_parts)
    return operation


def clip(g, limit):
    cdef Operation operation = Operation()
    cdef opt_clip *job = clipped(operation, g, limit)
    operation.add_phase(opt_of(g, "g").clip, job, job.n_parts)
    return operation
