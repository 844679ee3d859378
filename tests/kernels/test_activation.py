"""The contract of activations: every backend beside the reference, gradients beside central differences."""

from math import inf

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

from fastml.kernels.activation_names import ALIASES, PARAMETERS
from fastml.kernels.philox import blocks

each_dtype = pytest.mark.parametrize("dtype", DTYPES)

# Other parameters than the defaults.
VARIANTS = [
    ("celu", (0.5,)),
    ("elu", (1.7,)),
    ("gelu", (1.0,)),
    ("hard_shrink", (0.1,)),
    ("leaky_relu", (-0.3,)),
    ("relu", (0.1,)),
    ("relu", (0.0, 1.5)),
    ("relu", (0.2, inf, 0.7)),
    ("relu", (0.2, 2.0, 0.7)),
    ("soft_shrink", (1.1,)),
    ("squareplus", (0.3,)),
    ("threshold", (0.3, -1.0)),
]
ACTIVATIONS = [(name, ()) for name in sorted(PARAMETERS | ALIASES) if name != "threshold"] + VARIANTS
each_activation = pytest.mark.parametrize(("name", "parameters"), ACTIVATIONS)
ROWWISE = ("softmax", "log_softmax", "sparsemax")
each_rowwise = pytest.mark.parametrize("name", ROWWISE)


# The derivative of gelu by tanh loses digits where tanh is almost 1, times up to 30.
@each_activation
def test_elementwise(backend, name, parameters):
    @settings(max_examples=examples_on(backend, 20), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 1, 7, 33] if on_cuda(backend) else [0, 1, 7, 16, 33, 100, 9001]),
        st.sampled_from(DTYPES),
    )
    def keeps_the_contract(seed, n, dtype):
        rng = np.random.default_rng(seed)
        X = (rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 1, n)).astype(dtype)
        X[rng.random(n) < 0.05] = 0.0
        _, out = agree(backend, "activation.forward", X, np.empty_like(X), name, parameters)
        dout = rng.standard_normal(n).astype(dtype)
        agree(backend, "activation.gradient", X, out, dout, np.empty_like(X), name, parameters, units=100.0)
        agree(backend, "activation.gradient", X, out, dout, dout, name, parameters, units=100.0)

    keeps_the_contract()


@each_activation
def test_an_elementwise_gradient_is_a_central_difference(backend, name, parameters):
    rng = np.random.default_rng(0)
    n = 6 if on_cuda(backend) else 60
    X, dout = rng.standard_normal(n) * 3.0, rng.standard_normal(n)

    def value(x):
        return called(backend, "activation.forward", x, np.empty_like(x), name, parameters)[1]

    got = called(backend, "activation.gradient", X, value(X), dout, np.empty_like(X), name, parameters)[3]
    assert_allclose(got, central_differences(value, X, dout), rtol=1e-7, atol=1e-8)


@each_dtype
@each_activation
def test_elementwise_of_what_is_not_finite(backend, name, parameters, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    X = np.array([np.nan, inf, -inf, 1e4, -1e4, np.finfo(dtype).max / 4, tiny, -tiny, 0.0, -0.0], dtype)
    with np.errstate(all="ignore"):
        _, out = agree(backend, "activation.forward", X, np.empty_like(X), name, parameters)
    assert np.isnan(out[0])
    agree(
        backend,
        "activation.gradient",
        X[3:5],
        out[3:5],
        np.ones_like(X[3:5]),
        np.empty_like(X[3:5]),
        name,
        parameters,
    )


PIECEWISE = ("hard_shrink", "hard_tanh", "leaky_relu", "relu", "relu6", "selu", "soft_shrink", "threshold")


@each_dtype
@pytest.mark.parametrize(("name", "parameters"), [case for case in ACTIVATIONS if case[0] in PIECEWISE])
def test_slopes_at_infinities_and_kinks(backend, name, parameters, dtype):
    X = np.array([inf, -inf, 1.0, -1.0, 0.0, -0.0, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    with np.errstate(over="ignore"):
        _, out = agree(backend, "activation.forward", X, np.empty_like(X), name, parameters)
    arguments = X, out, np.ones_like(X), np.empty_like(X), name, parameters
    assert np.isfinite(agree(backend, "activation.gradient", *arguments)[3]).all()


@each_dtype
@pytest.mark.parametrize("parameters", [(), (0.0, 1.5), (0.0, inf, 0.7)])
def test_relu_without_a_slope_is_zero_below(backend, dtype, parameters):
    X = np.array([-inf, -1.0, -0.0, 0.0, np.finfo(dtype).min], dtype)
    for out in called(backend, "activation.forward", X, np.empty_like(X), "relu", parameters)[1:]:
        assert_array_equal(out, 0.0)
        assert not np.signbit(out).any()


@each_dtype
@pytest.mark.parametrize("parameters", [(), (0.1,), (0.1, 2.0, 0.5)])
def test_relu_in_place(backend, dtype, parameters):
    X = np.random.default_rng(0).standard_normal(101 if on_cuda(backend) else 1001).astype(dtype) * 3
    out = called(backend, "activation.forward", X, np.empty_like(X), "relu", parameters)[1]
    assert_array_equal(agree(backend, "activation.forward", X, X, "relu", parameters)[0], out)
    dout = np.ones_like(X)
    apart = agree(backend, "activation.gradient", X, out, dout, np.empty_like(X), "relu", parameters)[3]
    assert_array_equal(
        agree(backend, "activation.gradient", out, out, dout, dout, "relu", parameters)[3], apart
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nonsense", ()),
        ("softmax", ()),
        ("elu", (1.0, 2.0)),
        ("threshold", (1.0,)),
        ("relu", (-0.1,)),
        ("relu", (0.0, -1.0)),
        ("relu", (0.0, 1.0, -1.0)),
    ],
)
def test_an_activation_that_does_not_exist(backend, name, parameters):
    X = np.zeros(3)
    with pytest.raises(ValueError, match=r"nknown|takes|needs|negative"):
        backend.activation.forward(*sent(backend, X, X, name, parameters))
    with pytest.raises(ValueError, match=r"nknown|takes|needs|negative"):
        backend.activation.gradient(*sent(backend, X, X, X, X, name, parameters))


@each_rowwise
def test_rows(backend, name):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 1, 3] if on_cuda(backend) else [0, 1, 2, 30]),
        st.sampled_from([1, 2, 10, 33] if on_cuda(backend) else [1, 2, 10, 16, 17, 100, 1000]),
        st.sampled_from(DTYPES),
    )
    def keeps_the_contract(seed, n, k, dtype):
        rng = np.random.default_rng(seed)
        X = (rng.standard_normal((n, k)) * rng.choice([0.1, 1.0, 10.0])).astype(dtype)
        largest = max(1.0, float(np.abs(X).max(initial=0.0)))
        _, out = agree(backend, f"activation.{name}", X, np.empty_like(X), units=4.0 * largest)
        dout = rng.standard_normal((n, k)).astype(dtype)
        agree(
            backend, f"activation.{name}_gradient", out, dout, np.empty_like(X), units=32.0 + k / 8, scale=1.0
        )
        agree(backend, f"activation.{name}_gradient", out, dout, dout, units=32.0 + k / 8)

    keeps_the_contract()


@each_dtype
def test_sparsemax_of_large_elements(backend, dtype):
    """Beside which the 1 that the result sums up to is rounding."""
    X = np.array([[1e17, 1e17, 3.0], [-1e17, -1e17, -2e17], [1e16, 5e15, 1e16], [1e17, 0.0, -1e17]], dtype)
    _, out = agree(backend, "activation.sparsemax", X, np.empty_like(X))
    assert_array_equal(out, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])


@each_rowwise
def test_a_row_gradient_is_a_central_difference(backend, name):
    rng = np.random.default_rng(0)
    X, dout = rng.standard_normal((2, 2, 3) if on_cuda(backend) else (2, 4, 7))

    def value(x):
        return called(backend, f"activation.{name}", x, np.empty_like(x))[1]

    got = called(backend, f"activation.{name}_gradient", value(X), dout, np.empty_like(X))[2]
    assert_allclose(got, central_differences(value, X, dout), rtol=1e-7, atol=1e-8)


@each_dtype
@pytest.mark.parametrize("k", [1, 5, 16, 40])
def test_softmax_of_what_is_not_finite(backend, dtype, k):
    X = np.zeros((6, k), dtype)
    X[0, -1], X[1, 0], X[2, k // 2], X[3], X[4] = np.nan, inf, -inf, -inf, 1e4
    X[5] = np.finfo(dtype).smallest_subnormal
    out = agree(backend, "activation.softmax", X, np.empty_like(X))[1]
    assert list(np.isnan(out).all(axis=1)) == [True, True, k == 1, True, False, False]
    agree(backend, "activation.log_softmax", X, np.empty_like(X))


def test_softmax_cross_entropy(backend):
    @settings(max_examples=examples_on(backend, 100), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 1, 3] if on_cuda(backend) else [0, 1, 3, 50]),
        st.sampled_from([1, 2, 10, 33] if on_cuda(backend) else [1, 2, 10, 16, 17, 100]),
        st.sampled_from(DTYPES),
        st.booleans(),
        st.booleans(),
    )
    def keeps_the_contract(seed, n, k, dtype, weighted, gradient_wanted):
        rng = np.random.default_rng(seed)
        logits = (rng.standard_normal((n, k)) * rng.choice([0.1, 1.0, 20.0])).astype(dtype)
        labels = rng.integers(-1 if rng.random() < 0.3 else 0, k, n).astype(np.int32)
        weights = rng.random(n).astype(dtype) if weighted else None
        dlogits = np.empty_like(logits) if gradient_wanted else None
        # A loss is a difference of numbers as large as the logits.
        units = 8.0 * max(1.0, float(np.abs(logits).max(initial=0.0)))
        agree(
            backend,
            "activation.softmax_cross_entropy",
            *(logits, labels, weights, np.empty_like(logits), dlogits, np.empty(n)),
            units=units,
        )

    keeps_the_contract()


@each_dtype
def test_a_label_out_of_range_is_not_followed(backend, dtype):
    labels = np.array([0, 3, -1, 2**31 - 1, -(2**31), 2], np.int32)
    logits = np.random.default_rng(0).standard_normal((6, 3)).astype(dtype)
    got = agree(
        backend,
        "activation.softmax_cross_entropy",
        *(logits, labels, None, np.empty_like(logits), np.empty_like(logits), np.empty(6)),
    )
    assert list(np.isnan(got[4])) == [False, True, True, True, True, False]
    assert_array_equal(np.isnan(got[3]).all(axis=1), np.isnan(got[4]))
    assert np.isfinite(got[2]).all()


def test_the_gradient_of_a_loss_is_a_central_difference(backend):
    rng = np.random.default_rng(0)
    n, k = (2, 3) if on_cuda(backend) else (6, 5)
    logits, weights = rng.standard_normal((n, k)), rng.random(n)
    labels = rng.integers(0, k, n).astype(np.int32)

    def losses(x):
        arguments = x, labels, weights, np.empty_like(x), np.empty_like(x), np.empty(n)
        return called(backend, "activation.softmax_cross_entropy", *arguments)[5]

    arguments = logits, labels, weights, np.empty_like(logits), np.empty_like(logits), np.empty(n)
    got = called(backend, "activation.softmax_cross_entropy", *arguments)[4]
    assert_allclose(got, central_differences(losses, logits, weights / n), atol=1e-9)
    in_place = logits, labels, weights, logits, np.empty_like(logits), np.empty(n)
    assert_array_equal(called(backend, "activation.softmax_cross_entropy", *in_place)[4], got)


def test_philox():
    """Its authors' known answers (Random123, kat_vectors)."""
    ones = 2**64 - 1
    for key, low, high, expected in [
        (0, 0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        (ones, ones, ones, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            *(0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]:
        assert blocks(key, np.array([low], np.uint64), high)[:, 0].tolist() == expected


def test_dropout(backend):
    @settings(max_examples=examples_on(backend, 60), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**64 - 2),
        st.sampled_from([(0,), (1,), (63,), (3, 64), (10, 13, 5), (101 if on_cuda(backend) else 9001,)]),
        st.sampled_from(DTYPES),
        st.sampled_from([0.0, 1e-3, 0.25, 0.5, 0.9, 1.0]),
    )
    def keeps_the_contract(key, call, shape, dtype, rate):
        X = np.random.default_rng(key).standard_normal(shape).astype(dtype)
        state = np.array([key, call], np.uint64)
        _, out, mask, state = agree(
            backend, "activation.dropout", X, np.empty_like(X), np.empty(shape, np.uint8), rate, state
        )
        assert state.tolist() == [key, call + 1]
        assert_array_equal(out[mask == 0], 0.0)
        assert called(backend, "activation.dropout", X, X, mask, rate, state)[0].shape == shape
        agree(backend, "activation.dropout_gradient", X, mask, rate, np.empty_like(X))

    keeps_the_contract()


def test_dropout_drops_at_the_rate(backend):
    X = np.ones(2000 if on_cuda(backend) else 1_000_000, np.float32)
    state = np.array([7, 0], np.uint64)
    _, first, mask, state = called(
        backend, "activation.dropout", X, X + 1, np.empty(len(X), np.uint8), 0.3, state
    )
    second = called(backend, "activation.dropout", X, X + 1, mask, 0.3, state)[2]
    assert abs(mask.mean() - 0.7) < 4 * np.sqrt(0.21 / len(X))
    assert abs((mask & second).mean() - 0.49) < 4 * np.sqrt(0.25 / len(X))
    assert abs(first.mean() - 1.0) < 4 * np.sqrt(0.3 / 0.7 / len(X))


@each_dtype
def test_what_dropout_drops_is_zero(backend, dtype):
    X = np.full(200, np.nan, dtype)
    _, out, mask, _ = called(
        backend, "activation.dropout", X, X + 1, np.empty(200, np.uint8), 0.5, np.array([1, 0], np.uint64)
    )
    assert_array_equal(np.isnan(out), mask == 1)
    assert_array_equal(out[mask == 0], 0.0)


@each_dtype
def test_threads(backend, dtype):
    rng = np.random.default_rng(0)
    n, k = (2, 6) if on_cuda(backend) else (4000, 200)
    X, dout = rng.standard_normal((2, n, k)).astype(dtype)
    out = np.empty_like(X)
    for name in ("relu", "gelu"):
        same_on_threads(backend, "activation.forward", X, out, name)
        same_on_threads(backend, "activation.gradient", X, X, dout, out, name)
    for name in ROWWISE:
        same_on_threads(backend, f"activation.{name}", X, out)
        same_on_threads(backend, f"activation.{name}_gradient", X, dout, out)
    labels, losses = rng.integers(0, k, n).astype(np.int32), np.empty(n)
    same_on_threads(backend, "activation.softmax_cross_entropy", X, labels, None, out, dout, losses)
    mask = np.empty(X.shape, np.uint8)
    same_on_threads(backend, "activation.dropout", X, out, mask, 0.4, np.array([5, 6], np.uint64))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("forward", (np.zeros(3), np.zeros(4), "relu")),
        ("forward", (np.zeros(3), np.zeros(3, np.float32), "relu")),
        ("forward", (np.zeros(3, np.int64), np.zeros(3), "relu")),
        ("forward", (np.zeros(6)[::2], np.zeros(3), "relu")),
        ("gradient", (np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(3), "relu")),
        ("softmax", (np.zeros(3), np.zeros(3))),
        ("softmax", (np.zeros((3, 2)), np.zeros((2, 3)))),
        ("softmax_cross_entropy",
         (np.zeros((3, 2)), np.zeros(3, np.int64), None, np.zeros((3, 2)), None, np.zeros(3))),
        ("softmax_cross_entropy",
         (np.zeros((3, 2)), np.zeros(2, np.int32), None, np.zeros((3, 2)), None, np.zeros(3))),
        ("softmax_cross_entropy",
         (np.zeros((3, 0)), np.zeros(3, np.int32), None, np.zeros((3, 0)), None, np.zeros(3))),
        ("dropout", (np.zeros(3), np.zeros(3), np.zeros(3, np.uint8), 1.5, np.zeros(2, np.uint64))),
        ("dropout", (np.zeros(3), np.zeros(3), np.zeros(2, np.uint8), 0.5, np.zeros(2, np.uint64))),
        ("dropout", (np.zeros(3), np.zeros(3), np.zeros(3, np.uint8), 0.5, np.zeros(2, np.int32))),
        ("dropout_gradient", (np.zeros(3), np.zeros(3, np.uint8), np.nan, np.zeros(3))),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(backend, name, arguments):
    with pytest.raises((TypeError, ValueError)):
        getattr(backend.activation, name)(*sent(backend, *arguments))
