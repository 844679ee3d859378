"""The contract of pooling: every backend beside the reference, gradients beside central differences."""

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


@st.composite
def geometries(draw, most=9, channels=(1, 3, 8, 16, 17, 40)):
    """Shapes of images and of what they are pooled to, and the geometry."""
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, size - 1)) for size in window)
    image = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    pooled = tuple(
        draw(st.integers(1, (size - 1 + before) // stride + 1))
        for size, before, stride in zip(image, padding, strides)
    )
    n, c = draw(st.integers(0, 3)), draw(st.sampled_from(channels))
    return (n, *image, c), (n, *pooled, c), (window, strides, padding)


def drawn(backend):
    return geometries(most=5, channels=(1, 3)) if on_cuda(backend) else geometries()


def images(rng, shape, dtype, ties):
    return (rng.integers(0, 3, shape) if ties else rng.standard_normal(shape)).astype(dtype)


def test_max(backend):
    @settings(max_examples=examples_on(backend, 150), suppress_health_check=list(HealthCheck))
    @given(drawn(backend), st.integers(0, 2**32 - 1), st.sampled_from(DTYPES), st.booleans())
    def keeps_the_contract(problem, seed, dtype, ties):
        shape, pooled, geometry = problem
        rng = np.random.default_rng(seed)
        X = images(rng, shape, dtype, ties)
        out, argmax = np.empty(pooled, dtype), np.empty(pooled, np.int32)
        _, largest, argmax = agree(backend, "pool.max_forward", X, out, argmax, *geometry, units=0.0)
        assert_array_equal(called(backend, "pool.max_forward", X, out, None, *geometry)[1], largest)
        dout = rng.standard_normal(pooled).astype(dtype)
        agree(backend, "pool.max_gradient", dout, argmax, np.empty_like(X), *geometry, scale=4.0)

    keeps_the_contract()


def test_average(backend):
    @settings(max_examples=examples_on(backend, 150), suppress_health_check=list(HealthCheck))
    @given(drawn(backend), st.integers(0, 2**32 - 1), st.sampled_from(DTYPES))
    def keeps_the_contract(problem, seed, dtype):
        shape, pooled, geometry = problem
        rng = np.random.default_rng(seed)
        X = images(rng, shape, dtype, False)
        agree(backend, "pool.average_forward", X, np.empty(pooled, dtype), *geometry)
        dout = rng.standard_normal(pooled).astype(dtype)
        agree(backend, "pool.average_gradient", dout, np.empty_like(X), *geometry)

    keeps_the_contract()


GEOMETRIES = [
    ((2, 6, 6, 3), (2, 3, 3, 3), ((2, 2), (2, 2), (0, 0))),
    ((2, 7, 5, 2), (2, 4, 3, 2), ((3, 3), (2, 2), (1, 1))),
    ((1, 5, 6, 2), (1, 5, 6, 2), ((3, 2), (1, 1), (1, 0))),
    ((2, 4, 5, 3), (2, 1, 1, 3), ((4, 5), (1, 1), (0, 0))),
    ((1, 1, 9, 2), (1, 1, 3, 2), ((1, 2), (1, 4), (0, 1))),
]


@pytest.mark.parametrize(("shape", "pooled", "geometry"), GEOMETRIES)
def test_gradients_are_central_differences(backend, shape, pooled, geometry):
    rng = np.random.default_rng(0)
    if on_cuda(backend):
        shape, pooled = (1, *shape[1:3], 1), (1, *pooled[1:3], 1)
    # Distances of at least 1 / 200 between elements: no step changes which is the largest.
    X = rng.permutation(np.prod(shape)).reshape(shape) / 200.0
    dout, out, argmax = rng.standard_normal(pooled), np.empty(pooled), np.empty(pooled, np.int32)

    def largest(x):
        return called(backend, "pool.max_forward", x, out, argmax, *geometry)[1]

    def mean(x):
        return called(backend, "pool.average_forward", x, out, *geometry)[1]

    chosen = called(backend, "pool.max_forward", X, out, argmax, *geometry)[2]
    got = called(backend, "pool.max_gradient", dout, chosen, np.empty(shape), *geometry)[2]
    assert_allclose(got, central_differences(largest, X, dout), atol=1e-8)
    got = called(backend, "pool.average_gradient", dout, np.empty(shape), *geometry)[1]
    assert_allclose(got, central_differences(mean, X, dout), atol=1e-8)


@each_dtype
def test_what_is_not_finite(backend, dtype):
    rng = np.random.default_rng(0)
    c = 3 if on_cuda(backend) else 20
    X = rng.standard_normal((2, 6, 6, c)).astype(dtype)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[rng.random(X.shape) < 0.2] = -np.inf
    X[rng.random(X.shape) < 0.1] = np.inf
    X[rng.random(X.shape) < 0.1] = np.finfo(dtype).smallest_subnormal
    out, argmax = np.empty((2, 3, 3, c), dtype), np.empty((2, 3, 3, c), np.int32)
    got = agree(backend, "pool.max_forward", X, out, argmax, (2, 2), (2, 2), (0, 0), units=0.0)
    assert np.isnan(got[1]).any()
    agree(backend, "pool.average_forward", X, out, (2, 2), (2, 2), (0, 0))


@each_dtype
def test_threads(backend, dtype):
    rng = np.random.default_rng(0)
    n, size, c = (1, 3, 2) if on_cuda(backend) else (64, 12, 32)
    X = rng.standard_normal((n, 2 * size, 2 * size, c)).astype(dtype)
    out, argmax = np.empty((n, size, size, c), dtype), np.empty((n, size, size, c), np.int32)
    geometry = (3, 3), (2, 2), (1, 1)
    same_on_threads(backend, "pool.max_forward", X, out, argmax, *geometry)
    _, dout, argmax = called(backend, "pool.max_forward", X, out, argmax, *geometry)
    same_on_threads(backend, "pool.max_gradient", dout, argmax, X, *geometry)
    same_on_threads(backend, "pool.average_forward", X, out, *geometry)
    same_on_threads(backend, "pool.average_gradient", dout, X, *geometry)


def test_an_index_outside_of_the_image_is_ignored(backend):
    dout, argmax = np.ones((1, 1, 1, 2)), np.array([2**31 - 1, -1], np.int32).reshape(1, 1, 1, 2)
    got = called(backend, "pool.max_gradient", dout, argmax, np.ones((1, 2, 2, 2)), (2, 2), (2, 2), (0, 0))
    assert not got[2].any()


@pytest.mark.parametrize(
    ("pooled", "geometry"),
    [
        ((1, 4, 3, 2), ((2, 2), (2, 2), (0, 0))),
        ((1, 3, 0, 2), ((2, 2), (2, 2), (0, 0))),
        ((2, 3, 3, 2), ((2, 2), (2, 2), (0, 0))),
        ((1, 3, 3, 3), ((2, 2), (2, 2), (0, 0))),
        ((3, 3, 2), ((2, 2), (2, 2), (0, 0))),
        ((1, 3, 3, 2), ((2, 2), (2, 2), (2, 0))),
        ((1, 3, 3, 2), ((2, 2), (2, 2), (0, -1))),
        ((1, 3, 3, 2), ((2, 2), (0, 2), (0, 0))),
        ((1, 3, 3, 2), ((0, 2), (2, 2), (0, 0))),
    ],
)
def test_what_does_not_fit_is_refused(backend, pooled, geometry):
    X, out, argmax = np.zeros((1, 6, 6, 2)), np.zeros(pooled), np.zeros(pooled, np.int32)
    for name, arguments in {
        "max_forward": (X, out, argmax),
        "max_gradient": (out, argmax, X),
        "average_forward": (X, out),
        "average_gradient": (out, X),
    }.items():
        with pytest.raises(ValueError, match=r"image|Image|window"):
            getattr(backend.pool, name)(*sent(backend, *arguments), *geometry)
