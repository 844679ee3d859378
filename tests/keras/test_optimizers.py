"""Optimizers and schedules: variables, configurations, what is refused; their steps are in test_against_keras.py."""

import json

import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers, optimizers
from fastml.keras.optimizers import schedules


def trained(optimizer, steps=1):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 3)).astype("float32"), rng.standard_normal((8, 1)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="tanh"), layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(X, y, epochs=steps, verbose=0)
    return model


STATES = [
    (optimizers.SGD(), []),
    (optimizers.SGD(momentum=0.9), ["momentum"] * 4),
    (
        optimizers.RMSprop(centered=True, momentum=0.1),
        ["velocity"] * 4 + ["momentum"] * 4 + ["average_gradient"] * 4,
    ),
    (optimizers.Adagrad(), ["accumulator"] * 4),
    (optimizers.Adam(), ["momentum", "velocity"] * 4),
    (optimizers.Adam(amsgrad=True), ["momentum", "velocity"] * 4 + ["velocity_hat"] * 4),
]


@pytest.mark.parametrize(("optimizer", "kinds"), STATES, ids=range(len(STATES)))
def test_variables_are_in_keras_order(optimizer, kinds):
    optimizer = type(optimizer).from_config(optimizer.get_config())
    model = trained(optimizer, steps=3)
    first, rate, *states = optimizer.variables
    assert (first.name, int(first)) == ("iteration", 3)
    assert (rate.name, float(rate)) == ("learning_rate", pytest.approx(float(optimizer.learning_rate)))
    assert [variable.name.removesuffix(kind)[-1:] for variable, kind in zip(states, kinds)] == ["_"] * len(
        kinds
    )
    assert len(states) == len(kinds)
    shapes = [w.shape for w in model.weights]
    groups = len(kinds) // 4
    if groups:
        assert sorted(v.shape for v in states) == sorted(shapes * groups)
        assert all(np.abs(v.value).max() > 0 for v in states)


def test_state_can_be_set_and_goes_on():
    once, twice = trained(optimizers.Adam(0.1), 2), trained(optimizers.Adam(0.1), 1)
    again = keras.Sequential.from_config(twice.get_config())
    again.compile(optimizers.Adam(0.1), "mse")
    again.set_weights(twice.get_weights())
    again.optimizer.build(again.trainable_weights)
    again.optimizer.set_weights([v.numpy() for v in twice.optimizer.variables])
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((8, 3)).astype("float32"), rng.standard_normal((8, 1)).astype("float32")
    for model in (twice, again):
        model.fit(X, y, verbose=0, shuffle=False)
    for a, b in zip(twice.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(again.optimizer.iterations) == int(once.optimizer.iterations) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(0.1, momentum=0.5, nesterov=True, clipnorm=1.0),
        lambda: optimizers.RMSprop(rho=0.8),
        lambda: optimizers.Adagrad(epsilon=1e-3),
        lambda: optimizers.Adam(schedules.CosineDecay(0.1, 100), amsgrad=True),
        lambda: optimizers.AdamW(weight_decay=0.1, global_clipnorm=2.0),
    ],
)
def test_configurations_come_back(make):
    optimizer = make()
    again = optimizers.deserialize(json.loads(json.dumps(optimizers.serialize(optimizer))))
    assert type(again) is type(optimizer)
    assert optimizers.serialize(again) == optimizers.serialize(optimizer)


def test_the_learning_rate_can_be_set():
    optimizer = optimizers.get("SGD")
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate.assign(0.5)
    assert optimizer.get_config()["learning_rate"] == 0.5
    scheduled = optimizers.SGD(schedules.PiecewiseConstantDecay([1], [1.0, 0.1]))
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        scheduled.learning_rate = 0.1
    assert scheduled.learning_rate == 1.0
    trained(scheduled, 2)
    assert scheduled.learning_rate == 0.1


def test_excluded_variables_do_not_decay():
    optimizer = optimizers.SGD(0.0001, weight_decay=1000.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, bias_initializer="ones")])
    model.compile(optimizer, "mse")
    before = model.get_weights()
    model.fit(np.zeros((4, 3), "f"), np.ones((4, 2)), verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel, before[0] * 0.9, rtol=1e-6)
    np.testing.assert_array_equal(bias, [1, 1])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


REFUSED = [
    (lambda: optimizers.Adam(1), ValueError, "Argument `learning_rate` should be float"),
    (lambda: optimizers.SGD(momentum=2.0), ValueError, r"`momentum` must be a float between \[0, 1\]"),
    (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), ValueError, "Only one of `clipnorm`"),
    (lambda: optimizers.AdamW(weight_decay=None), ValueError, "`weight_decay` must be a float"),
    (lambda: optimizers.Adam(lr=0.1), ValueError, "not recognized"),
    (lambda: optimizers.get("adamant"), ValueError, "Could not interpret optimizer identifier: adamant"),
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), ValueError, "`decay_steps` must be > 0"),
    (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), ValueError, "1 less than the length of values"),
]


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED)
def test_arguments_that_are_refused(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_an_optimizer_is_for_the_variables_it_was_built_with():
    model = trained(optimizers.Adam())
    other = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    other.compile(model.optimizer, "mse")
    with pytest.raises(ValueError, match="Unknown variable"):
        other.fit(np.zeros((4, 3), "f"), np.zeros(4), verbose=0)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (schedules.ExponentialDecay(0.1, 2, 0.25), [0.1, 0.05, 0.025, 0.0125]),
        (schedules.ExponentialDecay(0.1, 2, 0.25, staircase=True), [0.1, 0.1, 0.025, 0.025]),
        (schedules.InverseTimeDecay(0.1, 1, 1.0), [0.1, 0.05, 0.1 / 3, 0.025]),
        (schedules.PiecewiseConstantDecay([1, 2], [0.3, 0.2, 0.1]), [0.3, 0.3, 0.2, 0.1]),
        (schedules.PolynomialDecay(0.1, 2, end_learning_rate=0.0), [0.1, 0.05, 0, 0]),
        (schedules.PolynomialDecay(0.1, 2, end_learning_rate=0.0, cycle=True), [0.1, 0.05, 0, 0.025]),
        (schedules.CosineDecay(0.1, 2, alpha=0.5), [0.1, 0.075, 0.05, 0.05]),
        (schedules.CosineDecay(0.0, 2, warmup_target=0.1, warmup_steps=2), [0, 0.05, 0.1, 0.05]),
        (schedules.CosineDecayRestarts(0.1, 1), [0.1, 0.1, 0.05, 0.1]),
        (schedules.CosineDecayRestarts(0.1, 1, t_mul=1.0, m_mul=0.5), [0.1, 0.05, 0.025, 0.0125]),
    ],
)
def test_schedules(schedule, rates):
    np.testing.assert_allclose([schedule(step) for step in range(4)], rates, rtol=1e-9, atol=1e-12)
    assert type(schedule).from_config(schedule.get_config()).get_config() == schedule.get_config()
