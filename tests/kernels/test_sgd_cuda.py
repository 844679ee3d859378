"""What is particular to SGD on CUDA: each way to lay rows out over threads, beside the reference.

The contract that all backends share is held by test_sgd.py. Small, since the simulator takes some 10 ms for a
model's row.
"""

from dataclasses import replace

import numpy as np
import pytest
from sgd_problems import Problem, assert_keeps_the_contract, dense, initial_state, stable_models

from fastml._csr import CSR
from fastml.kernels.sgd_state import PENALTIES, Rule

PLAIN = Rule("hinge", "l2", "optimal", 0, True, False, 1.0, True)


@pytest.fixture
def rng():
    return np.random.default_rng(42)


def problem_on(X, rng, rule, n_models=1):
    """A problem in which every model learns from every row of X, the last first."""
    n_rows, n_features = X.shape
    state = initial_state(rule, rng, stable_models(rng, rule, X, n_models), n_features, X.dtype)
    return Problem(
        X=X,
        target=rng.integers(0, 2, n_rows).astype(np.int32),
        sample_weight=None,
        order=np.arange(n_rows, dtype=np.int32)[::-1].copy(),
        state=replace(state, active=np.arange(n_models, dtype=np.int32)),
        rule=rule,
        weight_size=1.0,
    )


@pytest.mark.parametrize("n_features", [1, 130, 2050])
def test_layouts_of_dense_rows(cuda, rng, n_features):
    """One warp; two warps; more features than are kept in registers."""
    rule = PLAIN._replace(loss="log_loss", penalty="elasticnet", average=1)
    assert_keeps_the_contract(cuda, problem_on(dense(rng, (2, n_features), "f4"), rng, rule))


@pytest.mark.parametrize("average", [0, 1])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_sparse_rows_longer_than_a_warp(cuda, rng, penalty, average):
    columns = np.stack([rng.permutation(200)[:150] for _ in range(3)])
    X = CSR(
        dense(rng, columns.size, "f8"),
        columns.ravel().astype(np.int32),
        np.arange(0, columns.size + 1, 150, dtype=np.int32),
        (3, 200),
    )
    assert_keeps_the_contract(cuda, problem_on(X, rng, PLAIN._replace(penalty=penalty, average=average)))
