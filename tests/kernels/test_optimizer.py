"""The contract of optimizers: every backend beside the reference, Adam and SGD beside scikit-learn's."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_problems import DTYPES, agree, called, examples_on, on_cuda, same_on_threads, sent
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

each_dtype = pytest.mark.parametrize("dtype", DTYPES)

# function -> which states may be left out, and settings.
UPDATES = {
    "sgd": ([True], [0.05, 0.9, 0.0, 0.01]),
    "rmsprop": ([False, True, True], [0.01, 0.9, 0.5, 1e-7, 0.01]),
    "adagrad": ([False], [0.01, 1e-7, 0.01]),
    "adam": ([False, False, True], [0.01, 0.9, 0.999, 1e-7, 0.9, 0.999, 0.01]),
}
SIZES = [0, 1, 7, 16, 100, 16_385]
CUDA_SIZES = [0, 1, 7, 33]


def sizes(backend):
    return st.sampled_from(CUDA_SIZES if on_cuda(backend) else SIZES)


@st.composite
def updates(draw, sizes):
    """A function's name and its arguments, state and all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    name, dtype = draw(st.sampled_from(sorted(UPDATES))), draw(st.sampled_from(DTYPES))
    n = draw(sizes)
    w, g = rng.standard_normal((2, n)).astype(dtype)
    optional, values = UPDATES[name]
    # Squares first, then a mean whose square is below them (rmsprop), or a momentum.
    states = [(rng.random(n) / 2 ** (8 * i)).astype(dtype) for i in range(len(optional))]
    if name == "adam":
        states = [rng.standard_normal(n).astype(dtype), *rng.random((2, n)).astype(dtype)]
    states = [None if may and draw(st.booleans()) else state for may, state in zip(optional, states)]
    chosen = np.array(values)
    chosen[-1] *= draw(st.booleans())
    if name == "sgd":
        chosen[2] = draw(st.booleans())
    return name, (w, g, *states, chosen)


def test_updates(backend):
    @settings(max_examples=examples_on(backend, 150), suppress_health_check=list(HealthCheck))
    @given(updates(sizes(backend)))
    def keeps_the_contract(problem):
        name, arguments = problem
        agree(backend, f"optimizer.{name}", *arguments, units=16.0)

    keeps_the_contract()


@each_dtype
@pytest.mark.parametrize("name", sorted(UPDATES))
def test_a_gradient_that_is_not_finite_reaches_its_weight(backend, name, dtype):
    optional, values = UPDATES[name]
    w, g = np.zeros((2, 40), dtype)
    g[[3, 20, 39]] = np.nan, np.inf, np.finfo(dtype).smallest_subnormal
    states = [np.zeros_like(w) for _ in optional]
    with np.errstate(all="ignore"):
        got = agree(backend, f"optimizer.{name}", w, g, *states, np.array(values), units=16.0)
    assert_array_equal(np.flatnonzero(~np.isfinite(got[0])), [3, 20])


def trajectory(backend, name, w, gradients, n_states, settings_of):
    states = [np.zeros_like(w) for _ in range(n_states)]
    for t, g in enumerate(gradients, 1):
        w, _, *states, _ = called(backend, f"optimizer.{name}", w, g, *states, np.array(settings_of(t)))
    return w


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_scikit_learns(backend, nesterov):
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal(50), rng.standard_normal((20, 50))
    theirs = [w.copy()]
    optimizer = SGDOptimizer(theirs, learning_rate_init=0.1, momentum=0.9, nesterov=nesterov)
    for g in gradients:
        optimizer.update_params(theirs, [g])
    ours = trajectory(backend, "sgd", w, gradients, 1, lambda t: [0.1, 0.9, nesterov, 0.0])
    assert_allclose(ours, theirs[0], rtol=1e-13)


def test_adam_is_scikit_learns(backend):
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal(50), rng.standard_normal((20, 50))
    theirs = [w.copy()]
    optimizer = AdamOptimizer(theirs, learning_rate_init=0.01)
    for g in gradients:
        optimizer.update_params(theirs, [g])
    states = [np.zeros_like(w), np.zeros_like(w)]
    ours = w
    for t, g in enumerate(gradients, 1):
        chosen = np.array([0.01, 0.9, 0.999, 1e-8, 0.9**t, 0.999**t, 0.0])
        ours, _, *states, _ = called(backend, "optimizer.adam", ours, g, *states, None, chosen)
    assert_allclose(ours, theirs[0], rtol=1e-12)


def test_updates_find_a_minimum(backend):
    """Of |w - target|^2 / 2, the state carried on from step to step."""
    target = np.random.default_rng(0).standard_normal(2 if on_cuda(backend) else 30)
    for name, (optional, values) in UPDATES.items():
        w, states = np.zeros_like(target), [np.zeros_like(target) for _ in optional]
        values = np.array(values[:-1] + [0.0])
        values[0] = 0.3 if name == "adagrad" else 0.02
        for t in range(1, 60 if on_cuda(backend) else 600):
            if name == "adam":
                values[4:6] = values[1] ** t, values[2] ** t
            w, _, *states, _ = called(backend, f"optimizer.{name}", w, w - target, *states, values)
        # A tenth of the steps, on CUDA, are on the way.
        largest = np.abs(target).max()
        assert np.abs(w - target).max() < (0.7 * largest if on_cuda(backend) else 0.05), name


def test_clipping(backend):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**32 - 1),
        sizes(backend),
        st.sampled_from(DTYPES),
        st.sampled_from([0.1, 1.0, 200.0]),
    )
    def keeps_the_contract(seed, n, dtype, limit):
        g = np.random.default_rng(seed).standard_normal(n).astype(dtype)
        squared = agree(backend, "optimizer.squared_norm", g, np.empty(1))[1]
        assert_allclose(squared, np.sum(g.astype(np.float64) ** 2), rtol=1e-12)
        shortened = agree(backend, "optimizer.scale_by_norm", g, squared, limit)[0]
        assert np.linalg.norm(shortened) <= limit * (1 + 1e-5)
        agree(backend, "optimizer.clip", g, limit, units=0.0)

    keeps_the_contract()


def test_ridge(backend):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1), sizes(backend), st.sampled_from(DTYPES))
    def keeps_the_contract(seed, n, dtype):
        w, g = np.random.default_rng(seed).standard_normal((2, n)).astype(dtype)
        arguments = w, g, np.array([0.3]), np.empty(1)
        # A sum of up to 2,000 squares in a row.
        _, got, _, squared = agree(backend, "optimizer.add_ridge", *arguments, units=16.0)
        assert_allclose(squared, np.sum(w.astype(np.float64) ** 2), rtol=1e-12)
        assert_allclose(got, g + 0.3 * w, rtol=1e-5, atol=1e-5)

    keeps_the_contract()


@each_dtype
def test_clipping_what_is_not_finite(backend, dtype):
    g = np.array([1.0, np.inf, -np.inf, np.nan, 0.0] * 9, dtype)
    assert_array_equal(agree(backend, "optimizer.clip", g, 0.5)[0][:5], [0.5, 0.5, -0.5, np.nan, 0.0])
    for square in (np.nan, np.inf):
        got = agree(backend, "optimizer.scale_by_norm", g, np.array([square]), 1.0)[0]
        assert np.isnan(got).all()
    largest = np.array([np.finfo(np.float32).max], np.float32)
    assert np.isfinite(called(backend, "optimizer.squared_norm", largest, np.empty(1))[1]).all()


@each_dtype
def test_threads(backend, dtype):
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, 101 if on_cuda(backend) else 600_001)).astype(dtype)
    for name, (optional, values) in UPDATES.items():
        states = [rng.random(len(w)).astype(dtype) / 2 ** (8 * i) for i in range(len(optional))]
        same_on_threads(backend, f"optimizer.{name}", w, g, *states, np.array(values))
    same_on_threads(backend, "optimizer.squared_norm", g, np.empty(1))
    same_on_threads(backend, "optimizer.add_ridge", w, g, np.array([0.1]), np.empty(1))
    same_on_threads(backend, "optimizer.scale_by_norm", g, np.array([1e6]), 1.0)
    same_on_threads(backend, "optimizer.clip", g, 0.5)


def test_what_does_not_fit_is_refused(backend):
    n, other, settings_, one, two, single = sent(
        backend, np.zeros(5), np.zeros(4), np.zeros(7), np.zeros(1), np.zeros(2), np.zeros(1, np.float32)
    )
    functions = backend.optimizer
    for call in [
        lambda: functions.sgd(n, other, None, settings_[:4]),
        lambda: functions.sgd(n, n.astype(np.float32), None, settings_[:4]),
        lambda: functions.sgd(n, n, other, settings_[:4]),
        lambda: functions.sgd(n, n, None, settings_[:3]),
        lambda: functions.sgd(n, n, None, settings_[:4].astype(np.float32)),
        lambda: functions.rmsprop(n, n, None, None, None, settings_[:5]),
        lambda: functions.rmsprop(n, n, n, other, None, settings_[:5]),
        lambda: functions.adagrad(n, n, other, settings_[:3]),
        lambda: functions.adam(n, n, n, None, None, settings_),
        lambda: functions.adam(n, n, n, n, other, settings_),
        lambda: functions.clip(n, 0.0),
        lambda: functions.clip(n, np.nan),
        lambda: functions.scale_by_norm(n, two, 1.0),
        lambda: functions.squared_norm(n, single),
        lambda: functions.add_ridge(other, n, one, one),
        lambda: functions.add_ridge(n, n, one, single),
    ]:
        with pytest.raises((TypeError, ValueError)):
            call()
