"""One pass over the rows for generalised linear models, beside the machine's bandwidth and multiply-adds.

    pytest benchmarks/bench_glm.py [-k dense] [--benchmark-json=FILE]

What a pass is held to is measured in the same run: reading X by two threads and adding it up, where memory is the
limit; multiply-adds in registers, and a matrix product (the linear kernel of ``bench_gram.py``), where arithmetic
is. Nothing is asserted about time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import pytest
from timing import best_seconds, peak_gflops
from workloads import N_THREADS, SCALE, SGD_CSR, SGD_DENSE, SGD_MNIST

import fastml
from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import glm, gram
from fastml.kernels.glm_data import Data, Rule, new_models


@numba.njit(nogil=True)
def add_up(words: np.ndarray) -> int:
    total = 0
    for i in range(len(words)):
        total += words[i]
    return total


def reading(X: np.ndarray) -> Callable[[], object]:
    """Read X once, each thread its share; sums of integers keep no order, and so are vectorised."""
    shares = np.array_split(X.reshape(-1).view(np.int64), N_THREADS)
    add_up(shares[0][:1])
    pool = ThreadPoolExecutor(N_THREADS)
    return lambda: list(pool.map(add_up, shares))


def passing(data: Data, rule: Rule, n_models: int = 1, with_gradient: bool = True) -> Callable[[], object]:
    models = new_models(n_models)
    n = n_models * rule.n_columns
    weights = np.random.default_rng(0).standard_normal((n, data.X.shape[1] + 1)) / 100
    value, gradient = np.empty(n_models), np.empty(weights.shape) if with_gradient else None

    def run() -> None:
        with fastml.config_context(n_threads=N_THREADS):
            glm.evaluate(data, rule, models, weights, value, gradient)

    return run


def report(
    benchmark: Any, title: str, run: Callable[[], object], listed: bool = False, **figures: float
) -> None:
    """Print figures, and keep them for the README's list if they are to be ``listed``."""
    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(figures, title=title)
    if listed:
        benchmark.extra_info.update(kind="pass", scale=SCALE)
    print(f"\n{title}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))


def product(X: np.ndarray) -> tuple[Callable[[], object], float]:
    """A product of the micro-kernel, and its GFLOP."""
    A, B = X[:512], X[:12_000]
    kernel = KernelFunction("linear", 1.0)
    prepared, out = gram.prepare(B, kernel), np.empty((len(A), len(B)), X.dtype)
    return lambda: gram.gram(A, prepared, kernel, out, N_THREADS), 2e-9 * out.size * X.shape[1]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "squared_hinge"])
def test_dense(benchmark: Any, loss: str, dtype: str) -> None:
    """1,000,000 x 100: larger than the cache, one column."""
    workload = SGD_DENSE.load()
    X = np.ascontiguousarray(workload.X, dtype)
    data = Data(X, np.asarray(workload.y, np.int32))
    run, read = passing(data, Rule(loss)), reading(X)
    seconds, reading_s = best_seconds(run, read)
    report(
        benchmark,
        f"{loss} {dtype}",
        run,
        listed=True,
        ms=1e3 * seconds,
        gb_per_s=1e-9 * X.nbytes / seconds,
        gb_per_s_reading=1e-9 * X.nbytes / reading_s,
        share_of_bandwidth=reading_s / seconds,
    )


@pytest.mark.parametrize(
    ("name", "n_models", "n_rows", "with_gradient"),
    [
        ("multinomial", 1, 60_000, True),
        ("multinomial", 1, 60_000, False),
        ("log_loss", 1, 60_000, True),
        ("log_loss", 10, 60_000, True),
        ("multinomial", 50, 5_000, True),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_mnist(
    benchmark: Any, name: str, n_models: int, n_rows: int, with_gradient: bool, dtype: str
) -> None:
    """MNIST: ten classes, one or ten binary models, a cross-validation's fifty models of ten classes."""
    workload = SGD_MNIST.load()
    X = np.ascontiguousarray(workload.X[:n_rows], dtype)
    rule = Rule(name, 10 if name == "multinomial" else 1)
    run = passing(Data(X, np.asarray(workload.y[:n_rows], np.int32)), rule, n_models, with_gradient)
    multiply, gflop_of_product = product(X)
    seconds, product_s, reading_s = best_seconds(run, multiply, reading(X))
    peak = peak_gflops(N_THREADS) * 4 / X.itemsize
    gflop = (4e-9 if with_gradient else 2e-9) * X.size * n_models * rule.n_columns
    fastest_s = max(reading_s, gflop * product_s / gflop_of_product)  # were one hidden behind the other
    wanted = "" if with_gradient else ", values only"
    report(
        benchmark,
        f"{n_models} × {rule.n_columns} columns ({name}) {dtype}, {n_rows} rows{wanted}",
        run,
        listed=name == "multinomial" and with_gradient,
        ms=1e3 * seconds,
        gflops=gflop / seconds,
        gflops_of_a_product=gflop_of_product / product_s,
        gflops_at_peak=peak,
        share_of_peak=gflop / seconds / peak,
        share_of_product=gflop / seconds / (gflop_of_product / product_s),
        share_of_bandwidth=reading_s / seconds,
        share_of_fastest=fastest_s / seconds,
    )


@pytest.mark.parametrize(("loss", "n_columns"), [("log_loss", 1), ("multinomial", 3), ("multinomial", 10)])
def test_csr(benchmark: Any, loss: str, n_columns: int) -> None:
    """500,000 x 100,000, 13.7 million non-zeros, columns by Zipf's law."""
    workload = SGD_CSR.load()
    X = CSR(workload.X.data, workload.X.indices, workload.X.indptr, workload.X.shape)
    target = np.random.default_rng(0).integers(0, max(2, n_columns), X.shape[0]).astype(np.int32)
    run = passing(Data(X, target), Rule(loss, n_columns))
    (seconds,) = best_seconds(run)
    report(
        benchmark,
        f"{n_columns} columns ({loss})",
        run,
        listed=True,
        ms=1e3 * seconds,
        ns_per_nonzero=1e9 * seconds / len(X.data),
    )


def test_call(benchmark: Any) -> None:
    """What a call costs where there is next to nothing to compute: 150 x 4, three classes."""
    X = np.random.default_rng(0).standard_normal((150, 4))
    run = passing(Data(X, (np.arange(150) % 3).astype(np.int32)), Rule("multinomial", 3))
    (seconds,) = best_seconds(lambda: [run() for _ in range(1000)])
    report(benchmark, "150 x 4, 3 classes", run, us=1e3 * seconds)
