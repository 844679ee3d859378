"""Ridge regressions: whole fits beside scikit-learn's, and scikit-learn-intelex's where it is installed.

pytest benchmarks/bench_ridge.py [-k dense] [--benchmark-json=FILE]
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import peak_memory
import pytest
from bench_sgd import note, take_turns, two_threads
from bench_svm import PEERS
from threadpoolctl import threadpool_limits
from workloads import N_THREADS, RIDGE, RIDGE_DENSE, Workload

from fastml.kernels.cpu import glm
from fastml.kernels.glm_data import Data

__all__ = ["two_threads"]  # a fixture


def contests() -> Iterator[Any]:
    """Each workload beside each peer that has its estimator."""
    for workload in RIDGE:
        for name, package in PEERS.items():
            if hasattr(import_module(f"{package}.{workload.family}"), workload.estimator):
                yield pytest.param(workload, name, id=f"{workload.name}-{name}")


@pytest.mark.parametrize(("workload", "peer"), list(contests()))
def test_fit(benchmark: Any, workload: Workload, peer: str) -> None:
    data = workload.load()
    ours, theirs = workload.build("fastml"), workload.build(PEERS[peer])
    with threadpool_limits(N_THREADS):
        take_turns(
            benchmark,
            lambda: ours.fit(data.X, data.y),
            lambda: theirs.fit(data.X, data.y),
            workload.rounds,
            kind="fit",
            workload=workload.name,
            title=workload.title,
            statistic=workload.statistic,
            peer=peer,
            peer_jobs=workload.peer_jobs,
        )
    note(benchmark, difference=float(np.abs(ours.coef_ - theirs.coef_).max() / np.abs(theirs.coef_).max()))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_moments(benchmark: Any, dtype: str) -> None:
    """The pass alone: milliseconds, and products of the triangle that is wanted a second."""
    data = RIDGE_DENSE.load()
    X = np.ascontiguousarray(data.X, dtype)
    given = Data(X, np.asarray(data.y, np.float64)[None])
    out, shift = np.empty((X.shape[1] + 2, X.shape[1] + 1)), np.zeros(X.shape[1] + 1)
    benchmark.pedantic(lambda: glm.moments(given, shift, out), rounds=7, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    gflop = 1e-9 * X.shape[0] * (X.shape[1] + 1) * (X.shape[1] + 2)
    note(benchmark, kind="kernel", name=f"moments {dtype}", ms=1e3 * seconds, gflops=gflop / seconds)
    print(f"\nmoments {dtype}: {1e3 * seconds:.1f} ms, {gflop / seconds:.0f} GFLOP/s")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_peak_memory(benchmark: Any) -> None:
    def rise(package: str) -> float:
        command = [sys.executable, peak_memory.__file__, RIDGE_DENSE.name, package]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    ours = benchmark.pedantic(lambda: rise("fastml"), rounds=1)
    note(benchmark, kind="memory", workload=RIDGE_DENSE.name, ours_mb=ours, theirs_mb=rise("sklearn"))
