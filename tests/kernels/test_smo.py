"""The contract of the SMO kernels: every backend beside the reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.reference import smo as reference
from fastml.kernels.smo_block import Block, Stop

AROUND_VECTORS = (1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130)


@pytest.fixture(params=["reference", "cpu"])
def smo(request):
    """The kernels of each backend in turn; the reference keeps its own contract."""
    return for_device(request.param).smo


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
def blocks(draw):
    n = draw(st.sampled_from(AROUND_VECTORS))
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
def test_a_backend_has_every_function(name):
    assert callable(getattr(for_device("cpu").smo, name))


def test_solve_blocks_takes_the_steps_of_smo(smo):
    """To the end: feasible, optimal by its own gradient, which is that of its alpha; sums within signs are kept."""

    @given(blocks())
    def is_solved(problem):
        block, p, nu = problem
        before, start = copied(block), objective(block, p)
        (solved,) = smo.solve_blocks([block], 1e-6, 20_000, nu)
        assert solved.stop is not Stop.MAX_UPDATES
        assert ((block.alpha >= 0) & (block.alpha <= block.C)).all()
        rows = np.arange(len(block.y)) if block.index is None else block.index
        values = block.K[np.ix_(rows, rows)].astype(float)
        assert_allclose(block.gradient, values @ (block.y * block.alpha) + block.y * p, atol=1e-9)
        _, violation = reference.select(
            block.gradient - block.y * p, None, block.y, p, block.C, block.alpha, [], 0, nu
        )
        assert violation <= 1e-6 * (1 + 1e-5) or solved.stop is Stop.STALLED
        assert objective(block, p) <= start + 1e-9
        assert_allclose(block.y @ block.alpha, before.y @ before.alpha, atol=1e-10)
        if nu:
            assert_allclose(block.alpha.sum(), before.alpha.sum(), atol=1e-10)

    is_solved()


@given(blocks())
def test_the_first_step_is_the_references(problem):
    """Its pair promises what the reference's does, to the precision that is left to a backend."""
    block, _, nu = problem
    theirs, ours = copied(block), copied(block)
    (expected,) = reference.solve_blocks([theirs], 1e-6, 1, nu)
    (solved,) = for_device("cpu").smo.solve_blocks([ours], 1e-6, 1, nu)
    assert solved.n_updates == expected.n_updates
    if expected.n_updates:
        assert promise(block, ours) >= promise(block, theirs) * (1 - 1e-3)


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


@given(st.lists(blocks(), min_size=2, max_size=5), st.booleans())
def test_blocks_do_not_depend_on_each_other(problems, nu):
    smo = for_device("cpu").smo
    together, alone = ([copied(block) for block, _, _ in problems] for _ in range(2))
    results = smo.solve_blocks(together, 1e-4, 50, nu)
    for one, block, result in zip(alone, together, results):
        assert smo.solve_blocks([one], 1e-4, 50, nu) == [result]
        assert_array_equal(one.alpha, block.alpha)
        assert_array_equal(one.gradient, block.gradient)


def test_max_updates_is_exact_and_can_be_continued(smo):
    rng = np.random.default_rng(0)
    K = kernel_matrix(rng, 40, np.float64)
    y = np.where(np.arange(40) % 2, 1.0, -1.0)
    at_once = Block(K, None, y, np.full(40, 10.0), np.zeros(40), -y)
    in_steps = copied(at_once)
    (whole,) = smo.solve_blocks([at_once], 1e-3, 10_000, False)
    assert whole.stop is Stop.CONVERGED
    n_updates, stop = 0, Stop.MAX_UPDATES
    while stop is Stop.MAX_UPDATES:
        ((n, _, stop),) = smo.solve_blocks([in_steps], 1e-3, 3, False)
        n_updates += n
        assert n <= 3
    assert n_updates == whole.n_updates
    assert_array_equal(in_steps.alpha, at_once.alpha)


def test_no_pair_at_all(smo):
    block = Block(np.ones((2, 2)), None, np.ones(2), np.ones(2), np.zeros(2), -np.ones(2))
    (solved,) = smo.solve_blocks([block], 1e-3, 100, False)
    assert solved == (0, -np.inf, Stop.CONVERGED)
    assert smo.solve_blocks([], 1e-3, 100, False) == []


def test_values_that_are_not_finite_end_it(smo):
    K = np.full((3, 3), np.nan)
    y = np.array([1.0, -1.0, 1.0])
    block = Block(K, None, y, np.ones(3), np.zeros(3), -y)
    (solved,) = smo.solve_blocks([block], 1e-3, 100, False)
    assert solved.n_updates <= 100


@given(
    st.sampled_from(AROUND_VECTORS),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.integers(0, 140),
    st.integers(0, 10),
)
def test_select(n, seed, nu, indexed, size, n_kept):
    rng = np.random.default_rng(seed)
    y, p, C, alpha = variables(rng, n)
    index = rng.integers(0, n + 2, n).astype(np.int32) if indexed else None
    decision = rng.standard_normal(n + 2 if indexed else n)
    kept = rng.permutation(n)[:n_kept].astype(np.int32)
    arguments = decision, index, y, p, C, alpha, kept, size, nu
    expected, expected_violation = reference.select(*arguments)
    chosen, violation = for_device("cpu").smo.select(*arguments)
    assert violation == expected_violation
    assert_array_equal(chosen, expected)


@given(
    st.sampled_from([1, 7, 16, 33, 2047, 2048, 2050, 9000, 20_000]),
    st.integers(0, 20),
    st.sampled_from([np.float32, np.float64]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_add_rows(n_columns, n_rows, dtype, by_slots, seed):
    rng = np.random.default_rng(seed)
    K = rng.standard_normal((25, n_columns + 3)).astype(dtype)[:, :n_columns]
    slots = rng.integers(0, 25, n_rows).astype(np.int32) if by_slots else None
    coefficients, decision = rng.standard_normal(n_rows), rng.standard_normal(n_columns)
    expected = decision.copy()
    reference.add_rows(expected, K, slots, coefficients)
    for_device("cpu").smo.add_rows(decision, K, slots, coefficients)
    assert_allclose(decision, expected, rtol=1e-12, atol=1e-12)


@given(
    st.integers(0, 60), st.integers(0, 5000), st.sampled_from([np.float32, np.float64]), st.integers(0, 99)
)
def test_gather(n_rows, n_columns, dtype, seed):
    rng = np.random.default_rng(seed)
    K = rng.standard_normal((70, 90)).astype(dtype)[:, :81]
    slots = rng.integers(0, 70, n_rows).astype(np.int32)
    columns = rng.integers(0, 81, n_columns).astype(np.int32)
    out = np.full((n_rows, n_columns + 2), 7.0, dtype)
    for_device("cpu").smo.gather(K, slots, columns, out[:, :n_columns])
    assert_array_equal(out[:, :n_columns], K[np.ix_(slots, columns)])
    assert_array_equal(out[:, n_columns:], 7.0)


@pytest.mark.parametrize("sizes", [[1], [2000], [300] * 45, [10] * 10_000])
def test_updates_per_call(smo, sizes):
    n_updates = smo.updates_per_call(sizes)
    assert isinstance(n_updates, int)
    assert n_updates >= 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"y": np.ones(3)}, TypeError),
        ({"C": np.ones(4, np.float32)}, TypeError),
        ({"alpha": np.zeros(8)[::2]}, TypeError),
        ({"K": np.ones((4, 5))}, ValueError),
        ({"K": np.ones((4, 4), int)}, TypeError),
        ({"K": np.ones((3, 3))}, ValueError),
        ({"index": np.array([0, 1, 2, 4], np.int32)}, IndexError),
        ({"index": np.array([0, 1, 2, -1], np.int32)}, IndexError),
        ({"index": np.array([0, 1, 2, 3], np.int64)}, TypeError),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, error):
    block = Block(np.eye(4), None, np.ones(4), np.ones(4), np.zeros(4), np.zeros(4))._replace(**change)
    with pytest.raises(error):
        for_device("cpu").smo.solve_blocks([block], 1e-3, 10, False)
