"""SAGA: whole fits beside scikit-learn's, and what a step takes.

pytest benchmarks/bench_sag.py [-k a9a] [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from bench_sgd import each, note, take_turns, two_threads
from scipy import sparse
from workloads import SAGA, SAGA_A9A, Workload

__all__ = ["two_threads"]  # a fixture


def objective(fitted: Any, X: Any, y: np.ndarray) -> float:
    """scikit-learn's, of two classes."""
    margins = (X @ fitted.coef_.T + fitted.intercept_).ravel() * np.where(y == y.max(), 1.0, -1.0)
    absolute, squared = np.abs(fitted.coef_).sum(), 0.5 * np.sum(fitted.coef_**2)
    penalty = fitted.l1_ratio * absolute + (1.0 - fitted.l1_ratio) * squared
    return float(fitted.C * np.logaddexp(0.0, -margins).sum() + penalty)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each(SAGA)
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
    note(benchmark, n_iter=int(ours.n_iter_[0]), their_n_iter=int(theirs.n_iter_[0]))
    if workload is SAGA_A9A:
        found, wanted = (objective(fitted, data.X, data.y) for fitted in (ours, theirs))
        note(benchmark, objective=found, their_objective=wanted)
        assert found <= wanted


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("storage", ["csr", "dense"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_step(benchmark: Any, storage: str, l1_ratio: float) -> None:
    """Nanoseconds a step on a9a, with all that a fit does before and after."""
    data = SAGA_A9A.load()
    X = data.X if storage == "csr" else data.X.toarray()
    assert sparse.issparse(X) == (storage == "csr")
    fitted = SAGA_A9A.build("fastml", l1_ratio=l1_ratio, max_iter=20, tol=0.0)
    benchmark.pedantic(lambda: fitted.fit(X, data.y), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    note(benchmark, kind="kernel", ns_per_step=1e9 * seconds / (fitted.n_iter_[0] * X.shape[0]))
