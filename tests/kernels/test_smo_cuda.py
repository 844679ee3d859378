"""What is particular to SMO on CUDA: where a block's state lies, threads that own several variables.

The contract that all backends share is held by test_smo.py. Small, since the simulator takes some 10 ms for a step.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_smo import Block, copied, kernel_matrix, solve_blocks, variables

from fastml.kernels import for_device
from fastml.kernels.reference import smo as reference
from fastml.kernels.smo_block import Stop


def random_block(seed, n, dtype, n_rows=None):
    rng = np.random.default_rng(seed)
    index = None if n_rows is None else rng.integers(0, n_rows, n).astype(np.int32)
    K = kernel_matrix(rng, n_rows or n, dtype)
    y, p, C, alpha = variables(rng, n)
    rows = np.arange(n) if index is None else index
    gradient = K[np.ix_(rows, rows)].astype(float) @ (y * alpha) + y * p
    return Block(np.ascontiguousarray(K), index, y, C, alpha, gradient)


def assert_takes_the_references_steps(cuda, blocks, n_updates, nu, tol=1e-3):
    expected = [copied(block) for block in blocks]
    results = solve_blocks(for_device("reference"), expected, tol, n_updates, nu)
    solved = solve_blocks(cuda, blocks, tol, n_updates, nu)
    for one, theirs in zip(solved, results):
        assert (one.n_updates, one.stop) == (theirs.n_updates, theirs.stop)
        assert_allclose(one.violation, theirs.violation, rtol=1e-9, atol=1e-12)
    for block, theirs in zip(blocks, expected):
        assert_allclose(block.alpha, theirs.alpha, rtol=1e-9, atol=1e-12)
        assert_allclose(block.gradient, theirs.gradient, rtol=1e-9, atol=1e-12)


@pytest.fixture(params=["shared", "global"])
def memory(request, cuda, monkeypatch):
    """Where alpha and its like lie."""
    if request.param == "global":
        monkeypatch.setattr("fastml.kernels.cuda._smo_kernel.MOST_IN_SHARED", 0)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("nu", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "n_rows"), [(1, None), (31, None), (70, None), (33, 20)])
def test_steps_are_the_references(cuda, nu, dtype, n, n_rows):
    assert_takes_the_references_steps(cuda, [random_block(n, n, dtype, n_rows)], 6, nu)


@pytest.mark.usefixtures("memory")
def test_two_warps(cuda):
    assert_takes_the_references_steps(cuda, [random_block(0, 130, np.float32)], 2, True)


@pytest.mark.parametrize("nu", [False, True])
def test_blocks_of_one_matrix_and_of_several(cuda, nu):
    """As the problems of a one-vs-one classifier: rows of a shared matrix; and one of its own, of another dtype."""
    whole = random_block(3, 40, np.float32)
    blocks = []
    for first, end in ((0, 15), (10, 40), (25, 26)):
        own = random_block(first, end - first, np.float32)
        index = np.arange(first, end, dtype=np.int32)
        gradient = whole.K[first:end, first:end].astype(float) @ (own.y * own.alpha) - own.y
        blocks.append(own._replace(K=whole.K, index=index, gradient=gradient))
    blocks.append(random_block(5, 20, np.float64))
    assert_takes_the_references_steps(cuda, blocks, 4, nu)


@pytest.mark.parametrize("nu", [False, True])
def test_the_worst_variables_are_kept_already(cuda, nu):
    """Few are wanted, and more than those are skipped in each row of candidates."""
    rng = np.random.default_rng(0)
    y, p, C, alpha = variables(rng, 60)
    decision = rng.standard_normal(60)
    kept, _ = reference.select(decision, None, y, p, C, alpha, [], 12, nu)
    expected, _ = reference.select(decision, None, y, p, C, alpha, kept, 15, nu)
    chosen, _ = cuda.smo.select(cuda.arrays.send(decision), None, y, p, C, alpha, kept, 15, nu)
    assert len(expected) == 15
    assert_array_equal(chosen, expected)


def test_to_the_end(cuda):
    block = random_block(1, 12, np.float64)
    assert_takes_the_references_steps(cuda, [block], 1000, False, tol=0.05)


def test_a_step_too_small_to_change_anything(cuda):
    n = 4
    y = np.array([1.0, -1.0, 1.0, -1.0])
    block = Block(np.eye(n), None, y, np.full(n, 1e20), np.full(n, 1e19), 1e-3 * y[::-1].copy())
    (solved,) = solve_blocks(cuda, [block], 1e-6, 10, False)
    assert solved.stop is Stop.STALLED
    assert solved.n_updates == 0
