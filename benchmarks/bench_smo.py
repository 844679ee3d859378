"""Sequential minimal optimisation: its kernels alone, and whole solutions beside LIBSVM's number of pair updates.

    pytest benchmarks/bench_smo.py [-k block] [--benchmark-json=FILE]

Nothing is asserted about time.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC
from workloads import N_THREADS

import fastml
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import smo as kernels
from fastml.kernels.smo_block import Blocks
from fastml.solvers import smo


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with fastml.config_context(n_threads=N_THREADS):
        yield


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [100, 512, 1024, 2048])
def test_block(benchmark: Any, n: int, dtype: type) -> None:
    """One block, to the end or for 20,000 pairs."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 10))
    squares = np.square(X).sum(axis=1)
    K = np.exp(-0.05 * (squares[:, None] + squares - 2.0 * X @ X.T)).astype(dtype)
    y = rng.choice([-1.0, 1.0], n)
    n_updates = 0

    def solve() -> None:
        nonlocal n_updates
        block = Blocks.single(K, None, y, np.full(n, 100.0), np.zeros(n), -y)
        n_updates = int(kernels.solve_blocks(block, 1e-3, 20_000, False).n_updates[0])

    benchmark.pedantic(solve, rounds=10, warmup_rounds=1)
    benchmark.extra_info.update(
        n_updates=n_updates, us_per_update=benchmark.stats.stats.min / n_updates * 1e6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_add_rows(benchmark: Any, dtype: type) -> None:
    """1,000 kernel rows of 26,000 values, scattered in memory."""
    rng = np.random.default_rng(0)
    K = rng.random((1000, 26_000), np.float32).astype(dtype)
    slots, coefficients = rng.permutation(1000).astype(np.int32), rng.standard_normal(1000)
    decision = np.zeros(26_000)
    benchmark.pedantic(lambda: kernels.add_rows(decision, K, slots, coefficients), rounds=10, warmup_rounds=1)
    benchmark.extra_info["gigabytes_per_s"] = K.nbytes / benchmark.stats.stats.min / 1e9


@pytest.mark.parametrize("n", [2000, 10_000])
def test_solve(benchmark: Any, n: int) -> None:
    """A problem that is one block, and one that takes working sets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 20))
    y = np.where(X[:, 0] + rng.standard_normal(n) > 0, 1.0, -1.0)
    problem = smo.Problems.single(np.arange(n, dtype=np.int32), y, -np.ones(n), np.ones(n), np.zeros(n))
    kernel = KernelFunction("rbf", gamma=0.05)
    solutions: list[smo.Solutions] = []
    benchmark.pedantic(
        lambda: solutions.append(smo.solve(X, problem, kernel, tol=1e-3)), rounds=5, warmup_rounds=1
    )
    libsvm = SVC(C=1.0, gamma=0.05).fit(X, y)
    benchmark.extra_info.update(n_updates=int(solutions[0].n_iter[0]), libsvm_updates=int(libsvm.n_iter_[0]))
