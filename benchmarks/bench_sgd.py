"""Stochastic gradient descent: whole fits beside scikit-learn's, the user's losses, the kernels alone, memory.

    pytest benchmarks/bench_sgd.py [-k sgd-dense] [--benchmark-json=FILE]

The contenders take turns in one run, so that whatever else the machine does meets both. ``report.py`` reads the
figures from ``extra_info``. Nothing is asserted about time.
"""

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import peak_memory
import pytest
import workloads
from numba import njit
from scipy import sparse
from workloads import N_THREADS, SGD, SGD_CSR, SGD_DENSE, SGD_MNIST, Workload

import fastml
from fastml._validation import for_kernels
from fastml.kernels.cpu import sgd as kernels
from fastml.kernels.sgd_state import Rule
from fastml.solvers.sgd import initial_state, make_models

N_SEEDS = 5
LARGE = (SGD_MNIST, SGD_DENSE, SGD_CSR)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with fastml.config_context(n_threads=N_THREADS):
        yield


def each(of: tuple[Workload, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("workload", of, ids=lambda workload: workload.name)


def take_turns(
    benchmark: Any, ours: Callable[[], object], theirs: Callable[[], object], rounds: int, **labels: Any
) -> None:
    """Time both, one round of theirs before each of ours, and keep every round's seconds."""
    load_average = os.getloadavg()
    seconds = []

    def their_turn() -> None:
        start = perf_counter()
        theirs()
        seconds.append(perf_counter() - start)

    benchmark.pedantic(ours, setup=their_turn, rounds=rounds)
    ours_s = list(benchmark.stats.stats.data)
    note(benchmark, **labels, ours_s=ours_s, theirs_s=seconds, load_average_before=load_average)


def note(benchmark: Any, **figures: Any) -> None:
    benchmark.extra_info.update(figures, scale=workloads.SCALE)


@each(SGD)
def test_fit(benchmark: Any, workload: Workload) -> None:
    data = workload.load()
    ours, theirs = workload.build("fastml"), workload.build("sklearn")
    take_turns(
        benchmark,
        lambda: ours.fit(data.X, data.y),
        lambda: theirs.fit(data.X, data.y),
        workload.rounds,
        kind="fit",
        workload=workload.name,
        title=workload.title,
        statistic=workload.statistic,
        peer="scikit-learn",
        peer_jobs=workload.peer_jobs,
    )


@njit
def log_loss(y, margin):
    return math.log1p(math.exp(-abs(y * margin))) + max(0.0, -y * margin)


@njit
def log_loss_derivative(y, margin):
    return -y / (1.0 + math.exp(y * margin))


@njit
def hinge(y, margin):
    return max(0.0, 1.0 - y * margin)


@njit
def hinge_derivative(y, margin):
    return -y if y * margin <= 1.0 else 0.0


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("log_loss", fastml.Loss(log_loss, log_loss_derivative)),
        ("hinge", fastml.Loss(hinge, hinge_derivative)),
    ],
    ids=["log_loss", "hinge"],
)
def test_custom_loss(benchmark: Any, name: str, loss: fastml.Loss) -> None:
    """A loss of the user's own beside the built-in one of the same formula, both in fastml."""
    data = SGD_DENSE.load()
    custom, built_in = SGD_DENSE.build("fastml", loss=loss), SGD_DENSE.build("fastml", loss=name)
    custom.fit(data.X[:1000], data.y[:1000])  # compiles
    take_turns(
        benchmark,
        lambda: custom.fit(data.X, data.y),
        lambda: built_in.fit(data.X, data.y),
        SGD_DENSE.rounds,
        kind="custom loss",
        workload=SGD_DENSE.name,
        loss=name,
    )


def test_accuracy(benchmark: Any) -> None:
    """Test accuracy with several seeds: several classes share a permutation here, and have their own there."""
    data = SGD_MNIST.load()

    def accuracies(package: str) -> list[float]:
        fits = (SGD_MNIST.build(package, random_state=seed).fit(data.X, data.y) for seed in range(N_SEEDS))
        return [float(np.mean(fit.predict(data.X_test) == data.y_test)) for fit in fits]

    ours = benchmark.pedantic(accuracies, args=["fastml"], rounds=1)
    note(benchmark, kind="accuracy", workload=SGD_MNIST.name, ours=ours, theirs=accuracies("sklearn"))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@each(LARGE)
def test_peak_memory(benchmark: Any, workload: Workload) -> None:
    def peak_rise(package: str) -> float:
        command = [sys.executable, peak_memory.__file__, workload.name, package]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    ours = benchmark.pedantic(peak_rise, args=["fastml"], rounds=1)
    theirs = peak_rise("sklearn")
    note(benchmark, kind="memory", workload=workload.name, ours_mb=ours, theirs_mb=theirs)


@each(LARGE)
def test_kernel(benchmark: Any, workload: Workload) -> None:
    """One epoch in shuffled order, without validation, solver or stopping criterion."""
    data = workload.load()
    rule = Rule(
        loss=workload.params.get("loss", "hinge"),
        penalty="l2",
        schedule="optimal",
        average=0,
        fit_intercept=True,
        one_class=False,
        intercept_decay=0.01 if sparse.issparse(data.X) else 1.0,
        record=False,
    )
    labels = np.unique(data.y, return_inverse=True)[1].astype(np.int32)
    positive_classes = [1] if labels.max() == 1 else range(labels.max() + 1)
    models = make_models(rule, [{"alpha": 1e-4, "positive_class": label} for label in positive_classes])
    coef = np.zeros((len(models), data.X.shape[1]), data.X.dtype)
    state = initial_state(rule, models, coef, np.zeros(len(models)))
    order = np.random.default_rng(0).permutation(data.X.shape[0]).astype(np.int32)
    X = for_kernels(data.X, "cpu")

    def epoch() -> None:
        kernels.epoch(X, labels, None, order, state, rule)

    benchmark.pedantic(epoch, rounds=workload.rounds, warmup_rounds=1)
    note(
        benchmark,
        kind="kernel",
        workload=workload.name,
        ns_per_row=1e9 * benchmark.stats.stats.min / len(order),
        models=len(models),
    )
