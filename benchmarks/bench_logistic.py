"""Logistic regression: whole fits beside the peers', and the rise of peak memory.

    pytest benchmarks/bench_logistic.py [-k logreg-mnist] [--benchmark-json=FILE]

The contenders take turns in one run, as in ``bench_sgd.py``; scikit-learn-intelex, where it is installed, is a peer of
the large fits. Nothing is asserted about time.
"""

import subprocess
import sys
from typing import Any

import numpy as np
import peak_memory
import pytest
from bench_sgd import each, note, take_turns, two_threads
from bench_svm import PEERS
from workloads import LOGREG, LOGREG_CV, LOGREG_DENSE, LOGREG_MNIST, Workload

__all__ = ["two_threads"]  # a fixture

pytestmark = pytest.mark.timeout(1800)

LARGE = (LOGREG_MNIST, LOGREG_DENSE)
PAIRS = [
    (workload, peer) for workload in LOGREG for peer in (PEERS if workload in LARGE else ["scikit-learn"])
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("workload", "peer"), PAIRS, ids=lambda value: value if isinstance(value, str) else value.name
)
def test_fit(benchmark: Any, workload: Workload, peer: str) -> None:
    data = workload.load()
    ours, theirs = workload.build("fastml"), workload.build(PEERS[peer])
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
    note(benchmark, n_iter=int(np.max(ours.n_iter_)), their_n_iter=int(np.max(theirs.n_iter_)))
    X, y = (data.X, data.y) if data.X_test is None else (data.X_test, data.y_test)
    note(benchmark, accuracy=float(ours.score(X, y)), their_accuracy=float(theirs.score(X, y)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cross_validation_in_float64(benchmark: Any) -> None:
    data = LOGREG_CV.load()
    X = data.X.astype(np.float64)
    ours, theirs = LOGREG_CV.build("fastml"), LOGREG_CV.build("sklearn")
    take_turns(
        benchmark,
        lambda: ours.fit(X, data.y),
        lambda: theirs.fit(X, data.y),
        LOGREG_CV.rounds,
        kind="fit",
        workload=f"{LOGREG_CV.name}-float64",
        title=f"{LOGREG_CV.title}, float64",
        statistic=LOGREG_CV.statistic,
        peer="scikit-learn",
        peer_jobs=LOGREG_CV.peer_jobs,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@each(LARGE)
def test_peak_memory(benchmark: Any, workload: Workload) -> None:
    def peak_rise(package: str) -> float:
        command = [sys.executable, peak_memory.__file__, workload.name, package]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    ours = benchmark.pedantic(peak_rise, args=["fastml"], rounds=1)
    note(benchmark, kind="memory", workload=workload.name, ours_mb=ours, theirs_mb=peak_rise("sklearn"))
