"""The contract of the SMO kernels: every backend beside the reference."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from fresh_interpreter import output_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from numpy.testing import assert_allclose, assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.reference import smo as reference
from fastml.kernels.smo_block import Blocks, Stop

AROUND_VECTORS = (1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130)

# CUDA's simulator takes some 10 ms for a step of a block, and some microseconds for an element of a matrix.
SIZES = {"reference": AROUND_VECTORS, "cpu": AROUND_VECTORS, "cuda": (1, 2, 7, 31, 33)}
EXAMPLES = {"reference": 100, "cpu": 100, "cuda": 15}
# CUDA is held to the reference step by step instead (test_smo_cuda.py).
TOLERANCE = {"reference": 1e-6, "cpu": 1e-6, "cuda": 0.3}
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(params=["reference", "cpu", "cuda"])
def backend(request):
    """Each backend in turn; the reference keeps its own contract."""
    if request.param == "cuda":
        return request.getfixturevalue("cuda")
    return for_device(request.param)


@pytest.fixture
def device(backend):
    return backend.__name__.rpartition(".")[2]


@pytest.fixture
def smo(backend):
    return backend.smo


def sent(backend, matrix):
    """The matrix on the device, its rows as far apart as they are here."""
    if matrix.base is None:
        return backend.arrays.send(matrix)
    return backend.arrays.send(matrix.base)[:, : matrix.shape[1]]


class Block(NamedTuple):
    """One block, on a matrix of its own; None: variable i stands on row i."""

    K: Any
    index: Any
    y: Any
    C: Any
    alpha: Any
    gradient: Any


class Ended(NamedTuple):
    """How a block's solution ended."""

    n_updates: int
    violation: float
    stop: Stop


def packed(blocks):
    """Blocks side by side, on one matrix: where their own are several, they lie along its diagonal."""
    matrices = list({id(block.K): block.K for block in blocks}.values())
    firsts = dict(zip(map(id, matrices), np.cumsum([0, *(len(K) for K in matrices)]).tolist()))
    K = matrices[0]
    if len(matrices) > 1:
        n = sum(map(len, matrices))
        K = np.full((n, n), np.nan, np.result_type(*matrices))
        for own in matrices:
            first = firsts[id(own)]
            K[first : first + len(own), first : first + len(own)] = own
    index = [
        firsts[id(block.K)] + (np.arange(len(block.y)) if block.index is None else block.index)
        for block in blocks
    ]
    ends = np.cumsum([len(block.y) for block in blocks])
    return Blocks(
        K,
        np.concatenate(index).astype(np.int32),
        *(
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("y", "C", "alpha", "gradient")
        ),
        np.column_stack([ends - [len(block.y) for block in blocks], ends]),
    )


def solve_blocks(backend, blocks, *arguments):
    """``solve_blocks`` of blocks of their own, which it changes, with the matrix on the device."""
    together = packed(blocks)
    sent_blocks = together._replace(K=sent(backend, together.K))
    solved = backend.smo.solve_blocks(sent_blocks, *arguments)
    for block, (first, end) in zip(blocks, together.spans):
        block.alpha[:], block.gradient[:] = together.alpha[first:end], together.gradient[first:end]
    return [Ended(int(n), float(violation), Stop(stop)) for n, violation, stop in zip(*solved)]


def kernel_matrix(rng, n, dtype, definite=True):
    """A symmetric matrix, by its eigenvalues definite or not, its rows further apart than they are long."""
    X = rng.standard_normal((n, 3))
    K = np.exp(-0.3 * np.square(X[:, None] - X).sum(axis=-1))
    if not definite:
        K = K - 0.7 * np.exp(-2.0 * np.square(X[:, None] - X).sum(axis=-1)) - 0.5 * np.eye(n)
    padded = np.full((n, n + 5), np.nan, dtype)
    padded[:, :n] = (K + K.T) / 2
    return padded[:, :n]


def variables(rng, n):
    """y, p, C and a feasible alpha with variables at both bounds and between them."""
    y = rng.choice([-1.0, 1.0], n)
    C = rng.uniform(0.1, 3.0, n)
    alpha = C * rng.choice([0.0, 1.0, 0.4], n)
    return y, rng.standard_normal(n), C, alpha


@st.composite
def blocks(draw, sizes=AROUND_VECTORS):
    n = draw(st.sampled_from(sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    nu = draw(st.booleans())
    n_rows = draw(st.sampled_from([n, max(1, n // 2), n + 3]))
    index = None if draw(st.booleans()) and n_rows >= n else rng.integers(0, n_rows, n).astype(np.int32)
    K = kernel_matrix(rng, n_rows, dtype, draw(st.booleans()))
    y, p, C, alpha = variables(rng, n)
    rows = np.arange(n) if index is None else index
    gradient = K[np.ix_(rows, rows)].astype(float) @ (y * alpha) + y * p
    return Block(K, index, y, C, alpha, gradient), p, nu


def copied(block):
    return block._replace(alpha=block.alpha.copy(), gradient=block.gradient.copy())


def objective(block, p):
    """Of the block alone, by alpha."""
    rows = np.arange(len(block.y)) if block.index is None else block.index
    signed = block.y * block.alpha
    return 0.5 * signed @ block.K[np.ix_(rows, rows)].astype(float) @ signed + p @ block.alpha


@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(smo, name):
    assert callable(getattr(smo, name))


def test_solve_blocks_takes_the_steps_of_smo(backend, device):
    """To the end: feasible, optimal by its own gradient, which is that of its alpha; sums within signs are kept."""

    tol = TOLERANCE[device]

    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=SUPPRESSED)
    @given(blocks(SIZES[device]))
    def is_solved(problem):
        block, p, nu = problem
        before, start = copied(block), objective(block, p)
        (solved,) = solve_blocks(backend, [block], tol, 20_000, nu)
        assert solved.stop is not Stop.MAX_UPDATES
        assert ((block.alpha >= 0) & (block.alpha <= block.C)).all()
        rows = np.arange(len(block.y)) if block.index is None else block.index
        values = block.K[np.ix_(rows, rows)].astype(float)
        assert_allclose(block.gradient, values @ (block.y * block.alpha) + block.y * p, atol=1e-9)
        _, violation = reference.select(
            block.gradient - block.y * p, None, block.y, p, block.C, block.alpha, [], 0, nu
        )
        assert violation <= tol * (1 + 1e-5) or solved.stop is Stop.STALLED
        assert objective(block, p) <= start + 1e-9
        assert_allclose(block.y @ block.alpha, before.y @ before.alpha, atol=1e-10)
        if nu:
            assert_allclose(block.alpha.sum(), before.alpha.sum(), atol=1e-10)

    is_solved()


def test_the_first_step_is_the_references(backend, device):
    """Its pair promises what the reference's does, to the precision that is left to a backend."""

    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=SUPPRESSED)
    @given(blocks(SIZES[device]))
    def is_as_good(problem):
        block, _, nu = problem
        theirs, ours = copied(block), copied(block)
        (expected,) = solve_blocks(for_device("reference"), [theirs], 1e-6, 1, nu)
        (solved,) = solve_blocks(backend, [ours], 1e-6, 1, nu)
        assert solved.n_updates == expected.n_updates
        if expected.n_updates:
            assert promise(block, ours) >= promise(block, theirs) * (1 - 1e-3)

    is_as_good()


def promise(before, after):
    """What the pair between two states promised: its squared difference of gradients by its curvature."""
    moved = np.flatnonzero(after.alpha != before.alpha)
    if len(moved) < 2:
        return np.inf  # a step that rounds to nothing for one of the two shows only one of them
    rows = np.arange(len(before.y)) if before.index is None else before.index
    K, gradient = before.K[np.ix_(rows, rows)].astype(float), before.gradient
    i, j = moved
    curvature = K[i, i] + K[j, j] - 2.0 * K[i, j]
    return (gradient[i] - gradient[j]) ** 2 / (curvature if curvature > 0 else reference.TAU)


def test_blocks_do_not_depend_on_each_other(backend, device):
    max_updates = 3 if device == "cuda" else 50

    @settings(max_examples=examples(EXAMPLES[device] // 3), suppress_health_check=SUPPRESSED)
    @given(st.lists(blocks(SIZES[device]), min_size=2, max_size=5), st.booleans())
    def are_independent(problems, nu):
        together, alone = ([copied(block) for block, _, _ in problems] for _ in range(2))
        results = solve_blocks(backend, together, 1e-4, max_updates, nu)
        for one, block, result in zip(alone, together, results):
            assert solve_blocks(backend, [one], 1e-4, max_updates, nu) == [result]
            assert_array_equal(one.alpha, block.alpha)
            assert_array_equal(one.gradient, block.gradient)

    are_independent()


def test_blocks_of_some_spans_alone(backend, device):
    """Those of no span stay as they are."""
    rng = np.random.default_rng(0)
    n = 6 if device == "cuda" else 20
    K = kernel_matrix(rng, n, np.float64)
    blocks = []
    for k in range(3):
        y = np.where(np.arange(n) % (2 + k), 1.0, -1.0)
        blocks.append(Block(K, None, y, np.ones(n), np.zeros(n), -y))
    whole = packed(blocks)
    # By the same backend: between scores that tie but for rounding, each takes a step of its own.
    expected = whole._replace(K=sent(backend, K), alpha=whole.alpha.copy(), gradient=whole.gradient.copy())
    solved = backend.smo.solve_blocks(expected, 0.1, 20, False)
    changed = whole._replace(K=sent(backend, K), spans=whole.spans[[2, 0]])
    some = backend.smo.solve_blocks(changed, 0.1, 20, False)
    assert_array_equal(some.n_updates, solved.n_updates[[2, 0]])
    assert expected.alpha[n : 2 * n].any()
    assert_array_equal(whole.alpha, np.where(np.repeat([1, 0, 1], n), expected.alpha, 0.0))


def test_add_moves(backend, device):
    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=SUPPRESSED)
    @given(st.lists(blocks(SIZES[device]), min_size=1, max_size=4), st.integers(0, 99))
    def is_the_references(problems, seed):
        together = packed([block for block, _, _ in problems])
        moves = np.random.default_rng(seed).choice([0.0, -1.0, 0.3], len(together.y))
        spans = together.spans[:: 1 + seed % 2]
        expected = together._replace(gradient=together.gradient.copy(), spans=spans)
        reference.add_moves(expected, moves)
        backend.smo.add_moves(together._replace(K=sent(backend, together.K), spans=spans), moves)
        assert_allclose(together.gradient, expected.gradient, rtol=1e-12, atol=1e-12)

    is_the_references()


def test_max_updates_is_exact_and_can_be_continued(backend, device):
    rng = np.random.default_rng(0)
    n = 10 if device == "cuda" else 40
    K = kernel_matrix(rng, n, np.float64)
    y = np.where(np.arange(n) % 2, 1.0, -1.0)
    at_once = Block(K, None, y, np.full(n, 10.0), np.zeros(n), -y)
    in_steps = copied(at_once)
    (whole,) = solve_blocks(backend, [at_once], 1e-3, 10_000, False)
    assert whole.stop is Stop.CONVERGED
    n_updates, stop = 0, Stop.MAX_UPDATES
    while stop is Stop.MAX_UPDATES:
        ((n, _, stop),) = solve_blocks(backend, [in_steps], 1e-3, 3, False)
        n_updates += n
        assert n <= 3
    assert n_updates == whole.n_updates
    assert_array_equal(in_steps.alpha, at_once.alpha)


def test_no_pair_at_all(backend):
    block = Block(np.ones((2, 2)), None, np.ones(2), np.ones(2), np.zeros(2), -np.ones(2))
    (solved,) = solve_blocks(backend, [block], 1e-3, 100, False)
    assert solved == (0, -np.inf, Stop.CONVERGED)
    none = packed([block])._replace(spans=np.empty((0, 2), np.int64))
    assert all(len(array) == 0 for array in backend.smo.solve_blocks(none, 1e-3, 100, False))
    backend.smo.add_moves(none, np.ones(2))
    assert_array_equal(none.gradient, -1.0)


@pytest.mark.parametrize("nu", [False, True])
@pytest.mark.parametrize(
    ("K", "gradient"),
    [
        (np.full((4, 4), np.nan), np.array([-1.0, 1.0, -1.0, 1.0])),
        # The violation is infinite, and what j promises is inf / inf.
        (np.where(np.eye(4) > 0, np.inf, 1.0), np.array([-np.inf, np.inf, np.inf, -np.inf])),
    ],
    ids=["nan", "inf"],
)
def test_values_that_are_not_finite_end_it(backend, K, gradient, nu):
    y, alpha = np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    block = Block(K, None, y, np.ones(4), alpha, gradient)
    with np.errstate(invalid="ignore"):
        (solved,) = solve_blocks(backend, [block], 1e-3, 100, nu)
    assert solved.stop is Stop.CONVERGED
    assert ((block.alpha >= 0) & (block.alpha <= block.C)).all()


def test_select(backend):
    @settings(suppress_health_check=SUPPRESSED)
    @given(
        st.sampled_from(AROUND_VECTORS),
        st.integers(0, 2**32 - 1),
        st.booleans(),
        st.booleans(),
        st.integers(0, 140),
        st.integers(0, 10),
    )
    def is_the_references(n, seed, nu, indexed, size, n_kept):
        rng = np.random.default_rng(seed)
        y, p, C, alpha = variables(rng, n)
        index = rng.integers(0, n + 2, n).astype(np.int32) if indexed else None
        decision = rng.standard_normal(n + 2 if indexed else n)
        kept = rng.permutation(n)[:n_kept].astype(np.int32)
        arguments = index, y, p, C, alpha, kept, size, nu
        expected, expected_violation = reference.select(decision, *arguments)
        chosen, violation = backend.smo.select(backend.arrays.send(decision), *arguments)
        assert violation == expected_violation
        assert isinstance(violation, float)
        assert chosen.dtype == np.int32
        assert_array_equal(chosen, expected)

    is_the_references()


def test_add_rows(backend, device):
    columns = (1, 7, 33, 70) if device == "cuda" else (1, 7, 16, 33, 2047, 2048, 2050, 9000, 20_000)

    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=SUPPRESSED)
    @given(
        st.sampled_from(columns),
        st.integers(0, 20),
        st.sampled_from([np.float32, np.float64]),
        st.booleans(),
        st.integers(0, 2**32 - 1),
    )
    def is_the_references(n_columns, n_rows, dtype, by_slots, seed):
        rng = np.random.default_rng(seed)
        K = rng.standard_normal((25, n_columns + 3)).astype(dtype)[:, :n_columns]
        slots = rng.integers(0, 25, n_rows).astype(np.int32) if by_slots else None
        coefficients, expected = rng.standard_normal(n_rows), rng.standard_normal(n_columns)
        decision = backend.arrays.send(expected.copy())
        reference.add_rows(expected, K, slots, coefficients)
        backend.smo.add_rows(decision, sent(backend, K), slots, coefficients)
        assert_allclose(backend.arrays.fetch(decision), expected, rtol=1e-12, atol=1e-12)

    is_the_references()


def test_gather(backend, device):
    largest = 100 if device == "cuda" else 5000

    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=SUPPRESSED)
    @given(
        st.integers(0, 60),
        st.integers(0, largest),
        st.sampled_from([np.float32, np.float64]),
        st.integers(0, 99),
    )
    def is_the_references(n_rows, n_columns, dtype, seed):
        rng = np.random.default_rng(seed)
        K = rng.standard_normal((70, 90)).astype(dtype)[:, :81]
        slots = rng.integers(0, 70, n_rows).astype(np.int32)
        columns = rng.integers(0, 81, n_columns).astype(np.int32)
        out = backend.arrays.send(np.full((n_rows, n_columns + 2), 7.0, dtype))
        backend.smo.gather(sent(backend, K), slots, columns, out[:, :n_columns])
        out = backend.arrays.fetch(out)
        assert_array_equal(out[:, :n_columns], K[np.ix_(slots, columns)])
        assert_array_equal(out[:, n_columns:], 7.0)

    is_the_references()


@pytest.mark.parametrize("cache_bytes", [0.0, 2e8])
def test_value_bytes(smo, cache_bytes):
    assert smo.value_bytes(cache_bytes) >= cache_bytes


@pytest.mark.parametrize("sizes", [[1], [2000], [300] * 45, [10] * 10_000])
def test_updates_per_call(smo, sizes):
    n_updates = smo.updates_per_call(sizes)
    assert isinstance(n_updates, int)
    assert n_updates >= 1


def read_only(n):
    zeros = np.zeros(n)
    zeros.flags.writeable = False
    return zeros


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"y": np.ones(3)}, TypeError),
        ({"C": np.ones(4, np.float32)}, TypeError),
        ({"alpha": np.zeros(8)[::2]}, TypeError),
        ({"gradient": [0.0] * 4}, TypeError),
        ({"K": np.ones((4, 5))}, ValueError),
        ({"K": np.ones((4, 4), int)}, TypeError),
        ({"K": np.ones((3, 3))}, IndexError),
        ({"index": np.array([0, 1, 2, 4], np.int32)}, IndexError),
        ({"index": np.array([0, 1, 2, -1], np.int32)}, IndexError),
        ({"index": np.array([0, 1, 2, 3], np.int64)}, TypeError),
        ({"alpha": read_only(4)}, ValueError),
        ({"gradient": read_only(4)}, ValueError),
        ({"spans": np.array([[1, 1]])}, IndexError),
        ({"spans": np.array([[0, 5]])}, IndexError),
        ({"spans": np.array([[-1, 2]])}, IndexError),
        ({"spans": np.array([[3, 2]])}, IndexError),
        ({"spans": np.array([[0, 4]], np.int32)}, TypeError),
        ({"spans": np.array([0, 4])}, TypeError),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, error):
    arrays = Blocks.single(np.eye(4), None, np.ones(4), np.ones(4), np.zeros(4), np.zeros(4))
    arrays = arrays._replace(**change)
    smo = for_device("cpu").smo
    for call in (
        lambda: smo.solve_blocks(arrays, 1e-3, 10, False),
        lambda: smo.add_moves(arrays, np.ones(4)),
    ):
        with pytest.raises(error):
            call()


def test_read_only_results_are_refused():
    smo, one = for_device("cpu").smo, np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="decision is read-only"):
        smo.add_rows(read_only(4), np.eye(4), one, np.ones(1))
    with pytest.raises(ValueError, match="out is read-only"):
        smo.gather(np.eye(4), one, one, read_only(1).reshape(1, 1))


def test_memory_that_is_not_there():
    """The error says how much was asked for."""
    code = """
import resource
import numpy as np
from fastml.kernels.cpu import smo
from fastml.kernels.smo_block import Blocks
n = 20_001
y, zeros = np.ones(n), np.zeros(n)
index = np.append(np.arange(1, n, dtype=np.int32), np.int32(0))  # in another order: rows are copied
block = Blocks.single(np.broadcast_to(np.ones(n), (n, n)), index, y, y, zeros, zeros.copy())
address_space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + 500_000_000, resource.RLIM_INFINITY))
for call in (
    lambda: smo.solve_blocks(block, 1e-3, 1, False),
    lambda: smo.select(zeros, None, y, y, y, zeros, [], 20_000_000, False),
):
    try:
        call()
    except MemoryError as error:
        print(error)
"""
    of_block, of_choice = output_of(code).splitlines()
    n_bytes, _, purpose = of_block.partition(" ")
    assert int(n_bytes) >= 8 * 20_001**2
    assert purpose == "bytes for a block of 20001 variables could not be allocated."
    assert (
        of_choice == "960020001 bytes for the choice of 20000000 of 20001 variables could not be allocated."
    )


def test_moves_that_do_not_fit_are_refused():
    arrays = Blocks.single(np.eye(4), None, np.ones(4), np.ones(4), np.zeros(4), np.zeros(4))
    with pytest.raises(TypeError):
        for_device("cpu").smo.add_moves(arrays, np.ones(3))
