"""The contract of convolutions: every backend beside the reference, gradients beside central differences."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from layer_problems import called, examples_on, sent
from numpy.testing import assert_allclose, assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.conv_geometry import Geometry
from fastml.kernels.reference import conv as reference

# n, h, w, c, kernel, filters, strides, padding, dilation, groups, window: layers as they are in use.
LAYERS = {
    "mnist": (9, 28, 28, 1, (3, 3), 32, (1, 1), (0, 0), (1, 1), 1, (2, 2)),
    "colours": (5, 20, 18, 3, (3, 3), 32, (1, 1), (1, 1), (1, 1), 1, (2, 2)),
    "first of a large net": (2, 40, 40, 3, (7, 7), 64, (2, 2), (3, 3), (1, 1), 1, (3, 3)),
    "wide": (3, 16, 16, 64, (3, 3), 64, (1, 1), (1, 1), (1, 1), 1, (2, 2)),
    "deep": (4, 4, 4, 130, (3, 3), 70, (1, 1), (1, 1), (1, 1), 1, (2, 2)),
    "strided": (2, 15, 17, 40, (3, 3), 33, (2, 2), (1, 1), (1, 1), 1, (1, 2)),
    "dilated": (2, 15, 17, 20, (3, 3), 33, (1, 1), (2, 2), (2, 2), 1, (2, 1)),
    "grouped": (2, 9, 9, 12, (3, 3), 18, (1, 1), (1, 1), (1, 1), 3, (2, 2)),
    "depthwise": (3, 12, 12, 40, (3, 3), 40, (1, 1), (1, 1), (1, 1), 40, (2, 2)),
    "depthwise, two filters a channel": (2, 8, 8, 5, (3, 3), 10, (2, 2), (1, 1), (1, 1), 5, (2, 2)),
    "one dimension": (4, 1, 200, 6, (1, 5), 16, (1, 3), (0, 4), (1, 2), 1, (1, 4)),
    "pointwise": (4, 10, 10, 30, (1, 1), 50, (1, 1), (0, 0), (1, 1), 1, (2, 2)),
}


@dataclass
class Layer:
    """The arguments of all functions; outputs are NaN, or 99, until they are set."""

    X: np.ndarray
    W: np.ndarray
    bias: np.ndarray | None
    size: tuple  # of the output before pooling
    geometry: Geometry
    window: tuple
    activation: str
    rng: np.random.Generator

    @property
    def pooled_size(self):
        return self.size[0] // self.window[0], self.size[1] // self.window[1]

    def gradient(self, pooled=False):
        size = self.pooled_size if pooled else self.size
        rng = np.random.default_rng(3)
        return rng.standard_normal((len(self.X), *size, self.W.shape[3])).astype(self.X.dtype)

    def run(self, conv, n_threads=None):
        """What `forward`, `gradient_input` and `gradient_filters` set."""
        send, dout = kernels_of(conv).arrays.send, self.gradient()
        out, dX, dW = (send(np.full_like(like, np.nan)) for like in (dout, self.X, self.W))
        dbias = None if self.bias is None else send(np.full_like(self.bias, np.nan))
        X, W, bias, dout = send(self.X), send(self.W), send(self.bias), send(dout)
        steps = [
            (conv.forward, (X, W, bias, out, self.geometry, self.activation)),
            (conv.gradient_input, (dout, W, dX, self.geometry)),
            (conv.gradient_filters, (X, dout, dW, dbias, self.geometry)),
        ]
        return run_plan(conv, steps, n_threads, [out, dX, dW, dbias])

    def run_pooled(self, conv, n_threads=None):
        """What `forward_max_pooled` and its gradients set; but for positions of zeros."""
        send, dout = kernels_of(conv).arrays.send, self.gradient(pooled=True)
        out, dX, dW = (send(np.full_like(like, np.nan)) for like in (dout, self.X, self.W))
        argmax = send(np.full(dout.shape, 99, np.uint8))
        dbias = None if self.bias is None else send(np.full_like(self.bias, np.nan))
        X, W, bias, dout = send(self.X), send(self.W), send(self.bias), send(dout)
        place = (self.geometry, self.window)
        steps = [
            (conv.forward_max_pooled, (X, W, bias, out, argmax, *place)),
            (conv.gradient_input_max_pooled, (dout, out, argmax, W, dX, *place)),
            (conv.gradient_filters_max_pooled, (X, dout, out, argmax, dW, dbias, *place)),
        ]
        out, argmax, *gradients = run_plan(conv, steps, n_threads, [out, argmax, dX, dW, dbias])
        return [out, np.where(out > 0, argmax, 0), *gradients]


def kernels_of(conv):
    return for_device(conv.__name__.split(".")[-2])


def run_plan(conv, steps, n_threads, results):
    """The results, but for those that are not there, once the steps are done."""
    kernels = kernels_of(conv)
    kernels.plan.run(kernels.plan.compile(steps, n_threads))
    return [kernels.arrays.fetch(result) for result in results if result is not None]


def layer(rng, n, h, w, c, kernel, m, strides, padding, dilation, groups, window, dtype="f8", with_bias=True,
          activation="linear", extra=(0, 0)):  # fmt: skip
    """A layer whose output takes in `extra` rows and columns of zeros below and on the right."""
    size = tuple(
        max(0, (length + 2 * pad + more - (k - 1) * dilate - 1) // stride + 1)
        for length, pad, more, k, dilate, stride in zip((h, w), padding, extra, kernel, dilation, strides)
    )
    X = rng.standard_normal((n, h, w, c)).astype(dtype)
    W = (
        rng.standard_normal((*kernel, c // groups, m)) / (kernel[0] * kernel[1] * c // groups) ** 0.5
    ).astype(dtype)
    bias = rng.standard_normal(m).astype(dtype) if with_bias else None
    return Layer(X, W, bias, size, Geometry(strides, padding, dilation, groups), window, activation, rng)


@st.composite
def layers(draw, most_channels=40, most_images=3, most_pixels=17):
    def pairs(least, most):
        return draw(st.tuples(st.integers(least, most), st.integers(least, most)))

    groups = draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
    c, m = (groups * draw(st.integers(1, most_channels // groups)) for _ in range(2))
    if draw(st.booleans()) and groups == 1:
        c = draw(st.integers(1, 4))
    elif draw(st.integers(0, 5)) == 0:
        groups = c
        m = c * draw(st.sampled_from([1, 1, 2]))
    problem = layer(
        np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        draw(st.integers(0, most_images)),
        *pairs(1, most_pixels),
        c,
        pairs(1, 4),
        m,
        pairs(1, 3),
        pairs(0, 3),
        pairs(1, 3),
        groups,
        pairs(1, 3),
        draw(st.sampled_from(["f4", "f8"])),
        draw(st.booleans()),
        draw(st.sampled_from(["linear", "relu"])),
        pairs(0, 2),
    )
    assume(min(problem.size) > 0)
    return problem


@pytest.fixture
def cpu():
    return for_device("cpu").conv


def assert_close(problem, results, expected):
    """Up to the rounding of sums as long as the problem has."""
    longest = max(problem.W[..., 0].size, problem.X[..., 0].size, problem.W[:, :, 0].size)
    for ours, theirs in zip(results, expected, strict=True):
        if ours.dtype.kind != "f":
            assert np.mean(ours != theirs, dtype=np.float64) <= 1e-3 if ours.size else True
            continue
        scale = np.abs(theirs).max(initial=1.0)
        assert_allclose(
            ours, theirs, rtol=0, atol=4 * scale * np.finfo(ours.dtype).eps * (1 + longest) ** 0.5
        )


@given(problem=layers())
@settings(deadline=None, max_examples=examples(200))
def test_cpu_is_the_reference(problem):
    assert_close(problem, problem.run(for_device("cpu").conv), problem.run(reference))


@given(problem=layers())
@settings(deadline=None, max_examples=examples(100))
def test_cpu_is_the_reference_with_max_pooling(problem):
    assume(min(problem.pooled_size) > 0)
    assert_close(problem, problem.run_pooled(for_device("cpu").conv), problem.run_pooled(reference))


# Every way through the kernels: tiles that are not full, parts of the batch, groups, strides and dilation.
CUDA_LAYERS = {
    "plain": (2, 5, 6, 3, (3, 2), 5, (1, 1), (1, 0), (1, 1), 1, (2, 2)),
    "strided": (1, 6, 5, 2, (3, 3), 3, (2, 3), (1, 1), (1, 1), 1, (1, 2)),
    "dilated": (1, 5, 6, 2, (2, 2), 3, (1, 1), (1, 2), (2, 3), 1, (2, 1)),
    "grouped": (1, 4, 4, 6, (2, 2), 4, (1, 1), (0, 0), (1, 1), 2, (3, 1)),
    "depthwise": (2, 4, 5, 3, (2, 3), 6, (2, 1), (1, 1), (1, 1), 3, (2, 2)),
    "one dimension": (2, 1, 9, 2, (1, 3), 3, (1, 2), (0, 4), (1, 2), 1, (1, 2)),
}


@pytest.mark.parametrize(("dtype", "with_bias"), [("f4", True), ("f8", False)])
@pytest.mark.parametrize("name", CUDA_LAYERS)
def test_cuda_is_the_reference(cuda, name, dtype, with_bias):
    problem = layer(np.random.default_rng(0), *CUDA_LAYERS[name], dtype, with_bias, "relu")
    results = problem.run(cuda.conv) + problem.run_pooled(cuda.conv)
    assert_close(problem, results, problem.run(reference) + problem.run_pooled(reference))
    again = problem.run(cuda.conv) + problem.run_pooled(cuda.conv)
    for ours, same in zip(results, again, strict=True):
        assert_array_equal(ours, same)


@pytest.mark.parametrize("number", range(5))
def test_tiles_that_gpus_get(cuda, monkeypatch, number):
    """Each of them, which the simulator's own small one stands in for elsewhere."""
    from fastml.kernels.cuda import _conv_layout as layout

    tile = (*layout.TILES, layout.FLAT_TILE)[number]
    of_products = layout.TILES[0] if tile is layout.FLAT_TILE else tile
    monkeypatch.setattr(cuda.conv, "product_tile", lambda columns: of_products)
    monkeypatch.setattr(cuda.conv, "filters_tile", lambda rows, columns: tile)
    dimensions = (1, 4, 9, 5, (1, 2), 7, (1, 1), (0, 1), (1, 1), 1, (1, 2))
    problem = layer(np.random.default_rng(0), *dimensions, activation="relu")
    assert_close(problem, problem.run(cuda.conv), problem.run(reference))


def test_cuda_is_the_reference_whatever_the_geometry(cuda):
    @settings(max_examples=examples_on(cuda, 60), suppress_health_check=list(HealthCheck))
    @given(problem=layers(most_channels=4, most_images=2, most_pixels=4))
    def keeps_the_contract(problem):
        assert_close(problem, problem.run(cuda.conv), problem.run(reference))

    keeps_the_contract()


@pytest.mark.parametrize("channels", [2, 8])
def test_outputs_without_a_pixel_or_a_filter(cpu, channels):
    """Nothing is set, and gradients are zero."""
    rng = np.random.default_rng(0)
    for size, m in (((0, 2), 3), ((2, 0), 3), ((0, 0), 3), ((2, 2), 0)):
        problem = layer(rng, 2, 4, 4, channels, (2, 2), m, (1, 1), (0, 0), (1, 1), 1, (2, 2))
        problem.size = size
        for results in (problem.run(cpu), problem.run_pooled(cpu)):
            assert all(not result.any() for result in results)


def test_no_place_outside_of_its_window_is_followed(cpu):
    rng = np.random.default_rng(0)
    problem = layer(rng, 2, 9, 8, 8, (3, 3), 20, (1, 1), (1, 1), (1, 1), 1, (2, 2))
    place, dout = (problem.geometry, problem.window), problem.gradient(pooled=True)
    out, argmax = np.ones_like(dout), rng.integers(0, 4, dout.shape, np.uint8)
    outside = rng.random(dout.shape) < 0.2

    def gradients(conv, out, argmax):
        dX, dW = np.full_like(problem.X, np.nan), np.full_like(problem.W, np.nan)
        conv.gradient_input_max_pooled(dout, out, argmax, problem.W, dX, *place)
        conv.gradient_filters_max_pooled(problem.X, dout, out, argmax, dW, None, *place)
        return dX, dW

    for beyond in (4, 255):
        ours = gradients(cpu, out, np.where(outside, np.uint8(beyond), argmax))
        assert_close(problem, ours, gradients(reference, np.where(outside, 0.0, out), argmax))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_use(cpu, name, dtype):
    problem = layer(np.random.default_rng(0), *LAYERS[name], dtype, activation="relu")
    assert_close(problem, problem.run(cpu), problem.run(reference))
    assert_close(problem, problem.run_pooled(cpu), problem.run_pooled(reference))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", LAYERS)
def test_results_do_not_depend_on_threads(cpu, name, dtype):
    problem = layer(np.random.default_rng(0), *LAYERS[name], dtype)
    one, *others = (problem.run(cpu, n) + problem.run_pooled(cpu, n) for n in (1, 2, 2, 5))
    for results in others:
        for ours, theirs in zip(results, one, strict=True):
            assert_array_equal(ours, theirs)


# Pooled, a depthwise convolution is a grouped one, which sums in another order.
@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"depthwise"}))
def test_one_pass_is_the_convolution_then_the_pooling(cpu, name):
    """To the bit: a position's sum does not depend on what is done with it."""
    problem = layer(np.random.default_rng(0), *LAYERS[name], "f4", activation="relu")
    plain, pooled = problem.run(cpu)[0], problem.run_pooled(cpu)[0]
    (ph, pw), (wh, ww) = problem.pooled_size, problem.window
    covered = plain[:, : ph * wh, : pw * ww]
    windows = covered.reshape(len(plain), ph, wh, pw, ww, -1)
    assert_array_equal(pooled, windows.max(axis=(2, 4)))


@given(problem=layers(most_channels=4, most_images=2))
@settings(
    deadline=None, max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_gradients_are_those_of_central_differences(cpu, problem):
    problem.X, problem.W = problem.X.astype("f8"), problem.W.astype("f8")
    problem.bias, problem.activation = np.ones(problem.W.shape[3]), "linear"
    _, *gradients = problem.run(cpu)
    dout = problem.gradient()
    for parameter, gradient in zip((problem.X, problem.W, problem.bias), gradients, strict=True):
        flat = parameter.reshape(-1)
        for index in problem.rng.permutation(parameter.size)[:10]:
            value, losses = flat[index], []
            for step in (1e-4, -1e-4):
                flat[index] = value + step
                out = np.full_like(dout, np.nan)
                cpu.forward(problem.X, problem.W, problem.bias, out, problem.geometry)
                losses.append(np.sum(out * dout))
            flat[index] = value
            difference = (losses[0] - losses[1]) / 2e-4
            assert gradient.reshape(-1)[index] == pytest.approx(difference, rel=1e-7, abs=1e-7)


def test_a_nan_is_passed_on_through_a_window(backend):
    """Whichever of a window's positions it is in."""
    for position in np.ndindex(2, 2):
        X, W = np.ones((1, 4, 4, 1), "f4"), np.ones((1, 1, 1, 3), "f4")
        X[0][position] = np.nan
        arguments = X, W, None, np.empty((1, 2, 2, 3), "f4"), np.empty((1, 2, 2, 3), np.uint8)
        out = called(backend, "conv.forward_max_pooled", *arguments, Geometry(), (2, 2))[2]
        assert np.isnan(out[0, 0, 0]).all()
        assert_array_equal(out[0, 1], 1)


def test_arguments_that_are_refused(backend):
    X, W, bias, out = np.ones((2, 5, 5, 4)), np.ones((3, 3, 4, 6)), np.ones(6), np.ones((2, 3, 3, 6))
    conv, plain = backend.conv, Geometry()
    assert_array_equal(called(backend, "conv.forward", X, W, bias, out, plain)[3], 37)
    for bad, error, message in [
        ((X.astype("i4"), W, bias, out, plain), TypeError, "X must be of float32 or float64"),
        ((X, W.astype("f4"), bias, out, plain), TypeError, "W must be C-contiguous and of float64"),
        ((X[0], W, bias, out, plain), ValueError, "must have 4 dimensions"),
        ((X, W[:, :, :3], bias, out, plain), ValueError, r"Filters must be of shape \(3, 3, 4, 6\)"),
        ((X, W, bias, out[..., :5].copy(), plain), ValueError, r"Filters must be of shape \(3, 3, 4, 5\)"),
        ((X, W[:0], bias, out, plain), ValueError, "at least one tap"),
        ((X, W, bias[:5], out, plain), ValueError, r"bias must be of shape \(6,\)"),
        ((X, W, bias, out[:1], plain), ValueError, r"out must be of shape \(2, 3, 3, 6\)"),
        ((X, W, bias, out, Geometry(strides=(0, 1))), ValueError, "strides must be at least 1"),
        ((X, W, bias, out, Geometry(padding=(0, -1))), ValueError, "padding must be at least 0"),
        ((X, W, bias, out, Geometry(dilation=(1, 0))), ValueError, "dilation must be at least 1"),
        (
            (X, W, bias, out, Geometry(groups=3)),
            ValueError,
            "groups must divide the 4 channels and the 6 filters",
        ),
        ((X, W, bias, out, plain, "tanh"), ValueError, "activation must be"),
    ]:
        with pytest.raises(error, match=message):
            conv.forward(*sent(backend, *bad))
    with pytest.raises(ValueError, match="at most 256 positions"):
        conv.forward_max_pooled(*sent(backend, X, W, bias, out, out.astype("u1")), plain, (17, 16))
    pooled = out[:, :1, :1].copy(), np.ones((2, 1, 1, 6), "i4")
    with pytest.raises(TypeError, match="argmax must be C-contiguous and of uint8"):
        conv.forward_max_pooled(*sent(backend, X, W, bias, *pooled), plain, (2, 2))
