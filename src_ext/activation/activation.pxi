# Binding of activation.h.

cdef extern from "activation.h":
    enum:
        ACT_PARAMETERS
        ACT_PART
        N_FORMULAS

    ctypedef struct act_elements:
        const void *x
        const void *out
        const void *dout
        void *result
        Py_ssize_t n
        int formula
        double parameters[3]

    ctypedef struct act_rows:
        const void *x
        const void *dout
        void *result
        Py_ssize_t n, k, rows_per_part

    ctypedef struct act_cross_entropy:
        const void *logits
        const void *weights
        const int32_t *labels
        void *probabilities
        void *dlogits
        double *losses
        Py_ssize_t n, k, rows_per_part

    ctypedef struct act_dropout:
        const void *x
        void *result
        uint8_t *mask
        uint64_t *state
        Py_ssize_t n
        uint64_t threshold
        double scale

    ctypedef struct act_functions:
        _runtime.part_function forward, gradient
        _runtime.part_function softmax, softmax_gradient, log_softmax, log_softmax_gradient
        _runtime.part_function sparsemax, sparsemax_gradient
        _runtime.part_function softmax_cross_entropy
        _runtime.part_function dropout, dropout_next, dropout_gradient

    ctypedef struct act_kernels:
        act_functions f32, f64

    const act_kernels *ACT_KERNELS(int level) nogil

cdef const act_kernels *ACT = ACT_KERNELS(LEVEL)

# In the order of enum act_formula.
_FORMULAS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "gelu_approximate",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "threshold",
]
if len(_FORMULAS) != N_FORMULAS:
    raise ImportError("activation.pxi and activation.h name different formulas.")

# Those of one comparison or two, as fast as memory.
_PLAIN = {"leaky_relu", "linear", "relu", "threshold", "hard_shrink", "hard_tanh"}


cdef const act_functions *act_of(int type_number) noexcept:
    return &ACT.f32 if type_number == cnp.NPY_FLOAT32 else &ACT.f64


cdef act_elements *elements_of(Operation operation, Py_ssize_t n, str name, parameters) except NULL:
    """The job, its arrays not yet set."""
    cdef act_elements *job = <act_elements *> operation.owned(sizeof(act_elements), "a job")
    cdef int i
    name, values = resolved(name, tuple(parameters))
    if name == "gelu" and values[0]:
        name = "gelu_approximate"
    job.n, job.formula = n, _FORMULAS.index(name)
    for i, value in enumerate(values):
        job.parameters[i] = value
    operation.work = n * (STREAM if name in _PLAIN else STREAM + TRANSCENDENTAL)
    return job


def forward(X, out, name, parameters=()):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef act_elements *job = elements_of(operation, X.size, name, parameters)
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.result = operation.writes(out, type_number, "out", X.shape)
    operation.add_phase(act_of(type_number).forward, job, parts_of(job.n, ACT_PART))
    return operation


def gradient(X, out, dout, dX, name, parameters=()):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef act_elements *job = elements_of(operation, X.size, name, parameters)
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.out = operation.reads(out, type_number, "out", X.shape)
    job.dout = operation.reads(dout, type_number, "dout", X.shape)
    job.result = operation.writes(dX, type_number, "dX", X.shape)
    operation.add_phase(act_of(type_number).gradient, job, parts_of(job.n, ACT_PART))
    return operation


cdef Operation of_rows(str x_name, x, dout, str result_name, result, Py_ssize_t which):
    """The row by row function that is ``which`` in act_functions' order, softmax being 0."""
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(x, x_name)
    cdef act_rows *job = <act_rows *> operation.owned(sizeof(act_rows), "a job")
    job.n, job.k = shape = matrix(x, x_name)
    job.rows_per_part = rows_per_part(job.k)
    job.x = operation.reads(x, type_number, x_name, shape)
    if dout is not None:
        job.dout = operation.reads(dout, type_number, "dout", shape)
    job.result = operation.writes(result, type_number, result_name, shape)
    operation.work = job.n * job.k * (STREAM + TRANSCENDENTAL) + 500.0 * job.n
    if job.k:
        operation.add_phase((&act_of(type_number).softmax)[which], job, parts_of(job.n, job.rows_per_part))
    return operation


def softmax(X, out):
    return of_rows("X", X, None, "out", out, 0)


def softmax_gradient(out, dout, dX):
    return of_rows("out", out, dout, "dX", dX, 1)


def log_softmax(X, out):
    return of_rows("X", X, None, "out", out, 2)


def log_softmax_gradient(out, dout, dX):
    return of_rows("out", out, dout, "dX", dX, 3)


def sparsemax(X, out):
    return of_rows("X", X, None, "out", out, 4)


def sparsemax_gradient(out, dout, dX):
    return of_rows("out", out, dout, "dX", dX, 5)


def softmax_cross_entropy(logits, labels, weights, probabilities, dlogits, losses):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(logits, "logits")
    cdef act_cross_entropy *job = <act_cross_entropy *> operation.owned(sizeof(act_cross_entropy), "a job")
    job.n, job.k = shape = matrix(logits, "logits")
    if job.k < 1:
        raise ValueError(f"logits must have a column; got shape {logits.shape}.")
    job.rows_per_part = max(8, rows_per_part(8 * job.k))
    job.logits = operation.reads(logits, type_number, "logits", shape)
    job.labels = <const int32_t *> operation.reads(labels, cnp.NPY_INT32, "labels", (job.n,))
    if weights is not None:
        job.weights = operation.reads(weights, type_number, "weights", (job.n,))
    job.probabilities = operation.writes(probabilities, type_number, "probabilities", shape)
    if dlogits is not None:
        job.dlogits = operation.writes(dlogits, type_number, "dlogits", shape)
    job.losses = <double *> operation.writes(losses, cnp.NPY_FLOAT64, "losses", (job.n,))
    operation.work = job.n * job.k * (STREAM + TRANSCENDENTAL) + 3000.0 * job.n
    operation.add_phase(act_of(type_number).softmax_cross_entropy, job, parts_of(job.n, job.rows_per_part))
    return operation


cdef act_dropout *dropout_of(Operation operation, Py_ssize_t n, rate) except NULL:
    """The job, its arrays not yet set."""
    cdef act_dropout *job = <act_dropout *> operation.owned(sizeof(act_dropout), "a job")
    cdef double dropped = rate
    if not 0.0 <= dropped <= 1.0:
        raise ValueError(f"rate must be in [0, 1]; got {rate}.")
    job.n = n
    job.threshold = <uint64_t> (dropped * 4294967296.0)
    job.scale = 1.0 / (1.0 - dropped) if dropped < 1.0 else 0.0
    return job


def dropout(X, out, mask, rate, state):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(X, "X")
    cdef act_dropout *job = dropout_of(operation, X.size, rate)
    job.x = operation.reads(X, type_number, "X", X.shape)
    job.result = operation.writes(out, type_number, "out", X.shape)
    job.mask = <uint8_t *> operation.writes(mask, cnp.NPY_UINT8, "mask", X.shape)
    job.state = <uint64_t *> operation.writes(state, cnp.NPY_UINT64, "state", (2,))
    operation.work = job.n * (STREAM + TRANSCENDENTAL)
    operation.add_phase(act_of(type_number).dropout, job, parts_of(job.n, ACT_PART))
    operation.add_phase(act_of(type_number).dropout_next, job, 1)
    return operation


def dropout_gradient(dout, mask, rate, dX):
    cdef Operation operation = Operation()
    cdef int type_number = _runtime.real_type(dout, "dout")
    cdef act_dropout *job = dropout_of(operation, dout.size, rate)
    job.x = operation.reads(dout, type_number, "dout", dout.shape)
    job.mask = <uint8_t *> operation.reads(mask, cnp.NPY_UINT8, "mask", dout.shape)
    job.result = operation.writes(dX, type_number, "dX", dout.shape)
    operation.work = job.n * STREAM
    operation.add_phase(act_of(type_number).dropout_gradient, job, parts_of(job.n, ACT_PART))
    return operation
