"""The contract of the Gram kernels: every backend beside the reference."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from fastml import Kernel
from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.kernels import for_device
from fastml.kernels.reference import gram as reference

BACKENDS = ["reference", "cpu", "cuda"]

# Around the sizes of vectors, tiles and panels at every instruction-set level.
N_ROWS = (0, 1, 2, 5, 6, 7, 13, 14, 15, 16, 17, 31, 32, 33, 48, 65)
N_FEATURES = (1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 130)

# CUDA's simulator takes some microseconds for an element.
ROWS_IN_SIMULATOR = (0, 1, 2, 7, 17, 33)
FEATURES_IN_SIMULATOR = (1, 2, 7, 33)

# What |x|^2 of a row times gamma may be off, by any backend, for any data: see the reference's notes.
RBF_TOLERANCE = {np.dtype("f4"): 3e-5, np.dtype("f8"): 1e-9}


@njit
def laplacian(x, y):
    distance = 0.0
    for i in range(len(x)):
        distance += abs(x[i] - y[i])
    return math.exp(-0.1 * distance)


@dataclass
class Problem:
    """The arguments of ``prepare`` and ``gram``."""

    A: Any
    B: Any
    kernel: KernelFunction
    n_threads: int | None


@pytest.fixture(params=BACKENDS)
def gram(request):
    if request.param == "cuda":
        return request.getfixturevalue("cuda").gram
    return for_device(request.param).gram


@pytest.fixture
def fast_gram():
    """A backend that takes its time on threads and blocks, not on arithmetic."""
    return for_device("cpu").gram


def device_of(gram):
    return gram.__name__.split(".")[-2]


def fetched(gram, X):
    """An array or CSR of the device's, in the host's memory."""
    fetch = for_device(device_of(gram)).arrays.fetch
    if isinstance(X, CSR):
        return CSR(fetch(X.data), fetch(X.indices), fetch(X.indptr), X.shape)
    return fetch(X)


def dense(rng, n_rows, n_features, dtype, scale=1.0, offset=0.0):
    return ((rng.standard_normal((n_rows, n_features)) + offset) * scale).astype(dtype)


def sparse(matrix, rng, density, index):
    """A CSR of some of a matrix' elements; some of those stored are zeros."""
    kept = rng.random(matrix.shape) < density
    values = np.where(rng.random(matrix.shape) < 0.05, 0, matrix)
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return CSR(values[kept], np.nonzero(kept)[1].astype(index), indptr.astype(index), matrix.shape)


def to_dense(X):
    if not isinstance(X, CSR):
        return X
    matrix = np.zeros(X.shape, X.dtype)
    for i in range(X.shape[0]):
        values = slice(X.indptr[i], X.indptr[i + 1])
        matrix[i, X.indices[values]] = X.data[values]
    return matrix


@st.composite
def kernels(draw, scale, n_features):
    """Kernels whose values are of all sizes on rows of `n_features` elements of size `scale`."""
    gamma = draw(st.sampled_from([0.0, 0.05, 1.0, 30.0])) / n_features / scale**2
    match draw(st.sampled_from(["linear", "poly", "rbf", "sigmoid"])):
        case "poly":
            coef0, degree = draw(st.sampled_from([0.0, 1.0, -0.5])), draw(st.integers(0, 7))
            return KernelFunction("poly", gamma, coef0, degree)
        case "sigmoid":
            return KernelFunction("sigmoid", gamma, draw(st.sampled_from([0.0, 0.3])))
        case name:
            return KernelFunction(name, gamma)


@st.composite
def problems(draw, sizes=N_ROWS, widths=N_FEATURES, overflow=True):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
    # Squares overflow or vanish with the last two; the very last are denormal numbers.
    scales = (1.0, 1.0, 1e-6, 1e25, 1e-42) if dtype == "f4" else (1.0, 1.0, 1e-6, 1e200, 1e-310)
    scale = draw(st.sampled_from(scales if overflow else scales[:1]))
    n_features = draw(st.sampled_from(widths))
    offset = draw(st.sampled_from([0.0, 0.0, 3.0, 1000.0]))
    A, B = (dense(rng, draw(st.sampled_from(sizes)), n_features, dtype, scale, offset) for _ in range(2))
    n_same = min(len(A), len(B), draw(st.integers(0, 3)))
    A[:n_same] = B[:n_same]
    index = draw(st.sampled_from([None, np.int32, np.int64]))
    kernel = draw(kernels(min(max(scale, 1e-18), 1e18), n_features))
    if index is not None:
        density = draw(st.sampled_from([0.0, 0.2, 1.0]))
        states = [rng.bit_generator.state] * 2  # rows that are the same have the same zeros
        if len(A) >= len(B):
            A = sparse(A, rng, density, index)
        kept = A if isinstance(A, CSR) else None
        rng.bit_generator.state = states[1]
        B = sparse(B, rng, density, index)
        if kept is None:
            rng.bit_generator.state = states[0]
            A = sparse(A, rng, density, index)
    return Problem(A, B, kernel, draw(st.sampled_from([None, 1, 2])))


def computed(gram, problem, dtype=None, padding=0):
    """The block, in an `out` whose rows lie `padding` elements apart."""
    shape = problem.A.shape[0], problem.B.shape[0]
    arrays = for_device(device_of(gram)).arrays
    A, B = arrays.send(problem.A), arrays.send(problem.B)
    memory = arrays.send(np.full((shape[0], shape[1] + padding), 77.0, dtype or problem.A.dtype))
    prepared = gram.prepare(B, problem.kernel)
    assert prepared.shape == problem.B.shape
    assert prepared.dtype == problem.B.dtype
    assert prepared.rows.shape == problem.B.shape
    assert prepared.nbytes >= 0
    gram.gram(A, prepared, problem.kernel, memory[:, : shape[1]], problem.n_threads)
    memory = arrays.fetch(memory)
    assert_array_equal(memory[:, shape[1] :], 77.0)
    return memory[:, : shape[1]]


def tolerances(problem, expected):
    """How far each value may be off: by the rounding of the products, carried through the kernel."""
    A, B, kernel = to_dense(problem.A).astype("f8"), to_dense(problem.B).astype("f8"), problem.kernel
    kind = np.finfo(problem.A.dtype)
    eps = 4 * (A.shape[1] ** 0.5 + 4) * float(kind.eps)
    # Denormal products lose their digits.
    products = eps * (np.abs(A) @ np.abs(B).T) + A.shape[1] * float(kind.smallest_subnormal)
    if kernel.name == "linear":
        return products
    if kernel.name == "rbf":
        norms = np.square(A).sum(axis=1)[:, None] + np.square(B).sum(axis=1)
        return np.fmin(eps * (1.0 + kernel.gamma * norms), RBF_TOLERANCE[problem.A.dtype])
    linear = kernel.gamma * (A @ B.T) + kernel.coef0
    off = kernel.gamma * products + eps * (np.abs(linear) + abs(kernel.coef0)) + kind.smallest_subnormal
    if kernel.name == "sigmoid":
        return off + 8 * kind.eps
    return kernel.degree * (np.abs(linear) + off) ** max(kernel.degree - 1, 0) * off + 20 * kind.eps * np.abs(
        expected
    )


def assert_close(values, problem):
    """Right to rounding; where products overflow, not finite but for the right value."""
    with np.errstate(all="ignore"):
        expected = computed(reference, problem, np.float64)
        off, allowed = np.abs(values - expected), tolerances(problem, expected)
        wrong = ~((off <= allowed) | (values == expected) | (np.isnan(values) & np.isnan(expected)))
        if problem.kernel.name != "rbf":
            A, B = (np.abs(to_dense(X).astype("f8")) for X in (problem.A, problem.B))
            largest = max(1.0, problem.kernel.gamma) * (A @ B.T) + abs(problem.kernel.coef0)
            if problem.kernel.name == "poly":
                largest = np.fmax(largest, largest ** max(problem.kernel.degree, 1))
            overflows = ~(largest < 0.1 * float(np.finfo(values.dtype).max))
            bounded = problem.kernel.name == "sigmoid"  # of an infinity, of whichever sign, it is finite
            wrong &= ~(overflows & (~np.isfinite(values) | ~np.isfinite(expected) | bounded))
    assert not wrong.any(), (values[wrong][:5], expected[wrong][:5], allowed[wrong][:5])


@pytest.mark.parametrize("n_classes", [2, 3, 8, 9, 31])
@pytest.mark.parametrize("n_rows", [0, 1, 5])
def test_pairs_of_classes(gram, n_classes, n_rows):
    """Values and votes; ties, which the first class wins; values that are none, which the second does."""
    rng = np.random.default_rng(n_classes)
    n_pairs = n_classes * (n_classes - 1) // 2
    sums = rng.standard_normal((n_rows, n_classes, n_classes - 1))
    intercept = rng.standard_normal(n_pairs)
    expected, values = np.empty((2, n_rows, n_pairs))
    reference.pair_values(sums, intercept, expected)
    gram.pair_values(sums, intercept, values)
    assert_allclose(values, expected, rtol=1e-12, atol=1e-12)
    values = rng.choice([-1.0, 0.0, np.nan, 1.0], (n_rows, n_pairs))
    winners = gram.pair_votes(values, n_classes)
    assert winners.dtype == np.intp
    assert_array_equal(winners, reference.pair_votes(values, n_classes))


def test_pairs_that_do_not_fit_are_refused():
    gram = for_device("cpu").gram
    sums, intercept, out = np.ones((2, 3, 2)), np.zeros(3), np.empty((2, 3))
    for wrong in ((sums[:, :2], intercept, out), (sums, intercept[:2], out), (sums, intercept, out[:1])):
        with pytest.raises((TypeError, ValueError)):
            gram.pair_values(*wrong)
    with pytest.raises(ValueError, match="values must be"):
        gram.pair_votes(out, 4)


@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(gram, name):
    assert callable(getattr(gram, name))


def test_gram(gram):
    sizes = N_ROWS, N_FEATURES
    if device_of(gram) == "cuda":
        sizes = ROWS_IN_SIMULATOR, FEATURES_IN_SIMULATOR

    @settings(
        max_examples=examples(40 if device_of(gram) == "cuda" else 600),
        suppress_health_check=list(HealthCheck),
    )
    @given(problems(*sizes), st.sampled_from([0, 1, 5]))
    def keeps_the_contract(problem, padding):
        with np.errstate(all="ignore"):
            values = computed(gram, problem, padding=padding)
        assert_close(values, problem)

    keeps_the_contract()


@st.composite
def expansions(draw, sizes, widths):
    """A problem, coefficients for the rows of B, and where segments of these begin and end."""
    problem = draw(problems(sizes, widths, overflow=False))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_b = problem.B.shape[0]
    coef = rng.standard_normal((draw(st.sampled_from([1, 2, 4, 9])), n_b)).astype(problem.A.dtype)
    cuts = np.sort(rng.integers(0, n_b + 1, draw(st.sampled_from([0, 0, 1, 2, 9]))))
    return problem, coef, np.concatenate([[0], cuts, [n_b]]).astype(np.int64)


def expanded(gram, problem, coef, starts):
    arrays = for_device(device_of(gram)).arrays
    out = arrays.send(np.full((problem.A.shape[0], len(starts) - 1, len(coef)), 77.0))
    prepared = gram.prepare(arrays.send(problem.B), problem.kernel)
    gram.expansions(
        arrays.send(problem.A), prepared, problem.kernel, arrays.send(coef), starts, out, problem.n_threads
    )
    return arrays.fetch(out)


def assert_sums_close(sums, problem, coef, starts):
    """Right to rounding, but for sums over values that the type of the rows cannot hold."""
    values = computed(reference, problem, np.float64)
    overflows = ~(np.abs(values) < 0.1 * float(np.finfo(problem.A.dtype).max))
    eps = 4 * len(values.T) ** 0.5 * float(np.finfo(problem.A.dtype).eps)
    expected, allowed = np.empty(sums.shape), np.empty(sums.shape)
    held = np.empty(sums.shape, bool)
    off = tolerances(problem, values) + eps * np.abs(values)
    for g, (start, end) in enumerate(pairwise(starts)):
        of_segment = coef[:, start:end].T.astype("f8")
        expected[:, g] = values[:, start:end] @ of_segment
        allowed[:, g] = off[:, start:end] @ np.abs(of_segment)
        held[:, g] = ~overflows[:, start:end].any(axis=1)[:, None]
    wrong = held & ~(np.abs(sums - expected) <= allowed)
    assert not wrong.any(), (sums[wrong][:5], expected[wrong][:5], allowed[wrong][:5])


def test_expansions(gram):
    sizes = N_ROWS, N_FEATURES
    if device_of(gram) == "cuda":
        sizes = ROWS_IN_SIMULATOR, FEATURES_IN_SIMULATOR

    @settings(
        max_examples=examples(20 if device_of(gram) == "cuda" else 300),
        suppress_health_check=list(HealthCheck),
    )
    @given(expansions(*sizes))
    def keeps_the_contract(arguments):
        problem, coef, starts = arguments
        assert_sums_close(expanded(gram, *arguments), problem, coef, starts)

    keeps_the_contract()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [None, np.int32])
def test_expansions_of_a_kernel_of_the_users_own(gram, monkeypatch, dtype, index):
    """By blocks of rows."""
    slow = device_of(gram) != "cpu"  # a Python call for each value
    n_a, n_b = (7, 9) if slow else (150, 90)
    if device_of(gram) == "cpu":
        monkeypatch.setattr(gram, "CUSTOM_BLOCK_BYTES", 1)
    if device_of(gram) == "cuda":
        monkeypatch.setattr(gram, "PIECE_BYTES", 1)
    rng = np.random.default_rng(0)
    A, B = (dense(rng, n, 5, dtype) for n in (n_a, n_b))
    if index is not None:
        A, B = (sparse(X, rng, 0.5, index) for X in (A, B))
    coef, starts = rng.standard_normal((3, n_b)).astype(dtype), np.array([0, 4, 4, n_b], np.int64)
    values = np.exp([-0.1 * np.abs(to_dense(B).astype("f8") - a).sum(axis=1) for a in to_dense(A)])
    expected = np.stack([values[:, i:j] @ coef[:, i:j].T.astype("f8") for i, j in pairwise(starts)], axis=1)
    kernel = KernelFunction("custom", function=Kernel(laplacian))
    sums = expanded(gram, Problem(A, B, kernel, 2), coef, starts)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=1e-4 if dtype == "f4" else 1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("n_features", "density"), [(5, None), (600, None), (3000, None), (40, 0.3), (700, 0.1), (5000, 0.004)]
)
def test_expansions_depend_neither_on_threads_nor_on_company(fast_gram, dtype, n_features, density):
    """Nor on whether rows are shared out, as many are, or columns, as for few rows."""
    rng = np.random.default_rng(0)
    n_a, n_b = 700, 5000 if n_features < 1000 else 1500
    A, B = (dense(rng, n, n_features, dtype) for n in (n_a, n_b))
    if density is not None:
        A, B = (sparse(X, rng, density, np.int32) for X in (A, B))
    coef = rng.standard_normal((5, n_b)).astype(dtype)
    starts = np.array([0, 0, 17, 1200, n_b], np.int64)
    problem = Problem(A, B, KernelFunction("rbf", 1.0 / n_features), 1)
    whole = expanded(fast_gram, problem, coef, starts)
    some = Problem(fast_gram.take_rows(A, np.arange(20, dtype=np.int32)), B, problem.kernel, 1)
    assert_sums_close(whole[:20], some, coef, starts)
    for n_threads in (2, 3):
        problem.n_threads = n_threads
        assert_array_equal(expanded(fast_gram, problem, coef, starts), whole)
    rows = rng.permutation(n_a)[:21].astype(np.int32)
    for n_threads in (1, 2):
        few = Problem(fast_gram.take_rows(A, rows), B, problem.kernel, n_threads)
        assert_array_equal(expanded(fast_gram, few, coef, starts), whole[rows])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [None, np.int32, np.int64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equal_rows_give_exactly_one_and_no_value_is_larger(gram, dtype, index, offset):
    rng = np.random.default_rng(0)
    on_cuda = device_of(gram) == "cuda"
    n = 13 if on_cuda else 70
    for n_features in (1, 20, 300) if on_cuda else (1, 5, 20, 300, 3000):
        B = dense(rng, n, n_features, dtype, offset=offset)
        B[::3] = B[0]
        X = B if index is None else sparse(B, np.random.default_rng(1), 0.3, index)
        if index is not None:
            rows = np.where(np.arange(n) % 3, np.arange(n), 0).astype(np.int32)
            X = fetched(gram, gram.take_rows(X, rows))
        values = computed(gram, Problem(X, X, KernelFunction("rbf", 0.7), 2))
        assert_array_equal(np.diag(values), 1.0)
        assert_array_equal(values[np.ix_(range(0, n, 3), range(0, n, 3))], 1.0)
        if on_cuda:  # cuBLAS may add in another order on the other side of the diagonal
            np.testing.assert_allclose(values, values.T, atol=RBF_TOLERANCE[values.dtype])
        else:
            assert_array_equal(values, values.T)
        assert np.all((values >= 0.0) & (values <= 1.0))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [None, np.int32])
def test_clusters_that_no_shift_brings_to_the_origin(gram, dtype, index):
    """Distances within a cluster are a part in 10^9 of the norms: |a|^2 + |b|^2 - 2 a.b would be noise alone."""
    rng = np.random.default_rng(0)
    n = 20 if device_of(gram) == "cuda" else 60
    B = dense(rng, n, 9, "f8", 0.03) + 1e3 * rng.choice([-1.0, 1.0], (n, 1))
    B = B.astype(dtype)
    X = B if index is None else sparse(B, rng, 1.0, index)
    problem = Problem(X, X, KernelFunction("rbf", 50.0), 1)
    values = computed(gram, problem)
    assert 0.1 < np.median(values[values > 1e-3]) < 0.9
    assert_close(values, problem)


@pytest.mark.parametrize("name", ["linear", "poly", "rbf", "sigmoid"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("n_features", "density"), [(5, None), (3000, None), (40, 0.3), (700, 0.1), (5000, 0.004)]
)
def test_threads_and_blocks_change_no_bit(fast_gram, name, dtype, n_features, density):
    """Nor does the company that a row of A keeps."""
    rng = np.random.default_rng(0)
    n_a, n_b = 190, 1500 if density is None and n_features > 100 else 12_000 // (1 + n_features // 1000)
    A, B = (dense(rng, n, n_features, dtype) for n in (n_a, n_b))
    if density is not None:
        A, B = (sparse(X, rng, density, np.int32) for X in (A, B))
    kernel = KernelFunction(name, 1.0 / n_features, 0.5, 3)
    whole = computed(fast_gram, Problem(A, B, kernel, 1))
    assert_array_equal(computed(fast_gram, Problem(A, B, kernel, 2)), whole)
    assert_array_equal(computed(fast_gram, Problem(A, B, kernel, 7)), whole)
    rows = rng.permutation(n_a)[:23].astype(np.int32)
    some = computed(fast_gram, Problem(fast_gram.take_rows(A, rows), B, kernel, 1))
    assert_array_equal(some, whole[rows])
    few = Problem(
        fast_gram.take_rows(A, rows), fast_gram.take_rows(B, np.arange(100, dtype=np.int32)), kernel, 1
    )
    assert_close(some[:, :100], few)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("n_features", [600, 20_000])
def test_wide_sparse_rows(gram, n_features, dtype, index):
    rng = np.random.default_rng(0)
    # The reference, which all are held to, makes the rows dense.
    sizes = (9, 20) if device_of(gram) == "cuda" or n_features > 1000 else (37, 90)
    A, B = (sparse(dense(rng, n, n_features, dtype), rng, 0.01, index) for n in sizes)
    for kernel in (
        KernelFunction("linear"),
        KernelFunction("rbf", 0.05),
        KernelFunction("poly", 0.1, 1.0, 2),
    ):
        problem = Problem(A, B, kernel, 2)
        assert_close(computed(gram, problem), problem)


def test_indices_of_two_types(gram):
    """What is converted must last as long as the product: the memory of few rows is not taken again at once."""
    rng = np.random.default_rng(0)
    matrix = dense(rng, 9 if device_of(gram) == "cuda" else 200, 60, "f4")
    A, B = (sparse(matrix, np.random.default_rng(1), 0.5, index) for index in (np.int64, np.int32))
    problem = Problem(A, B, KernelFunction("linear"), 1)
    assert_close(computed(gram, problem), problem)


@pytest.mark.parametrize("index", [None, np.int32, np.int64])
@pytest.mark.parametrize("rows", [[], [3], [0, 0, 6, 2], [6, 5, 4, 3, 2, 1, 0]])
def test_take_rows(gram, index, rows):
    rng = np.random.default_rng(0)
    X = dense(rng, 7, 11, "f4")
    X = X if index is None else sparse(X, rng, 0.4, index)
    taken = fetched(gram, gram.take_rows(X, np.array(rows, np.int32)))
    assert isinstance(taken, CSR) == (index is not None)
    assert taken.shape == (len(rows), 11)
    assert taken.dtype == X.dtype
    assert_array_equal(to_dense(taken), to_dense(X)[rows])
    if index is not None:
        assert taken.indices.dtype == taken.indptr.dtype == index


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("index", [None, np.int32, np.int64])
@pytest.mark.parametrize(("n_features", "n_a", "n_b"), [(1, 3, 4), (20, 60, 3000), (200_000, 3, 5)])
def test_a_kernel_of_the_users_own(gram, dtype, index, n_features, n_a, n_b):
    slow = device_of(gram) != "cpu"  # a Python call for each value
    if slow and n_b > 100:
        n_a, n_b = 10, 20
    rng = np.random.default_rng(0)
    density = min(1.0, 10 / n_features)
    A, B = (dense(rng, n, n_features, dtype) for n in (n_a, n_b))
    A, B = (X * (rng.random(X.shape) < density).astype(dtype) for X in (A, B))
    expected = np.exp([-0.1 * np.abs(B.astype("f8") - a).sum(axis=1) for a in A])
    if index is not None:
        A, B = (sparse(X, rng, 1.0, index) if X.shape[1] < 1000 else _stored(X, index) for X in (A, B))
        expected = np.exp([-0.1 * np.abs(to_dense(B).astype("f8") - a).sum(axis=1) for a in to_dense(A)])
    if n_features > 1000 and slow:
        A, expected = reference.take_rows(A, np.arange(1, dtype=np.int32)), expected[:1]
        B, expected = reference.take_rows(B, np.arange(2, dtype=np.int32)), expected[:, :2]
    kernel = KernelFunction("custom", function=Kernel(laplacian))
    for n_threads in (1, 2):
        values = computed(gram, Problem(A, B, kernel, n_threads), padding=3)
        np.testing.assert_allclose(values, expected, 1e-4 if dtype == "f4" else 1e-12)


def _stored(matrix, index):
    rows, columns = np.nonzero(matrix)
    indptr = np.searchsorted(rows, np.arange(len(matrix) + 1))
    return CSR(matrix[rows, columns], columns.astype(index), indptr.astype(index), matrix.shape)
