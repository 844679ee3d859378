"""The contract of dense layers: every backend beside the reference, gradients beside central differences."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.reference import dense as reference

# Around the sizes of vectors and tiles at every instruction-set level.
SIZES = (0, 1, 2, 3, 5, 7, 8, 13, 14, 15, 17, 28, 31, 32, 33, 65)
# Large enough to be cut into blocks, by rows, by columns and by depth.
LARGE = ((128, 1500, 70), (300, 40, 300), (15, 5000, 33), (1, 3000, 500), (700, 9, 260))


@dataclass
class Layer:
    """The arguments of all three functions; outputs are NaN until they are set."""

    X: np.ndarray
    W: np.ndarray
    bias: np.ndarray | None
    dout: np.ndarray
    activation: str

    def run(self, dense, n_threads=None):
        """out, dX, dW and, with a bias, dbias."""
        out, dX, dW = (np.full_like(like, np.nan) for like in (self.dout, self.X, self.W))
        dbias = None if self.bias is None else np.full_like(self.bias, np.nan)
        plan = for_device(dense.__name__.split(".")[-2]).plan
        steps = [
            (dense.forward, (self.X, self.W, self.bias, out, self.activation)),
            (dense.gradient_input, (self.dout, self.W, dX)),
            (dense.gradient_weights, (self.X, self.dout, dW, dbias)),
        ]
        plan.run(plan.compile(steps, n_threads))
        return [out, dX, dW] + ([] if dbias is None else [dbias])


def layer(rng, n, d, m, dtype="f8", with_bias=True, activation="linear"):
    X, W, dout = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (d, m), (n, m)))
    bias = rng.standard_normal(m).astype(dtype) if with_bias else None
    return Layer(X, W, bias, dout, activation)


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.one_of(st.tuples(*[st.sampled_from(SIZES)] * 3), st.sampled_from(LARGE)))
    return layer(
        rng,
        *shape,
        draw(st.sampled_from(["f4", "f8"])),
        draw(st.booleans()),
        draw(st.sampled_from(["linear", "relu"])),
    )


@pytest.fixture
def cpu():
    return for_device("cpu").dense


def assert_close(problem, results, expected):
    """Up to the rounding of sums as long as the problem has."""
    longest = max(problem.X.shape + problem.W.shape)
    for ours, theirs in zip(results, expected, strict=True):
        scale = np.abs(theirs).max(initial=1.0)
        assert_allclose(
            ours, theirs, rtol=0, atol=4 * scale * np.finfo(ours.dtype).eps * (1 + longest) ** 0.5
        )


@given(problem=layers())
@settings(deadline=None, max_examples=100)
def test_cpu_is_the_reference(problem):
    assert_close(problem, problem.run(for_device("cpu").dense), problem.run(reference))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", LARGE)
def test_results_do_not_depend_on_threads(cpu, shape, dtype):
    problem = layer(np.random.default_rng(0), *shape, dtype)
    one, two, again, many = (problem.run(cpu, n_threads) for n_threads in (1, 2, 2, 7))
    for results in (two, again, many):
        for ours, theirs in zip(results, one, strict=True):
            assert_array_equal(ours, theirs)


@given(shape=st.tuples(*[st.integers(1, 5)] * 3), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gradients_are_those_of_central_differences(cpu, shape, seed):
    problem = layer(np.random.default_rng(seed), *shape)
    _, *gradients = problem.run(cpu)
    for parameter, gradient in zip((problem.X, problem.W, problem.bias), gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            value, losses = parameter[index], []
            for step in (1e-4, -1e-4):
                parameter[index] = value + step
                losses.append(np.sum(problem.run(cpu)[0] * problem.dout))
            parameter[index] = value
            assert gradient[index] == pytest.approx((losses[0] - losses[1]) / 2e-4, rel=1e-8, abs=1e-8)


def test_a_nan_is_passed_on(cpu):
    problem = layer(np.random.default_rng(0), 20, 30, 40, "f4", activation="relu")
    problem.X[3, 4] = np.nan
    out = problem.run(cpu)[0]
    assert_array_equal(np.isnan(out).all(axis=1), np.arange(20) == 3)
    assert_array_equal(np.isnan(out).any(axis=1), np.arange(20) == 3)


def test_arguments_that_are_refused(cpu):
    p = layer(np.random.default_rng(0), 4, 3, 2)
    out = np.empty((4, 2))
    for bad, error, message in [
        ((p.X.astype("i4"), p.W, p.bias, out), TypeError, "X must be of float32 or float64; got int32"),
        (
            (p.X, p.W.astype("f4"), p.bias, out),
            TypeError,
            "W must be C-contiguous and of float64; got float32",
        ),
        ((np.asfortranarray(p.X), p.W, p.bias, out), TypeError, "X must be C-contiguous"),
        ((p.X, p.W[:2], p.bias, out), ValueError, r"W must be of shape \(3, 2\); got \(2, 2\)"),
        ((p.X[0], p.W, p.bias, out), ValueError, r"X and W must be matrices; got shapes \(3,\) and \(3, 2\)"),
        ((p.X, p.W, p.bias[:1], out), ValueError, r"bias must be of shape \(2,\); got \(1,\)"),
        ((p.X, p.W, p.bias, out[:3]), ValueError, r"out must be of shape \(4, 2\); got \(3, 2\)"),
        ((p.X, p.W, p.bias, out, "tanh"), ValueError, "activation must be 'linear' or 'relu'; got 'tanh'"),
    ]:
        with pytest.raises(error, match=message):
            cpu.forward(*bad)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        cpu.forward(p.X, p.W, p.bias, out)
    with pytest.raises(ValueError, match=r"dX must be of shape \(4, 3\)"):
        cpu.gradient_input(p.dout, p.W, np.empty((3, 4)))
    with pytest.raises(ValueError, match=r"dbias must be of shape \(2,\)"):
        cpu.gradient_weights(p.X, p.dout, np.empty((3, 2)), np.empty(3))
