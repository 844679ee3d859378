"""Convolutional networks: whole fits and predictions beside TensorFlow and PyTorch, where they are installed; memory.

    pytest benchmarks/bench_cnn.py [-k cnn-mnist] [--benchmark-json=FILE]

The contenders take turns in one run, as in ``bench_sgd.py``. Nothing is asserted about time.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import peak_memory
import pytest
import workloads
from networks import CNN_32, CNN_MNIST, Network
from timing import peak_gflops
from workloads import N_THREADS

import fastml

NAMES = {"tensorflow": "TensorFlow", "torch": "PyTorch"}
PEERS = [package for package in NAMES if find_spec(package) is not None]
N_SEEDS = 5


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with fastml.config_context(n_threads=N_THREADS):
        yield


def seconds_of(call: Any, *arguments: Any) -> float:
    start = perf_counter()
    call(*arguments)
    return perf_counter() - start


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("network", [CNN_MNIST, CNN_32], ids=lambda network: network.name)
def test_fit(benchmark: Any, network: Network, peer: str) -> None:
    data = network.load()
    ours, theirs = network.build("fastml"), network.build(peer)
    if network.warm:
        ours.fit(data.X, data.y)
        theirs.fit(data.X, data.y)
    their_seconds: list[float] = []
    benchmark.pedantic(
        lambda: ours.fit(data.X, data.y),
        setup=lambda: their_seconds.append(seconds_of(theirs.fit, data.X, data.y)),
        rounds=network.rounds,
    )
    our_seconds = list(benchmark.stats.stats.data)
    benchmark.extra_info.update(
        kind="fit",
        workload=network.name,
        title=network.title,
        statistic="best",
        peer=NAMES[peer],
        peer_jobs=None,
        ours_s=our_seconds,
        theirs_s=their_seconds,
        ms_per_step=1e3 * min(our_seconds) / network.n_steps,
        gflops=network.gflop() / min(our_seconds),
        peak_gflops=peak_gflops(N_THREADS),
        scale=workloads.SCALE,
    )
    if data.X_test is not None:
        turns = [[seconds_of(side.predict, data.X_test) for side in (ours, theirs)] for _ in range(3)]
        predict_ours, predict_theirs = (list(side) for side in zip(*turns))
        benchmark.extra_info.update(
            predict_ours_s=predict_ours,
            predict_theirs_s=predict_theirs,
            scores=[accuracy(side, data) for side in (ours, theirs)],
        )


def accuracy(trained: Any, data: workloads.Data) -> float:
    return float(np.mean(trained.predict(data.X_test).argmax(axis=1) == data.y_test))


def test_accuracy(benchmark: Any) -> None:
    """Of several seeds, beside TensorFlow's of as many: how far apart its own seeds are."""
    data = CNN_MNIST.load()

    def accuracies(package: str) -> list[float]:
        scores = []
        for seed in range(N_SEEDS):
            network = CNN_MNIST.build(package)
            network.seed(seed)
            scores.append(accuracy(network.fit(data.X, data.y), data))
        return scores

    ours = benchmark.pedantic(accuracies, args=["fastml"], rounds=1)
    theirs = {NAMES[peer]: accuracies(peer) for peer in PEERS if peer == "tensorflow"}
    benchmark.extra_info.update(
        kind="seeds", workload=CNN_MNIST.name, scores=ours, peer_scores=theirs, scale=workloads.SCALE
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("peer", PEERS)
def test_peak_memory(benchmark: Any, peer: str) -> None:
    def peak_rise(package: str) -> float:
        command = [sys.executable, peak_memory.__file__, CNN_MNIST.name, package]
        return float(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        )

    ours = benchmark.pedantic(peak_rise, args=["fastml"], rounds=1)
    benchmark.extra_info.update(
        kind="memory",
        workload=CNN_MNIST.name,
        peer=NAMES[peer],
        ours_mb=ours,
        theirs_mb=peak_rise(peer),
        scale=workloads.SCALE,
    )
