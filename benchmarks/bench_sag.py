"""SAGA: whole fits beside scikit-learn's, and what a step takes.

pytest benchmarks/bench_sag.py [-k a9a] [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from bench_sgd import each, note, take_turns, two_threads
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from workloads import SAGA, SAGA_A9A, Workload

from fastml._validation import for_kernels
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers import sag

__all__ = ["two_threads"]  # a fixture


class Saga:
    """What LogisticRegression(solver="saga") does between validation and ``coef_``."""

    def __init__(self, C: float = 1.0, l1_ratio: float = 0.0, max_iter: int = 100, **_: Any) -> None:
        self.C, self.l1_ratio, self.max_iter = C, l1_ratio, max_iter

    def fit(self, X: Any, y: np.ndarray) -> "Saga":
        classes, codes = np.unique(y, return_inverse=True)
        n_columns = len(classes) if len(classes) > 2 else 1
        rule = Rule("multinomial" if n_columns > 1 else "log_loss", n_columns)
        strength = 1.0 / (self.C * X.shape[0])
        settings = sag.Settings(
            "saga",
            np.array([(1.0 - self.l1_ratio) * strength]),
            np.array([self.l1_ratio * strength]),
            True,
            self.max_iter,
            1e-4,
        )
        weights = np.zeros((n_columns, X.shape[1] + 1))
        data = Data(for_kernels(X, "cpu"), codes.astype(np.int32))
        solution = sag.solve(data, rule, new_models(1), settings, weights, seed=0)
        self.coef_, self.intercept_, self.n_iter_ = weights[:, :-1], weights[:, -1], solution.n_iter
        return self


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
    ours, theirs = Saga(**workload.params), LogisticRegression(**workload.params)
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


@pytest.mark.parametrize("storage", ["csr", "dense"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_step(benchmark: Any, storage: str, l1_ratio: float) -> None:
    """Nanoseconds a step on a9a, the start and the end of a call included."""
    data = SAGA_A9A.load()
    X = data.X if storage == "csr" else data.X.toarray()
    assert sparse.issparse(X) == (storage == "csr")
    fitted = Saga(l1_ratio=l1_ratio, max_iter=20)
    benchmark.pedantic(lambda: fitted.fit(X, data.y), rounds=5, warmup_rounds=1)
    seconds = benchmark.stats.stats.min
    note(benchmark, kind="kernel", ns_per_step=1e9 * seconds / (fitted.n_iter_[0] * X.shape[0]))
