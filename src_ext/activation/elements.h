/* The loop over elements for each formula, and the parts that choose one: a template. */

typedef void OF(act_loop, KIND)(const REAL *x, const REAL *out, const REAL *dout, REAL *result, ptrdiff_t n,
                                const REAL *p);

#define AT(array) (*(const OF(mem, KIND) *)((array) + i))

/* n is a multiple of the lanes. Parameters are copied to where no result can be written: they stay in
 * registers. */
#define LOOPS(name)                                                                                          \
    SHARED void OF(name##_loop, KIND)(const REAL *x, const REAL *out, const REAL *dout, REAL *result,        \
                                      ptrdiff_t n, const REAL *p) {                                          \
        (void)out;                                                                                           \
        (void)dout;                                                                                          \
        const REAL own[ACT_PARAMETERS] = {p[0], p[1], p[2]};                                                 \
        for (ptrdiff_t i = 0; i < n; i += N_LANES)                                                           \
            *(OF(mem, KIND) *)(result + i) = OF(name##_value, KIND)(AT(x), own);                             \
    }                                                                                                        \
    SHARED void OF(name##_gradient_loop, KIND)(const REAL *x, const REAL *out, const REAL *dout,             \
                                               REAL *result, ptrdiff_t n, const REAL *p) {                   \
        const REAL own[ACT_PARAMETERS] = {p[0], p[1], p[2]};                                                 \
        for (ptrdiff_t i = 0; i < n; i += N_LANES)                                                           \
            *(OF(mem, KIND) *)(result + i) = AT(dout) * OF(name##_derivative, KIND)(AT(x), AT(out), own);    \
    }

LOOPS(celu)
LOOPS(elu)
LOOPS(exponential)
LOOPS(gelu)
LOOPS(gelu_approximate)
LOOPS(hard_shrink)
LOOPS(hard_sigmoid)
LOOPS(hard_silu)
LOOPS(hard_tanh)
LOOPS(leaky_relu)
LOOPS(linear)
LOOPS(log_sigmoid)
LOOPS(mish)
LOOPS(relu)
LOOPS(selu)
LOOPS(sigmoid)
LOOPS(silu)
LOOPS(soft_shrink)
LOOPS(softplus)
LOOPS(softsign)
LOOPS(sparse_plus)
LOOPS(sparse_sigmoid)
LOOPS(squareplus)
LOOPS(tanh)
LOOPS(tanh_shrink)
LOOPS(threshold)

#define BOTH(name) {OF(name##_loop, KIND), OF(name##_gradient_loop, KIND)}

static OF(act_loop, KIND) *const OF(act_loops, KIND)[N_FORMULAS][2] = {
    [ACT_CELU] = BOTH(celu),
    [ACT_ELU] = BOTH(elu),
    [ACT_EXPONENTIAL] = BOTH(exponential),
    [ACT_GELU] = BOTH(gelu),
    [ACT_GELU_APPROXIMATE] = BOTH(gelu_approximate),
    [ACT_HARD_SHRINK] = BOTH(hard_shrink),
    [ACT_HARD_SIGMOID] = BOTH(hard_sigmoid),
    [ACT_HARD_SILU] = BOTH(hard_silu),
    [ACT_HARD_TANH] = BOTH(hard_tanh),
    [ACT_LEAKY_RELU] = BOTH(leaky_relu),
    [ACT_LINEAR] = BOTH(linear),
    [ACT_LOG_SIGMOID] = BOTH(log_sigmoid),
    [ACT_MISH] = BOTH(mish),
    [ACT_RELU] = BOTH(relu),
    [ACT_SELU] = BOTH(selu),
    [ACT_SIGMOID] = BOTH(sigmoid),
    [ACT_SILU] = BOTH(silu),
    [ACT_SOFT_SHRINK] = BOTH(soft_shrink),
    [ACT_SOFTPLUS] = BOTH(softplus),
    [ACT_SOFTSIGN] = BOTH(softsign),
    [ACT_SPARSE_PLUS] = BOTH(sparse_plus),
    [ACT_SPARSE_SIGMOID] = BOTH(sparse_sigmoid),
    [ACT_SQUAREPLUS] = BOTH(squareplus),
    [ACT_TANH] = BOTH(tanh),
    [ACT_TANH_SHRINK] = BOTH(tanh_shrink),
    [ACT_THRESHOLD] = BOTH(threshold),
};

/* The elements of a part; what is left beyond whole vectors goes through a vector of its own. */
SHARED void OF(run_elements, KIND)(const act_elements *job, ptrdiff_t part, int gradient) {
    OF(act_loop, KIND) *loop = OF(act_loops, KIND)[job->formula][gradient];
    ptrdiff_t first = part * ACT_PART, n = job->n - first < ACT_PART ? job->n - first : ACT_PART;
    ptrdiff_t whole = n - n % N_LANES, left = n - whole;
    const void *inputs[3] = {job->x, job->out, job->dout};
    const REAL *in[3];
    REAL p[ACT_PARAMETERS], rest[3][N_LANES] = {{0}}, *result = (REAL *)job->result + first;
    for (int i = 0; i < ACT_PARAMETERS; i++)
        p[i] = (REAL)job->parameters[i];
    for (int i = 0; i < 3; i++)
        in[i] = inputs[i] ? (const REAL *)inputs[i] + first : NULL;
    loop(in[0], in[1], in[2], result, whole, p);
    if (!left)
        return;
    for (int i = 0; i < 3; i++)
        if (in[i])
            memcpy(rest[i], in[i] + whole, left * sizeof(REAL));
    loop(rest[0], rest[1], rest[2], rest[0], N_LANES, p);
    memcpy(result + whole, rest[0], left * sizeof(REAL));
}

static void OF(forward, KIND)(const void *job, ptrdiff_t part, void *scratch) {
    (void)scratch;
    OF(run_elements, KIND)(job, part, 0);
}

static void OF(gradient, KIND)(const void *job, ptrdiff_t part, void *scratch) {
    (void)scratch;
    OF(run_elements, KIND)(job, part, 1);
}

#undef LOOPS
#undef BOTH
#undef AT
