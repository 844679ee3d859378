"""Kernel machines: whole fits and predictions beside the peers', kernels of the user's, probabilities, memory.

    pytest benchmarks/bench_svm.py [-k svc-a9a] [--benchmark-json=FILE]

The contenders take turns in one run, as in ``bench_sgd.py``: scikit-learn, and scikit-learn-intelex where it is
installed. Nothing is asserted about time. ``svc-mnist`` takes scikit-learn some five minutes.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import peak_memory
import pytest
import workloads
from numba import njit
from sklearn.metrics.pairwise import pairwise_kernels
from workloads import N_THREADS, SVC_A9A_DENSE, SVC_MNIST_10000, SVC_SMALL, SVM, SVM_LARGE, Workload

import fastml

# In place of the test suite's limit: scikit-learn's fit and prediction of svc-mnist alone may take ten minutes.
pytestmark = pytest.mark.timeout(3600)

PEERS = {"scikit-learn": "sklearn"} | (
    {"scikit-learn-intelex": "sklearnex"} if find_spec("sklearnex") is not None else {}
)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with fastml.config_context(n_threads=N_THREADS):
        yield


def seconds_of(action: Any) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def note(benchmark: Any, **figures: Any) -> None:
    benchmark.extra_info.update(figures, scale=workloads.SCALE)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("workload", SVM, ids=lambda workload: workload.name)
def test_fit_and_predict(benchmark: Any, workload: Workload, peer: str) -> None:
    """Either side's fit, then its prediction of the test rows: how long, how many support vectors, how right."""
    data = workload.load()
    X_test, y_test = (data.X, data.y) if data.X_test is None else (data.X_test, data.y_test)
    ours, theirs = workload.build("fastml"), workload.build(PEERS[peer])
    peer_fit, peer_predict, predict = [], [], []

    def their_turn() -> None:
        peer_fit.append(seconds_of(lambda: theirs.fit(data.X, data.y)))
        peer_predict.append(seconds_of(lambda: theirs.predict(X_test)))
        if peer_fit[1:]:
            predict.append(seconds_of(lambda: ours.predict(X_test)))

    benchmark.pedantic(lambda: ours.fit(data.X, data.y), setup=their_turn, rounds=workload.rounds)
    predict.append(seconds_of(lambda: ours.predict(X_test)))
    note(
        benchmark,
        kind="fit",
        workload=workload.name,
        title=workload.title,
        statistic=workload.statistic,
        peer=peer,
        peer_jobs=None,
        ours_s=list(benchmark.stats.stats.data),
        theirs_s=peer_fit,
        predict_ours_s=predict,
        predict_theirs_s=peer_predict,
        support_vectors=[len(ours.support_), len(theirs.support_)],
        scores=[float(model.score(X_test, y_test)) for model in (ours, theirs)],
    )


@pytest.mark.filterwarnings("ignore:The `probability`:FutureWarning")
@pytest.mark.parametrize("workload", [SVC_MNIST_10000, SVC_A9A_DENSE], ids=lambda workload: workload.name)
def test_probability(benchmark: Any, workload: Workload) -> None:
    """A fit with sigmoids on five folds beside a plain one."""
    data = workload.load()
    plain, sigmoids = workload.build("fastml"), workload.build("fastml", probability=True, random_state=0)
    plain_s: list[float] = []
    benchmark.pedantic(
        lambda: sigmoids.fit(data.X, data.y),
        setup=lambda: plain_s.append(seconds_of(lambda: plain.fit(data.X, data.y))),
        rounds=workload.rounds,
    )
    chosen = sigmoids.classes_[sigmoids.predict_proba(data.X_test).argmax(axis=1)]
    note(
        benchmark,
        kind="probability",
        workload=workload.name,
        seconds=min(benchmark.stats.stats.data),
        plain_seconds=min(plain_s),
        accuracy=float(np.mean(chosen == data.y_test)),
    )


@njit
def rbf(x, y):
    distance = 0.0
    for i in range(len(x)):
        distance += (x[i] - y[i]) ** 2
    return math.exp(-0.05 * distance)


@njit
def linear(x, y):
    return np.dot(x, y)


@njit
def poly(x, y):
    return (0.05 * np.sum(x * y) + 1.0) ** 3


@njit
def sigmoid(x, y):
    return math.tanh(0.05 * np.dot(x, y))


@njit
def rbf_by_branches(x, y):
    """Which cannot be computed for many rows at once."""
    distance = 0.0
    for i in range(len(x)):
        difference = x[i] - y[i] if x[i] > y[i] else y[i] - x[i]
        distance += difference * difference
    return math.exp(-0.05 * distance)


@pytest.mark.parametrize(
    ("function", "name", "params"),
    [
        (rbf, "rbf", {"gamma": 0.05}),
        (rbf_by_branches, "rbf", {"gamma": 0.05}),
        (linear, "linear", {}),
        (poly, "poly", {"gamma": 0.05, "coef0": 1.0}),
        (sigmoid, "sigmoid", {"gamma": 0.05}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_custom_kernel(benchmark: Any, function: Any, name: str, params: dict[str, Any]) -> None:
    """A fit with the user's own kernel beside the built-in one of its formula, and scikit-learn's with the same."""
    workload = SVC_SMALL[-1]
    data = workload.load()
    custom = workload.build("fastml", kernel=fastml.Kernel(function))
    built_in = workload.build("fastml", kernel=name, **params)
    by_pairs = partial(pairwise_kernels, metric=function.py_func)
    theirs = workload.build("sklearn", kernel=lambda A, B: by_pairs(A, B))
    first_s = seconds_of(lambda: custom.fit(data.X, data.y))
    built_in_s: list[float] = []
    benchmark.pedantic(
        lambda: custom.fit(data.X, data.y),
        setup=lambda: built_in_s.append(seconds_of(lambda: built_in.fit(data.X, data.y))),
        rounds=workload.rounds,
    )
    note(
        benchmark,
        kind="custom kernel",
        workload=workload.name,
        function=function.__name__,
        ours_s=list(benchmark.stats.stats.data),
        built_in_s=built_in_s,
        first_s=first_s,
        peer_s=seconds_of(lambda: theirs.fit(data.X, data.y)),
        support_vectors=[len(model.support_) for model in (custom, built_in, theirs)],
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("workload", SVM_LARGE, ids=lambda workload: workload.name)
def test_peak_memory(benchmark: Any, workload: Workload) -> None:
    command = [sys.executable, peak_memory.__file__, workload.name, "fastml"]
    rise = benchmark.pedantic(
        lambda: float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout), rounds=1
    )
    note(benchmark, kind="svm memory", workload=workload.name, ours_mb=rise)
