"""The contract of the SGD kernels: every backend beside the reference."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from numpy.testing import assert_array_equal
from sgd_problems import (
    LOGISTIC,
    Problem,
    Sizes,
    assert_keeps_the_contract,
    dense,
    initial_state,
    is_decided_by_rounding,
    problems,
    ragged,
    reference_of,
    stable_models,
)
from sklearn.utils._seq_dataset import ArrayDataset64

from fastml.kernels import for_device
from fastml.kernels.reference import sgd as reference
from fastml.kernels.sgd_state import LOSSES, PENALTIES, Rule, Watch

AROUND_VECTORS = (0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130)

# The CPU steps through eight models at once. CUDA's simulator takes some 10 ms for a model's row, and a GPU a
# second for each combination of loss, penalty, schedule, ... that it has not compiled yet.
SIZES = {"cpu": Sizes(rows=8, models=11, features=AROUND_VECTORS), "cuda": Sizes(3, 2, (0, 1, 5, 33, 130))}
EXAMPLES = {"cpu": 300, "cuda": 25}


def device_of(backend):
    return backend.__name__.rpartition(".")[2]


@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(backend, name):
    assert callable(getattr(backend.sgd, name))


@pytest.mark.parametrize("loss", [*LOSSES, LOGISTIC], ids=str)
def test_epoch(backend, loss):
    device = device_of(backend)

    @settings(max_examples=examples(EXAMPLES[device]), suppress_health_check=list(HealthCheck))
    @given(problems(loss, SIZES[device]))
    def keeps_the_contract(problem):
        expected = reference_of(problem)
        assume(not is_decided_by_rounding(problem, expected))
        assert_keeps_the_contract(backend, problem, expected)

    keeps_the_contract()


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(("alpha", "dtype"), [(5.0, "f4"), (4.9, "f4"), (5.0, "f8")])
def test_fold_inside_an_epoch(backend, n_models, alpha, dtype):
    """Shrinking by 1 - eta alpha = 0 at once, and by 0.02 four times: below float32's floor either way."""
    rng = np.random.default_rng(0)
    X = dense(rng, (12, 5), dtype, denormal=0.0)
    rule = Rule("hinge", "l2", "constant", 1, True, False, 1.0, True)
    models = stable_models(rng, rule, X, n_models)
    models["alpha"] = alpha
    state = initial_state(rule, rng, models, X.shape[1], dtype)
    state.progress["eta"] = 0.2
    state.progress["wscale"] = 1.0
    labels = rng.integers(0, 2, 12).astype(np.int32)
    problem = Problem(X, labels, None, np.arange(12, dtype=np.int32), state, rule, weight_size=1.0)
    assert_keeps_the_contract(backend, problem)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(
    ("tol", "n_iter_no_change", "overflows"),
    [(-np.inf, 1, False), (1e-3, 3, False), (0.05, 1, False), (np.inf, 4, False), (-np.inf, 1, True)],
    ids=["all", "several without improvement", "one without improvement", "none improves", "overflow"],
)
def test_epochs(backend, tol, n_iter_no_change, overflows, seed, dtype):
    """As many as the reference takes, or fewer, and each what ``epoch`` makes of the same rows."""
    n_models, n_epochs = 3, 12
    rng = np.random.default_rng(0)
    X = dense(rng, (9, 5), dtype, denormal=0.0)
    if overflows:
        X = X * np.finfo(dtype).max ** 0.9
    rule = Rule("squared_error", "elasticnet", "invscaling", 2, True, False, 1.0, True)
    models = stable_models(rng, rule, np.ones((9, 5)), n_models)
    start = initial_state(rule, rng, models, X.shape[1], dtype)
    start.active = np.array([0, 2], np.int32)
    values = rng.standard_normal(9)

    def run(backend, take):
        """The state, order and watch after epochs that ``take`` takes."""
        state = type(start)(*(backend.arrays.send(value.copy()) for value in vars(start).values()))
        order = np.arange(9, dtype=np.int32)
        watch = Watch(np.full(n_models, np.inf), np.zeros(n_models, np.int64), tol, n_iter_no_change)
        arguments = backend.arrays.send(X), backend.arrays.send(values), None, order, state, rule
        taken = take(backend.sgd, arguments, watch)
        return taken, order, watch, backend.arrays.fetch(state.coef), backend.arrays.fetch(state.progress)

    def at_once(sgd, arguments, watch):
        with np.errstate(all="ignore"):
            return sgd.epochs(*arguments, n_epochs, seed, watch)

    def one_by_one(sgd, arguments, watch):
        *_, order, state, _ = arguments
        for epoch in range(taken):
            if epoch > 0:
                progress = backend.arrays.fetch(state.progress)
                progress["loss"] = progress["objective"] = 0.0
                state.progress = backend.arrays.send(progress)
            if seed is not None:
                sgd.shuffle(order, seed)
            sgd.epoch(*arguments)

    most, _, expected_watch, _, _ = run(for_device("reference"), at_once)
    taken, order, watch, coef, progress = run(backend, at_once)
    assert 1 <= taken <= most
    if device_of(backend) == "cpu":
        assert taken == most
        assert_array_equal(watch.no_improvement, expected_watch.no_improvement)
        np.testing.assert_allclose(watch.best, expected_watch.best, 1e-4 if dtype == "f4" else 1e-9)
    _, expected_order, _, expected_coef, expected_progress = run(backend, one_by_one)
    assert_array_equal(order, expected_order)
    assert_array_equal(coef, expected_coef)
    for name in expected_progress.dtype.names:
        assert_array_equal(progress[name], expected_progress[name], err_msg=name)


def test_fold(backend):
    @settings(max_examples=examples(EXAMPLES[device_of(backend)]))
    @given(st.integers(1, 3), st.sampled_from(AROUND_VECTORS), st.sampled_from(["f4", "f8"]), st.booleans())
    def keeps_the_contract(n_models, n_features, dtype, averages):
        rng = np.random.default_rng(0)
        rule = Rule("hinge", "l2", "constant", int(averages), True, False, 1.0, True)
        models = stable_models(rng, rule, np.ones((1, 1)), n_models)
        state = initial_state(rule, rng, models, n_features, dtype)
        state.progress["average_a"], state.progress["average_b"] = rng.uniform(0.5, 2.0, (2, n_models))
        sent = type(state)(*(backend.arrays.send(value) for value in vars(state).values()))
        weights = state.progress["wscale"][:, None] * state.coef
        average = state.average_coef
        if averages:
            a, b = (state.progress[name][:, None] for name in ("average_a", "average_b"))
            average = (average + a * state.coef) / b
        backend.sgd.fold(sent)
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(backend.arrays.fetch(sent.coef), weights, tolerance)
        if averages:
            np.testing.assert_allclose(backend.arrays.fetch(sent.average_coef), average, tolerance)
        progress = backend.arrays.fetch(sent.progress)
        for name, value in (("wscale", 1.0), ("average_a", 0.0), ("average_b", 1.0)):
            assert_array_equal(progress[name], value, err_msg=name)

    keeps_the_contract()


@given(n=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_reference_shuffles_as_scikit_learn_does(n, seed):
    order = np.arange(n, dtype=np.int32)
    reference.shuffle(order, seed)
    assert_array_equal(order, scikit_learns_order(n, seed))


def scikit_learns_order(n, seed):
    """The rows in the order in which scikit-learn's data set gives them after a shuffle."""
    if n == 0:
        return np.array([], np.int32)
    X, y, weights = np.zeros((n, 1)), np.zeros(n), np.ones(n)
    data = ArrayDataset64(X, y, weights)
    data._shuffle_py(seed)
    return [data._next_py()[3] for _ in range(n)]


def test_shuffle(backend):
    @given(n=st.integers(0, 200), seed=st.sampled_from([0, 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1))
    def keeps_the_contract(n, seed):
        ours, theirs = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32)
        for _ in range(2):  # the second permutes what the first has left
            backend.sgd.shuffle(ours, seed)
            reference.shuffle(theirs, seed)
            assert_array_equal(ours, theirs)

    keeps_the_contract()


@pytest.mark.parametrize("shape", [(1, 1), (1, 0), (3, 100_000), (1_000, 3)])
@pytest.mark.parametrize("n_models", [1, 1_000])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_rows_per_call(backend, shape, n_models, penalty):
    rng = np.random.default_rng(0)
    rule = Rule("hinge", penalty, "optimal", 0, True, False, 1.0, False)
    for X in (dense(rng, shape, "f4"), ragged(rng, shape, np.dtype("f4"), np.int32)):
        n_rows = backend.sgd.rows_per_call(backend.arrays.send(X), n_models, rule)
        assert isinstance(n_rows, int)
        assert n_rows >= 1
