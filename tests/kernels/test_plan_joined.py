"""Steps that plans on the CPU join do what they do apart."""

import numpy as np
import pytest
from fastml.kernels.cpu._runtime import Operation
from numpy.testing import assert_allclose, assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.cpu import activation, dense, optimizer, plan
from fastml.kernels.cpu._joined import joined

# Steps' states, and their settings, by the update's name.
UPDATES = {
    "sgd": (1, [0.01, 0.9, 1.0, 0.004]),
    "rmsprop": (3, [0.01, 0.9, 0.5, 1e-7, 0.004]),
    "adagrad": (1, [0.01, 1e-7, 0.004]),
    "adam": (3, [0.01, 0.9, 0.999, 1e-7, 0.9, 0.999, 0.004]),
}


class Layer:
    """A dense layer whose weights lie among others in one vector, and the steps of its backward pass."""

    def __init__(self, update="adam", dtype=np.float32, n=19, d=700, m=101, states=None):
        rng = np.random.default_rng(7)
        n_states, settings = UPDATES[update]
        before, after = 33, 12
        size = before + d * m + after
        self.X, self.dout = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (n, m)))
        self.w, self.g = rng.standard_normal((2, size)).astype(dtype)
        self.states = [rng.uniform(0.2, 0.3, size).astype(dtype) for _ in range(n_states)]
        if states is not None:
            self.states = [state if kept else None for state, kept in zip(self.states, states, strict=True)]
        self.W, self.dW = (array[before : before + d * m].reshape(d, m) for array in (self.w, self.g))
        self.dbias, self.dX = np.empty(m, dtype), np.zeros((n, d), dtype)
        self.strength, self.squared = np.array([0.3]), np.zeros(1)
        self.settings, self.update = np.array(settings), update

    def steps(self, kernels, wanted=True, ridge=False):
        steps = [(kernels.dense.gradient_weights, (self.X, self.dout, self.dW, self.dbias))]
        if wanted:
            steps.append((kernels.dense.gradient_input, (self.dout, self.W, self.dX)))
        if ridge:
            steps.append((kernels.optimizer.add_ridge, self.ridge()))
        update = getattr(kernels.optimizer, self.update)
        return [*steps, (update, (self.w, self.g, *self.states, self.settings))]

    def ridge(self):
        return self.W.reshape(-1), self.dW.reshape(-1), self.strength, self.squared

    def arrays(self):
        return [self.w, self.g, *(s for s in self.states if s is not None), self.dX, self.dbias, self.squared]


def n_joints(steps):
    return sum(isinstance(step, Operation) for step in joined(steps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ridge", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("update", UPDATES)
def test_joined_steps_are_the_reference(update, wanted, ridge, dtype):
    expected, got = Layer(update, dtype), Layer(update, dtype)
    reference = for_device("reference")
    reference.plan.run(reference.plan.compile(expected.steps(reference, wanted, ridge)))
    steps = got.steps(for_device("cpu"), wanted, ridge)
    assert n_joints(steps) == 1
    plan.run(plan.compile(steps))
    tolerance = 100 * float(np.finfo(dtype).eps)
    for ours, theirs in zip(got.arrays(), expected.arrays(), strict=True):
        assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(1, 2048, 32), (128, 300, 520), (300, 512, 160), (2, 40, 3000)])
def test_shapes(shape):
    n, d, m = shape
    expected, got = Layer(n=n, d=d, m=m), Layer(n=n, d=d, m=m)
    reference = for_device("reference")
    reference.plan.run(reference.plan.compile(expected.steps(reference, ridge=True)))
    steps = got.steps(for_device("cpu"), ridge=True)
    assert n_joints(steps) == 1
    plan.run(plan.compile(steps))
    for ours, theirs in zip(got.arrays(), expected.arrays(), strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_results_do_not_depend_on_threads():
    def trained(n_threads):
        layer = Layer(n=64)
        steps = plan.compile(layer.steps(for_device("cpu"), ridge=True), n_threads)
        for _ in range(3):
            plan.run(steps)
        return layer.arrays()

    one = trained(1)
    for n_threads in (2, 3, 5):
        for ours, theirs in zip(trained(n_threads), one, strict=True):
            assert_array_equal(ours, theirs)


def test_states_that_are_not_there():
    layer = Layer("rmsprop", states=(True, False, True))
    assert n_joints(layer.steps(for_device("cpu"))) == 1
    plan.run(plan.compile(layer.steps(for_device("cpu"))))
    assert np.isfinite(layer.w).all()


def test_two_layers_of_one_vector():
    def step(kernels):
        rng = np.random.default_rng(3)
        n, d, h, m = 16, 300, 260, 270
        w, g = rng.standard_normal((2, d * h + 5 + h * m)).astype(np.float32)
        velocity, settings = np.zeros_like(w), np.array(UPDATES["sgd"][1])
        X, hidden, dout = (rng.standard_normal((n, k)).astype(np.float32) for k in (d, h, m))
        dhidden, split = np.empty_like(hidden), d * h + 5
        first = [array[: d * h].reshape(d, h) for array in (w, g)]
        second = [array[split:].reshape(h, m) for array in (w, g)]
        steps = [
            (kernels.dense.gradient_weights, (hidden, dout, second[1], None)),
            (kernels.dense.gradient_input, (dout, second[0], dhidden)),
            (kernels.dense.gradient_weights, (X, dhidden, first[1], None)),
            (kernels.optimizer.sgd, (w, g, velocity, settings)),
        ]
        kernels.plan.run(kernels.plan.compile(steps))
        return steps, (w, velocity, dhidden)

    steps, got = step(for_device("cpu"))
    assert n_joints(steps) == 2
    assert [len(args[0]) for _, *args in [s for s in joined(steps) if not isinstance(s, Operation)]] == [4]
    for ours, theirs in zip(got, step(for_device("reference"))[1], strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_what_touches_the_weights_or_their_gradient_stays_in_order():
    layer, other = Layer(), np.zeros((19, 700), np.float32)
    steps = layer.steps(for_device("cpu"))

    def joints_with(*step):
        return n_joints([*steps[:2], step, *steps[2:]])

    assert joints_with(activation.gradient, (other, other, other, other, "relu")) == 1
    assert joints_with(optimizer.clip, (layer.g, 0.1)) == 0
    assert joints_with(optimizer.squared_norm, (layer.dW.reshape(-1), np.zeros(1))) == 0
    assert joints_with(dense.forward, (other, layer.W, None, np.zeros((19, 101), np.float32))) == 0
    assert joints_with(optimizer.squared_norm, (layer.states[0], np.zeros(1))) == 0
    assert joints_with(len, (layer.w,)) == 0
    # Of two that make one gradient, the last.
    assert joints_with(dense.gradient_weights, (layer.X, layer.dout, layer.dW, None)) == 1


def test_a_gradient_that_overwrites_the_input_is_not_joined():
    layer = Layer()
    layer.dX = layer.X
    assert n_joints(layer.steps(for_device("cpu"))) == 0


def test_small_weights_are_not_joined():
    layer = Layer(d=64, m=64)
    steps = layer.steps(for_device("cpu"))
    assert joined(steps) == steps


def test_phases_of_different_numbers_of_parts_are_refused():
    layer = Layer()
    make = optimizer.adam.operation
    arguments = (layer.w, layer.g, *layer.states, layer.settings)
    with pytest.raises(ValueError, match="Joined phases are of"):
        Operation.joined([make(*arguments), make(*arguments, part_size=100)])
