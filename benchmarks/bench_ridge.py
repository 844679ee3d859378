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

__all__ = ["two_threads"]  # a fixture


def contests() -> Iterator[Any]:
    """Each workload beside each peer that has its estimator."""
    for workload in RIDGE:
        for name, package in PEERS.items():
            if hasattr(import_module(f"{package}.{workload.family}"), workload.estimator):
                yield pytest.param(workload, name, id=f"{workload.name}-{name}")


@pytest.mark.parametrize(("workload", "peer"), contests())
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


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_peak_memory(benchmark: Any) -> None:
    def rise(package: str) -> float:
        command = [sys.executable, peak_memory.__file__, RIDGE_DENSE.name, package]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    ours = benchmark.pedantic(lambda: rise("fastml"), rounds=1)
    note(benchmark, kind="memory", workload=RIDGE_DENSE.name, ours_mb=ours, theirs_mb=rise("sklearn"))
