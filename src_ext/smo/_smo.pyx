"""Binding of the SMO kernels: arrays in, C structs out, blocks and columns shared among threads."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from fastml.kernels.cpu cimport _runtime

import numpy as np

from fastml.kernels.cpu._runtime import LEVEL
from fastml.kernels.smo_block import Stop

cnp.import_array()

cdef extern from "smo.h":
    int SMO_CONVERGED, SMO_MAX_UPDATES, SMO_STALLED, SMO_NO_MEMORY

    ctypedef struct smo_block:
        const void *K
        Py_ssize_t K_stride
        const int32_t *index
        Py_ssize_t n
        const double *y
        const double *C
        double *alpha
        double *gradient
        double tol
        int64_t max_updates
        bint nu
        int64_t n_updates
        double violation
        int stop
        size_t lacking_bytes

    ctypedef struct smo_variables:
        const double *decision
        const int32_t *index
        Py_ssize_t n
        const double *y
        const double *p
        const double *C
        const double *alpha
        bint nu

    ctypedef struct smo_product:
        double *decision
        const void *K
        Py_ssize_t K_stride
        const int32_t *slots
        const double *coefficients
        Py_ssize_t n_rows
        Py_ssize_t n_columns

    ctypedef struct smo_gather:
        const void *K
        void *out
        Py_ssize_t K_stride, out_stride
        const int32_t *slots
        const int32_t *columns
        Py_ssize_t n_columns

    ctypedef void (*smo_solve)(smo_block *) noexcept nogil
    ctypedef void (*smo_add_moves)(const smo_block *, const double *) noexcept nogil
    ctypedef void (*smo_add_rows)(const smo_product *, Py_ssize_t, Py_ssize_t) noexcept nogil

    ctypedef void (*smo_gather_rows)(const smo_gather *, Py_ssize_t, Py_ssize_t) noexcept nogil

    ctypedef struct smo_kernels:
        smo_solve solve_f32, solve_f64
        smo_add_moves add_moves_f32, add_moves_f64
        smo_add_rows add_rows_f32, add_rows_f64
        smo_gather_rows gather_f32, gather_f64

    const smo_kernels *SMO_KERNELS(int level) nogil
    Py_ssize_t smo_select(
        const smo_variables *, int32_t *working_set, Py_ssize_t n_kept, Py_ssize_t size, void *scratch,
        double *violation
    ) noexcept nogil
    size_t smo_select_scratch(Py_ssize_t n_variables, Py_ssize_t n_kept, Py_ssize_t size) noexcept nogil

cdef const smo_kernels *KERNELS = SMO_KERNELS(LEVEL)

if (SMO_CONVERGED, SMO_MAX_UPDATES, SMO_STALLED) != (Stop.CONVERGED, Stop.MAX_UPDATES, Stop.STALLED):
    raise ImportError("smo.h and smo_block.py name the ends of a solution differently")

# Columns of a share of add_rows: fixed, so that results do not depend on the number of threads. A share's decision
# values are 64 kB, and its part of a kernel row 32 kB.
cdef Py_ssize_t SHARE_COLUMNS = 8192


cdef void *allocated(size_t n_bytes, str purpose) except NULL:
    cdef void *memory = malloc(n_bytes + 1)
    if memory == NULL:
        raise MemoryError(f"{n_bytes} bytes for {purpose} could not be allocated.")
    return memory


cdef void *vector(array, int type_number, Py_ssize_t n, str name, bint changes=False) except? NULL:
    """Data of a contiguous vector of n elements; changes: C writes to it."""
    cdef cnp.ndarray checked = array
    if (
        not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(checked), type_number)
        or checked.ndim != 1 or checked.shape[0] != n or not cnp.PyArray_IS_C_CONTIGUOUS(checked)
    ):
        expected = np.dtype(cnp.PyArray_TypeObjectFromType(type_number))
        raise TypeError(
            f"{name} must be contiguous, of {n} {expected}; got {checked.dtype}, shape {array.shape}."
        )
    if changes:
        must_be_writeable(checked, name)
    return cnp.PyArray_DATA(checked)


cdef int must_be_writeable(cnp.ndarray array, str name) except -1:
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} is read-only, but its values are to change.")
    return 0


cdef const int32_t *positions(array, Py_ssize_t n, Py_ssize_t limit, str name) except? NULL:
    """Data of a vector of n numbers in 0..limit-1; NULL for None, which stands for 0..n-1."""
    cdef const int32_t *data
    cdef Py_ssize_t k
    if array is None:
        if n > limit:
            raise ValueError(f"{name}: there are {n} variables, but {limit} rows for them.")
        return NULL
    data = <const int32_t *> vector(array, cnp.NPY_INT32, n, name)
    for k in range(n):
        if not 0 <= data[k] < limit:
            raise IndexError(f"{name} must lie in 0..{limit - 1}; got {data[k]}.")
    return data


cdef cnp.ndarray kernel_rows(array, str name):
    """A matrix of kernel values with contiguous rows."""
    cdef cnp.ndarray K = array
    if (
        cnp.PyArray_TYPE(K) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
        or K.ndim != 2
        or (K.shape[0] > 0 and K.shape[1] > 1 and K.strides[1] != K.itemsize)
        or K.strides[0] % K.itemsize
    ):
        raise TypeError(f"{name} must be a matrix of float32 or float64 with contiguous rows; got {K.dtype}.")
    return K


cdef struct Blocks:
    smo_block *blocks
    smo_solve solve
    smo_add_moves add_moves
    const double *moves  # NULL: solve
    const double *gradient  # where the first variable's is


cdef void block_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Blocks *shared = <Blocks *> context
    cdef smo_block *block = &shared.blocks[share]
    if shared.moves == NULL:
        shared.solve(block)
    else:
        shared.add_moves(block, shared.moves + (block.gradient - shared.gradient))


cdef bint in_order(const int32_t *index, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        if index[k] != k:
            return False
    return True


cdef int fill_blocks(smo_block *blocks, given, const int64_t *spans, Py_ssize_t n_blocks) except -1:
    """The C structs of all blocks, but for what is asked of them."""
    cdef cnp.ndarray K = kernel_rows(given.K, "K")
    cdef Py_ssize_t n = len(given.alpha), k, first
    cdef smo_block every
    if K.shape[0] != K.shape[1]:
        raise ValueError(f"K must be square; got shape {given.K.shape}.")
    every.K = cnp.PyArray_DATA(K)
    every.K_stride = K.strides[0] // K.itemsize
    every.index = positions(given.index, n, K.shape[0], "index")
    every.y = <const double *> vector(given.y, cnp.NPY_FLOAT64, n, "y")
    every.C = <const double *> vector(given.C, cnp.NPY_FLOAT64, n, "C")
    every.alpha = <double *> vector(given.alpha, cnp.NPY_FLOAT64, n, "alpha", changes=True)
    every.gradient = <double *> vector(given.gradient, cnp.NPY_FLOAT64, n, "gradient", changes=True)
    for k in range(n_blocks):
        first = spans[2 * k]
        if not 0 <= first < spans[2 * k + 1] <= n:
            raise IndexError(f"A block must have variables among 0..{n}; got the span {given.spans[k]}.")
        blocks[k] = every
        blocks[k].n = spans[2 * k + 1] - first
        blocks[k].index += first
        if in_order(blocks[k].index, blocks[k].n):
            blocks[k].index = NULL
        blocks[k].y += first
        blocks[k].C += first
        blocks[k].alpha += first
        blocks[k].gradient += first
    return 0


cdef int run_blocks(Blocks *shared, given, Py_ssize_t n_blocks, int n_threads) except -1:
    cdef bint single = cnp.PyArray_TYPE(<cnp.ndarray> given.K) == cnp.NPY_FLOAT32
    cdef int reserved
    shared.solve = KERNELS.solve_f32 if single else KERNELS.solve_f64
    shared.add_moves = KERNELS.add_moves_f32 if single else KERNELS.add_moves_f64
    with nogil:
        reserved = _runtime.reserve(min(n_threads, <int> min(n_blocks, 1 << 20)), n_threads)
        _runtime.fork_join(block_share, shared, <int> n_blocks, reserved)
        _runtime.release(reserved)
    return 0


cdef cnp.ndarray block_spans(given):
    cdef cnp.ndarray spans = np.ascontiguousarray(given.spans)
    vector(spans.ravel(), cnp.NPY_INT64, 2 * len(given.spans), "spans")
    return spans


def solve_blocks(given, double tol, int64_t max_updates, bint nu, int n_threads):
    """See ``fastml.kernels.reference.smo.solve_blocks``; ``n_threads`` share the blocks."""
    cdef Blocks shared
    cdef cnp.ndarray spans = block_spans(given)
    cdef Py_ssize_t k, n_blocks = len(spans)
    cdef cnp.ndarray n_updates = np.empty(n_blocks, np.int64), violation = np.empty(n_blocks)
    cdef cnp.ndarray stop = np.empty(n_blocks, np.int32)
    cdef smo_block *block
    shared.blocks = <smo_block *> allocated(n_blocks * sizeof(smo_block), f"{n_blocks} blocks")
    try:
        fill_blocks(shared.blocks, given, <const int64_t *> cnp.PyArray_DATA(spans), n_blocks)
        for k in range(n_blocks):
            shared.blocks[k].tol = tol
            shared.blocks[k].max_updates = max_updates
            shared.blocks[k].nu = nu
        shared.moves = NULL
        run_blocks(&shared, given, n_blocks, n_threads)
        for k in range(n_blocks):
            block = &shared.blocks[k]
            if block.stop == SMO_NO_MEMORY:
                raise MemoryError(
                    f"{block.lacking_bytes} bytes for a block of {block.n} variables could not be allocated."
                )
            (<int64_t *> cnp.PyArray_DATA(n_updates))[k] = block.n_updates
            (<double *> cnp.PyArray_DATA(violation))[k] = block.violation
            (<int32_t *> cnp.PyArray_DATA(stop))[k] = block.stop
        return n_updates, violation, stop
    finally:
        free(shared.blocks)


def add_moves(given, moves, int n_threads):
    """See ``fastml.kernels.reference.smo.add_moves``; ``n_threads`` share the blocks."""
    cdef Blocks shared
    cdef cnp.ndarray spans = block_spans(given)
    cdef Py_ssize_t n_blocks = len(spans)
    shared.moves = <const double *> vector(moves, cnp.NPY_FLOAT64, len(given.alpha), "moves")
    shared.blocks = <smo_block *> allocated(n_blocks * sizeof(smo_block), f"{n_blocks} blocks")
    try:
        fill_blocks(shared.blocks, given, <const int64_t *> cnp.PyArray_DATA(spans), n_blocks)
        shared.gradient = <const double *> cnp.PyArray_DATA(<cnp.ndarray> given.gradient)
        run_blocks(&shared, given, n_blocks, n_threads)
    finally:
        free(shared.blocks)


cdef struct Product:
    smo_product product
    smo_add_rows add_rows


cdef void product_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Product *shared = <Product *> context
    cdef Py_ssize_t first = share * SHARE_COLUMNS
    shared.add_rows(&shared.product, first, min(first + SHARE_COLUMNS, shared.product.n_columns))


def add_rows(decision, K, slots, coefficients, int n_threads):
    """See ``fastml.kernels.reference.smo.add_rows``; ``n_threads`` share the columns."""
    cdef Product shared
    cdef cnp.ndarray rows = kernel_rows(K, "K")
    cdef int n_shares, reserved
    shared.product.n_columns = rows.shape[1]
    shared.product.n_rows = len(coefficients)
    shared.product.decision = <double *> vector(
        decision, cnp.NPY_FLOAT64, rows.shape[1], "decision", changes=True)
    shared.product.K = cnp.PyArray_DATA(rows)
    shared.product.K_stride = rows.strides[0] // rows.itemsize
    shared.product.slots = positions(slots, shared.product.n_rows, rows.shape[0], "slots")
    shared.product.coefficients = <const double *> vector(
        coefficients, cnp.NPY_FLOAT64, shared.product.n_rows, "coefficients")
    shared.add_rows = (
        KERNELS.add_rows_f32 if cnp.PyArray_TYPE(rows) == cnp.NPY_FLOAT32 else KERNELS.add_rows_f64
    )
    with nogil:
        n_shares = <int> ((shared.product.n_columns + SHARE_COLUMNS - 1) // SHARE_COLUMNS)
        reserved = _runtime.reserve(min(n_threads, n_shares), n_threads)
        _runtime.fork_join(product_share, &shared, n_shares, reserved)
        _runtime.release(reserved)


cdef struct Gather:
    smo_gather gather
    smo_gather_rows run
    Py_ssize_t n_rows


cdef void gather_share(void *context, int share, int n_shares) noexcept nogil:
    cdef Gather *shared = <Gather *> context
    shared.run(
        &shared.gather, shared.n_rows * share // n_shares, shared.n_rows * (share + 1) // n_shares
    )


def gather(K, slots, columns, out, int n_threads):
    """See ``fastml.kernels.reference.smo.gather``; ``n_threads`` share the rows."""
    cdef Gather shared
    cdef cnp.ndarray rows = kernel_rows(K, "K"), target = kernel_rows(out, "out")
    cdef bint single = cnp.PyArray_TYPE(rows) == cnp.NPY_FLOAT32
    cdef int reserved
    shared.n_rows = len(slots)
    shared.gather.n_columns = len(columns)
    if (
        cnp.PyArray_TYPE(target) != cnp.PyArray_TYPE(rows)
        or target.shape[0] != shared.n_rows or target.shape[1] != shared.gather.n_columns
    ):
        raise TypeError(
            f"out must be of {K.dtype}, shape {(len(slots), len(columns))}; got {out.dtype}, {out.shape}."
        )
    must_be_writeable(target, "out")
    shared.gather.slots = positions(slots, shared.n_rows, rows.shape[0], "slots")
    shared.gather.columns = positions(columns, shared.gather.n_columns, rows.shape[1], "columns")
    shared.gather.K = cnp.PyArray_DATA(rows)
    shared.gather.K_stride = rows.strides[0] // rows.itemsize
    shared.gather.out = cnp.PyArray_DATA(target)
    shared.gather.out_stride = target.strides[0] // target.itemsize
    shared.run = KERNELS.gather_f32 if single else KERNELS.gather_f64
    with nogil:
        reserved = _runtime.reserve(n_threads, n_threads)
        _runtime.fork_join(gather_share, &shared, n_threads, reserved)
        _runtime.release(reserved)


def select(decision, index, y, p, C, alpha, kept, Py_ssize_t size, bint nu):
    """See ``fastml.kernels.reference.smo.select``."""
    cdef smo_variables variables
    cdef Py_ssize_t n = len(alpha), n_kept = len(kept), n_chosen
    cdef double violation
    working_set = np.empty(max(size, n_kept), np.int32)
    working_set[:n_kept] = kept
    positions(working_set[:n_kept], n_kept, n, "kept")
    variables.decision = <const double *> vector(decision, cnp.NPY_FLOAT64, len(decision), "decision")
    variables.index = positions(index, n, len(decision), "index")
    variables.n = n
    variables.y = <const double *> vector(y, cnp.NPY_FLOAT64, n, "y")
    variables.p = <const double *> vector(p, cnp.NPY_FLOAT64, n, "p")
    variables.C = <const double *> vector(C, cnp.NPY_FLOAT64, n, "C")
    variables.alpha = <const double *> vector(alpha, cnp.NPY_FLOAT64, n, "alpha")
    variables.nu = nu
    cdef int32_t *chosen = <int32_t *> cnp.PyArray_DATA(<cnp.ndarray> working_set)
    cdef void *scratch = allocated(smo_select_scratch(n, n_kept, size), f"the choice of {size} of {n} variables")
    with nogil:
        n_chosen = smo_select(&variables, chosen, n_kept, size, scratch, &violation)
        free(scratch)
    return working_set[:n_chosen], violation
