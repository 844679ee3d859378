"""Coordinate descent of LinearSVC, and of logistic regression by liblinear's methods: whole fits beside scikit-learn's.

pytest benchmarks/bench_dual_cd.py [--benchmark-json=FILE]
"""

from typing import Any

import pytest
from bench_newton import fit_beside_scikit_learn
from bench_sgd import each, two_threads
from workloads import LIBLINEAR_A9A_DUAL, LIBLINEAR_A9A_L1, LINEAR_SVC_A9A_DUAL, Workload

__all__ = ["two_threads"]  # a fixture


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@each((LINEAR_SVC_A9A_DUAL, LIBLINEAR_A9A_DUAL, LIBLINEAR_A9A_L1))
def test_fit(benchmark: Any, workload: Workload) -> None:
    fit_beside_scikit_learn(benchmark, workload)
