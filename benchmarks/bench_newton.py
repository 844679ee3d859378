"""The trust-region Newton method, for LinearSVC and logistic regression: whole fits beside scikit-learn's.

pytest benchmarks/bench_newton.py [-k a9a] [--benchmark-json=FILE]
"""

from typing import Any

import pytest
from bench_sgd import each, take_turns, two_threads
from workloads import LIBLINEAR_A9A, LIBLINEAR_IRIS, LINEAR_SVC_A9A, LINEAR_SVC_IRIS, Workload

__all__ = ["two_threads"]  # a fixture


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each((LINEAR_SVC_A9A, LINEAR_SVC_IRIS, LIBLINEAR_A9A, LIBLINEAR_IRIS))
def test_fit(benchmark: Any, workload: Workload) -> None:
    fit_beside_scikit_learn(benchmark, workload)


def fit_beside_scikit_learn(benchmark: Any, workload: Workload) -> None:
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
