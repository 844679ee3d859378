"""The contract of normalisation: every backend beside the reference, gradients beside central differences."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_problems import (
    DTYPES,
    agree,
    called,
    central_differences,
    examples_on,
    on_cuda,
    same_on_threads,
    sent,
)
from numpy.testing import assert_allclose, assert_array_equal

each_dtype = pytest.mark.parametrize("dtype", DTYPES)
COLUMNS = [1, 3, 8, 16, 17, 40]


def vectors(rng, c, dtype, given_ones):
    """Positive and negative ones, None for those not given."""
    return [rng.standard_normal(c).astype(dtype) if given_one else None for given_one in given_ones]


def rows(rng, n, c, dtype, offset):
    """Rows whose columns have means of up to ``offset`` deviations."""
    scale = 10.0 ** rng.uniform(-2, 2, c)
    return (scale * (rng.standard_normal((n, c)) + offset * rng.standard_normal(c))).astype(dtype)


@st.composite
def problems(draw, least_rows, on_cuda):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([0, 1, 2, 7, 40] if on_cuda else [0, 1, 2, 7, 64, 65, 200, 9000]))
    c = draw(st.sampled_from([1, 3, 5] if on_cuda else COLUMNS))
    dtype, offset = draw(st.sampled_from(DTYPES)), draw(st.sampled_from([0.0, 1.0, 30.0]))
    X = rows(rng, max(n, least_rows), c, dtype, offset)
    parameters = vectors(rng, c, dtype, draw(st.tuples(st.booleans(), st.booleans())))
    return rng, X, parameters, 1.0 + offset, draw(st.sampled_from([1e-3, 1e-5]))


def test_batch(backend):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(problems(1, on_cuda(backend)), st.sampled_from([0.0, 0.9, 0.99, 1.0]))
    def keeps_the_contract(problem, momentum):
        rng, X, (gamma, beta), offset, epsilon = problem
        c, dtype = X.shape[1], X.dtype
        mean, inverse_std = np.empty((2, c), dtype)
        moving = [rng.standard_normal(c).astype(dtype), rng.random(c).astype(dtype)]
        train = (X, gamma, beta, np.empty_like(X), mean, inverse_std, *moving, momentum, epsilon)
        # The absolute error of a mean is that of its elements.
        scale = float(np.abs(X).max())
        got = agree(
            backend, "normalization.batch_train", *train, units=50.0 * offset, scale=max(1.0, scale**2)
        )
        mean, inverse_std = got[-4], got[-3]
        agree(
            backend,
            "normalization.batch_infer",
            X,
            gamma,
            beta,
            *moving,
            epsilon,
            np.empty_like(X),
            scale=scale,
        )

        dout = rng.standard_normal(X.shape).astype(dtype)
        gradients = rng.standard_normal((2, c)).astype(dtype)
        wanted = [vector if rng.random() < 0.7 else None for vector in gradients]
        dX = np.empty_like(X) if rng.random() < 0.7 else None
        scale = np.sqrt(len(X)) * float(np.abs((X - mean) * inverse_std).max())
        agree(
            backend,
            "normalization.batch_gradient",
            *(X, dout, gamma, mean, inverse_std, dX, *wanted),
            units=20.0 * offset * max(1.0, float(inverse_std.max())),
            scale=max(1.0, scale),
        )

    keeps_the_contract()


def test_layer(backend):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(problems(0, on_cuda(backend)), st.booleans())
    def keeps_the_contract(problem, scattered):
        rng, X, (gamma, beta), offset, epsilon = problem
        n, dtype = len(X), X.dtype
        mean, inverse_std = np.empty((2, n), dtype)
        X = rows(rng, X.shape[1], n, dtype, offset - 1.0).T.copy() if scattered else X
        scale = max(1.0, float(np.abs(X).max(initial=0.0)))
        got = agree(
            backend,
            "normalization.layer_forward",
            *(X, gamma, beta, np.empty_like(X), mean, inverse_std, epsilon),
            units=30.0 * offset,
            scale=scale,
        )
        mean, inverse_std = got[-2], got[-1]
        dout = rng.standard_normal(X.shape).astype(dtype)
        dgamma, dbeta = np.empty((2, X.shape[1]), dtype)
        scale = np.sqrt(n + 1.0) * max(1.0, float(inverse_std.max(initial=0.0)))
        agree(
            backend,
            "normalization.layer_gradient",
            *(X, dout, gamma, mean, inverse_std, np.empty_like(X), dgamma, dbeta),
            units=50.0 * offset,
            scale=scale,
        )

    keeps_the_contract()


def batch_value(backend, X, gamma, beta):
    c = X.shape[1]
    mean, inverse_std, moving_mean, moving_variance = np.zeros((4, c), X.dtype)
    got = called(
        backend,
        "normalization.batch_train",
        *(X, gamma, beta, np.empty_like(X), mean, inverse_std, moving_mean, moving_variance, 0.9, 1e-3),
    )
    return got[-5:-2]


def layer_value(backend, X, gamma, beta):
    mean, inverse_std = np.zeros((2, len(X)), X.dtype)
    arguments = X, gamma, beta, np.empty_like(X), mean, inverse_std, 1e-3
    return called(backend, "normalization.layer_forward", *arguments)[-3:]


@pytest.mark.parametrize(("kind", "value"), [("batch", batch_value), ("layer", layer_value)])
@pytest.mark.parametrize("n", [1, 6])
def test_gradients_are_central_differences(backend, kind, value, n):
    rng, c = np.random.default_rng(0), 5
    if on_cuda(backend):
        n, c = min(n, 2), 3
    X, dout = rng.standard_normal((2, n, c))
    gamma, beta = rng.standard_normal((2, c))
    _, mean, inverse_std = value(backend, X, gamma, beta)
    arguments = X, dout, gamma, mean, inverse_std, np.empty_like(X), np.empty(c), np.empty(c)
    *_, dX, dgamma, dbeta = called(backend, f"normalization.{kind}_gradient", *arguments)
    for got, x, function in [
        (dX, X, lambda x: value(backend, x, gamma, beta)[0]),
        (dgamma, gamma, lambda x: value(backend, X, x, beta)[0]),
        (dbeta, beta, lambda x: value(backend, X, gamma, x)[0]),
    ]:
        assert_allclose(got, central_differences(function, x, dout), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_in_place(backend, kind):
    rng = np.random.default_rng(0)
    X, dout = rng.standard_normal((2, 30, 7))
    means, deviations = rng.standard_normal((2, 7 if kind == "batch" else 30))
    apart = called(
        backend,
        f"normalization.{kind}_gradient",
        X,
        dout,
        None,
        means,
        deviations,
        np.empty_like(X),
        None,
        None,
    )
    in_place = called(
        backend, f"normalization.{kind}_gradient", X, dout, None, means, deviations, dout, None, None
    )
    assert_array_equal(in_place[1], apart[4])


@each_dtype
def test_a_mean_far_from_zero(backend, dtype):
    """Deviations of 1 beside a mean of 10^4: what is left of float32 is 2^-10, and no more is lost."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((20, 5) if on_cuda(backend) else (500, 20)) + 1e4).astype(dtype)
    exact = X.astype(np.float64)
    for axis, value in enumerate((batch_value, layer_value)):
        deviations = exact - exact.mean(axis=axis, keepdims=True)
        expected = deviations / np.sqrt(exact.var(axis=axis, keepdims=True) + 1e-3)
        out = value(backend, X, None, None)[0]
        assert_allclose(out, expected, atol=1e-5 if dtype is np.float32 else 1e-10)


@each_dtype
def test_what_is_not_finite(backend, dtype):
    """It spreads through its column, or its row, and no further."""
    n, c = (7, 6) if on_cuda(backend) else (100, 20)
    X = np.random.default_rng(0).standard_normal((n, c)).astype(dtype)
    X[3, 4], X[5, c - 3] = np.nan, np.inf
    mean, inverse_std, moving_mean, moving_variance = np.zeros((4, c), dtype)
    arguments = X, None, None, np.empty_like(X), mean, inverse_std, moving_mean, moving_variance, 0.9, 1e-3
    out = called(backend, "normalization.batch_train", *arguments)[1]
    assert_array_equal(np.isnan(out).any(axis=0), np.isin(np.arange(c), [4, c - 3]))
    assert np.isnan(out[:, 4]).all()
    mean, inverse_std = np.zeros((2, n), dtype)
    out = called(
        backend, "normalization.layer_forward", X, None, None, np.empty_like(X), mean, inverse_std, 1e-3
    )[1]
    assert_array_equal(np.isnan(out).any(axis=1), np.isin(np.arange(n), [3, 5]))


@each_dtype
def test_threads(backend, dtype):
    rng = np.random.default_rng(0)
    n, width = (9, 5) if on_cuda(backend) else (20_000, 33)
    X, dout = rng.standard_normal((2, n, width)).astype(dtype)
    gamma, beta, a, b, c, d = rng.random((6, width)).astype(dtype)
    out = np.empty_like(X)
    same_on_threads(backend, "normalization.batch_train", X, gamma, beta, out, a, b, c, d, 0.9, 1e-3)
    same_on_threads(backend, "normalization.batch_infer", X, gamma, beta, c, d, 1e-3, out)
    same_on_threads(backend, "normalization.batch_gradient", X, dout, gamma, a, b, out, c, d)
    means, deviations = rng.random((2, len(X))).astype(dtype)
    same_on_threads(backend, "normalization.layer_forward", X, gamma, beta, out, means, deviations, 1e-3)
    same_on_threads(backend, "normalization.layer_gradient", X, dout, gamma, means, deviations, out, c, d)


def test_what_does_not_fit_is_refused(backend):
    X, c, n = sent(backend, np.zeros((4, 3)), np.zeros(3), np.zeros(4))
    functions = backend.normalization
    for call in [
        lambda: functions.batch_train(X[:0], None, None, X[:0], c, c, c, c, 0.9, 1e-3),
        lambda: functions.batch_train(X, n, None, X, c, c, c, c, 0.9, 1e-3),
        lambda: functions.batch_train(X, None, None, X, c, c, n, c, 0.9, 1e-3),
        lambda: functions.batch_train(X, None, None, X, c, c, c, c, np.nan, 1e-3),
        lambda: functions.batch_train(c, None, None, c, c, c, c, c, 0.9, 1e-3),
        lambda: functions.batch_infer(X, None, n, c, c, 1e-3, X),
        lambda: functions.batch_gradient(X, X, None, n, c, X, None, None),
        lambda: functions.batch_gradient(X, X.T.copy(), None, c, c, X, None, None),
        lambda: functions.layer_forward(X[:, :0].copy(), None, None, X[:, :0].copy(), n, n, 1e-3),
        lambda: functions.layer_forward(X, None, None, X, c, n, 1e-3),
        lambda: functions.layer_gradient(X, X, n, n, n, X, None, None),
    ]:
        with pytest.raises(ValueError, match=r"shape|mean|finite|dimensions"):
            call()
