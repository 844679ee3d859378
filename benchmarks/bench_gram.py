"""Blocks of kernel matrices: GFLOP/s beside NumPy's product, nanoseconds per value and per exp, the cost of a call.

    pytest benchmarks/bench_gram.py [-k mnist] [--benchmark-json=FILE]

The contenders take turns in one run, so that whatever else the machine does meets both. Nothing is asserted about time.
"""

import math
from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import sparse
from timing import best_seconds

import fastml
from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.kernels.cpu import _gram, gram

N_THREADS = (1, 2)

# Rows of A, rows of B, features: a working set of MNIST, of a9a, of the regression problem.
SHAPES = {"mnist": (512, 12_000, 784), "a9a": (512, 26_000, 123), "svr": (512, 20_000, 30)}
RBF = {"mnist": 0.001, "a9a": 0.05, "svr": 1 / 30}


@njit
def rbf(x, y):
    distance = 0.0
    for i in range(len(x)):
        distance += (x[i] - y[i]) ** 2
    return math.exp(-0.05 * distance)


def dense(name: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    n_a, n_b, n_features = SHAPES[name]
    B = np.random.default_rng(0).standard_normal((n_b, n_features)).astype(dtype)
    return B[:n_a].copy(), B


def csr(matrix: Any) -> CSR:
    return CSR(matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32), matrix.shape)


def text(n_rows: int, n_features: int, n_values: int, dtype: str) -> CSR:
    """Columns by Zipf's law, as words are."""
    rng = np.random.default_rng(0)
    columns = rng.zipf(1.3, n_rows * n_values) % n_features
    values = rng.random(n_rows * n_values).astype(dtype)
    rows = np.repeat(np.arange(n_rows), n_values)
    matrix = sparse.csr_array((values, (rows, columns)), shape=(n_rows, n_features))
    matrix.sum_duplicates()
    return csr(matrix)


def report(benchmark: Any, title: str, seconds: float, n_values: int, **figures: float) -> None:
    figures = {"ns_per_value": seconds / n_values * 1e9, **figures}
    benchmark.extra_info.update(figures)
    print(f"\n{title}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))


def blocks(A: Any, B: Any, kernel: KernelFunction) -> list[Any]:
    """One call for each number of threads."""
    prepared = gram.prepare(B, kernel)
    out = np.empty((A.shape[0], B.shape[0]), B.dtype)
    return [lambda n=n: gram.gram(A, prepared, kernel, out, n) for n in N_THREADS]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
@pytest.mark.parametrize("name", SHAPES)
def test_dense(benchmark: Any, name: str, kernel: str, dtype: str) -> None:
    A, B = dense(name, dtype)
    calls = blocks(A, B, KernelFunction(kernel, RBF[name], 1.0, 3))
    product = np.empty((len(A), len(B)), dtype)
    seconds = best_seconds(*calls, lambda: np.matmul(A, B.T, out=product))
    benchmark.pedantic(calls[-1], rounds=1)
    gflop = 2e-9 * len(A) * len(B) * A.shape[1]
    names = ("gflops_1_thread", "gflops_2_threads", "gflops_numpy_matmul")
    rates = {name: gflop / s for name, s in zip(names, seconds)}
    report(benchmark, f"{name} {kernel} {dtype}", seconds[1], len(A) * len(B), **rates)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["a9a", "text", "uniform text"])
def test_sparse(benchmark: Any, name: str, dtype: str) -> None:
    if name == "a9a":
        B = csr(sparse.random_array((26_000, 123), density=14 / 123, format="csr", rng=0).astype(dtype))
    elif name == "text":
        B = text(20_000, 1_000_000, 100, dtype)
    else:
        B = csr(sparse.random_array((20_000, 1_000_000), density=1e-4, format="csr", rng=0).astype(dtype))
    A = gram.take_rows(B, np.arange(512, dtype=np.int32))
    calls = blocks(A, B, KernelFunction("rbf", 0.05))
    seconds = best_seconds(*calls)
    benchmark.pedantic(calls[-1], rounds=1)
    report(
        benchmark,
        f"{name} rbf {dtype}",
        seconds[1],
        512 * B.shape[0],
        ns_1_thread=seconds[0] / 512 / B.shape[0] * 1e9,
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("function", ["exp", "tanh"])
def test_elementwise(benchmark: Any, function: str, dtype: str) -> None:
    x = -20.0 * np.random.default_rng(0).random(4096).astype(dtype)
    ours = lambda: [_gram.elementwise(function, x) for _ in range(100)]  # noqa: E731
    theirs = lambda: [getattr(np, function)(x) for _ in range(100)]  # noqa: E731
    seconds = best_seconds(ours, theirs)
    benchmark.pedantic(ours, rounds=1)
    report(
        benchmark, f"{function} {dtype}", seconds[0], 100 * len(x), ns_numpy=seconds[1] / 100 / len(x) * 1e9
    )


def test_call(benchmark: Any) -> None:
    """What a call costs where there is next to nothing to compute."""
    X = np.random.default_rng(0).standard_normal((100, 4))
    kernel = KernelFunction("rbf", 0.25)
    calls = [blocks(A, X, kernel)[0] for A in (X[:1].copy(), X)]
    seconds = best_seconds(*(lambda call=call: [call() for _ in range(1000)] for call in calls))
    benchmark.pedantic(calls[0], rounds=1)
    report(
        benchmark,
        "100 x 4",
        seconds[1] / 1000,
        100 * 100,
        us_1_row=seconds[0] * 1e3,
        us_100_rows=seconds[1] * 1e3,
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_custom_kernel(benchmark: Any, dtype: str) -> None:
    """A kernel of the user's own beside the built-in one of the same formula."""
    B = np.random.default_rng(0).standard_normal((2000, 20)).astype(dtype)
    A = B[:512].copy()
    custom = blocks(A, B, KernelFunction("custom", function=fastml.Kernel(rbf)))[-1]
    built_in = blocks(A, B, KernelFunction("rbf", 0.05))[-1]
    seconds = best_seconds(custom, built_in)
    benchmark.pedantic(custom, rounds=1)
    report(
        benchmark, f"custom rbf {dtype}", seconds[0], 512 * 2000, ns_built_in=seconds[1] / 512 / 2000 * 1e9
    )
