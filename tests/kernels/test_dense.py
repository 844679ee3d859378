"""The contract of dense layers: every backend beside the reference, gradients beside central differences."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from layer_problems import examples_on, on_cuda, sent
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
        kernels = for_device(dense.__name__.split(".")[-2])
        given = self.X, self.W, self.bias, self.dout
        X, W, bias, dout = (kernels.arrays.send(array) for array in given)
        out, dX, dW = (
            kernels.arrays.send(np.full_like(like, np.nan)) for like in (self.dout, self.X, self.W)
        )
        dbias = None if bias is None else kernels.arrays.send(np.full_like(self.bias, np.nan))
        steps = [
            (dense.forward, (X, W, bias, out, self.activation)),
            (dense.gradient_input, (dout, W, dX)),
            (dense.gradient_weights, (X, dout, dW, dbias)),
        ]
        kernels.plan.run(kernels.plan.compile(steps, n_threads))
        results = [out, dX, dW] + ([] if dbias is None else [dbias])
        return [kernels.arrays.fetch(result) for result in results]


def layer(rng, n, d, m, dtype="f8", with_bias=True, activation="linear"):
    X, W, dout = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (d, m), (n, m)))
    bias = rng.standard_normal(m).astype(dtype) if with_bias else None
    return Layer(X, W, bias, dout, activation)


@st.composite
def layers(draw, sizes=SIZES, large=LARGE):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.one_of(st.tuples(*[st.sampled_from(sizes)] * 3), st.sampled_from(large)))
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
@settings(deadline=None, max_examples=examples(100))
def test_cpu_is_the_reference(problem):
    assert_close(problem, problem.run(for_device("cpu").dense), problem.run(reference))


def test_cuda_is_the_reference(cuda):
    @settings(max_examples=examples_on(cuda, 100), suppress_health_check=list(HealthCheck))
    @given(problem=layers(sizes=(0, 1, 5, 7), large=((2, 3, 33), (70, 2, 2))))
    def keeps_the_contract(problem):
        results = problem.run(cuda.dense)
        assert_close(problem, results, problem.run(reference))
        for ours, again in zip(results, problem.run(cuda.dense), strict=True):
            assert_array_equal(ours, again)

    keeps_the_contract()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", LARGE)
def test_results_do_not_depend_on_threads(cpu, shape, dtype):
    problem = layer(np.random.default_rng(0), *shape, dtype)
    one, two, again, many = (problem.run(cpu, n_threads) for n_threads in (1, 2, 2, 7))
    for results in (two, again, many):
        for ours, theirs in zip(results, one, strict=True):
            assert_array_equal(ours, theirs)


@given(shape=st.tuples(*[st.integers(1, 5)] * 3), seed=st.integers(0, 2**32 - 1))
@settings(
    deadline=None, max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


def test_a_nan_is_passed_on(backend):
    n, d, m = (5, 6, 3) if on_cuda(backend) else (20, 30, 40)
    problem = layer(np.random.default_rng(0), n, d, m, "f4", activation="relu")
    problem.X[3, 4] = np.nan
    out = problem.run(backend.dense)[0]
    assert_array_equal(np.isnan(out).all(axis=1), np.arange(n) == 3)
    assert_array_equal(np.isnan(out).any(axis=1), np.arange(n) == 3)


def test_arguments_that_are_refused(backend):
    p = layer(np.random.default_rng(0), 4, 3, 2)
    out, dense = np.empty((4, 2)), backend.dense
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
            dense.forward(*sent(backend, *bad))
    with pytest.raises(ValueError, match=r"dX must be of shape \(4, 3\)"):
        dense.gradient_input(*sent(backend, p.dout, p.W, np.empty((3, 4))))
    with pytest.raises(ValueError, match=r"dbias must be of shape \(2,\)"):
        dense.gradient_weights(*sent(backend, p.X, p.dout, np.empty((3, 2)), np.empty(3)))


def test_an_output_that_is_read_only(cpu):
    p = layer(np.random.default_rng(0), 4, 3, 2)
    out = np.empty((4, 2))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        cpu.forward(p.X, p.W, p.bias, out)
