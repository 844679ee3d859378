"""Constraints: their formulas, training with them as Keras 3.15.1 does on TensorFlow, configurations and files."""

import json

import numpy as np
import pytest
from keras_reference import few_steps

from fastml import keras
from fastml.keras import constraints, layers
from fastml.keras.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm

W = np.array([[3.0, -0.1], [4.0, 0.0], [0.0, 0.3]], np.float32)
FORMULAS = [
    (MaxNorm(2.0), [[1.2, -0.1], [1.6, 0.0], [0.0, 0.3]]),
    (MaxNorm(2.0, axis=1), [[1.9989, -0.0666], [2.0, 0.0], [0.0, 0.3]]),
    (NonNeg(), [[3.0, 0.0], [4.0, 0.0], [0.0, 0.3]]),
    (UnitNorm(), [[0.6, -0.3162], [0.8, 0.0], [0.0, 0.9487]]),
    (UnitNorm(axis=[0, 1]), [[0.5988, -0.02], [0.7984, 0.0], [0.0, 0.0599]]),
    (UnitNorm(axis=None), [[0.5988, -0.02], [0.7984, 0.0], [0.0, 0.0599]]),
    (MinMaxNorm(1.0, 3.0), [[1.8, -0.3162], [2.4, 0.0], [0.0, 0.9487]]),
    (MinMaxNorm(1.0, 3.0, rate=0.5), [[2.4, -0.2081], [3.2, 0.0], [0.0, 0.6243]]),
    (constraints.Constraint(), W),
]


@pytest.mark.parametrize(("constraint", "expected"), FORMULAS)
def test_formulas(constraint, expected):
    got = constraint(W)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-4)


# Arguments of the layer, and of SGD(0.1): weights that Keras came to.
TRAINED = [
    (
        {"kernel_constraint": MaxNorm(0.7), "bias_constraint": NonNeg()},
        {},
        [0.26728332, 0.3526679, -0.012000768, 0.0097644366, 0.37820274, 0.42386204, 0.46179453, 0.28208417],
    ),
    (
        {"kernel_constraint": MaxNorm(0.5, axis=1)},
        {},
        [0.064025931, 0.36171919, -0.041599616, -0.0053773187, 0.1698826, 0.43395045, 0.45406696, 0.28858691],
    ),
    (
        {"kernel_constraint": "unit_norm"},
        {},
        [0.64397115, 0.66863382, 0.033864111, 0.047486022, 0.76429987, 0.74207383, 0.47921091, 0.29600775],
    ),
    (
        {"kernel_constraint": UnitNorm(axis=[0, 1])},
        {},
        [0.1386025, 0.63995212, -0.029110324, 0.044178396, 0.2454482, 0.71288586, 0.45606264, 0.29476678],
    ),
    (
        {"kernel_constraint": MinMaxNorm(0.3, 0.6, rate=0.5)},
        {},
        [0.25983399, 0.37915203, -0.0129341, 0.013348821, 0.37056345, 0.45087036, 0.46145475, 0.28480506],
    ),
    (
        {"kernel_constraint": "NonNeg"},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
        [0.30103004, 1.2432494, 0.0050324504, 0.14274387, 0.40908417, 1.2740591, 0.66121972, 0.37744683],
    ),
    (
        {"kernel_constraint": UnitNorm()},
        {"gradient_accumulation_steps": 2},
        [0.57368678, 0.67884445, -0.19126733, -0.10069249, 0.79642957, 0.72734517, 0.79924464, 0.43483728],
    ),
]


@pytest.mark.parametrize(("of_layer", "of_optimizer", "expected"), TRAINED)
def test_training(of_layer, of_optimizer, expected):
    got = few_steps(keras, keras.optimizers.SGD(0.1, **of_optimizer), **of_layer)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)


LAYERS = [
    (lambda c: layers.Dense(3, kernel_constraint=c, bias_constraint=c), (5,), 2),
    (lambda c: layers.Conv1D(3, 2, kernel_constraint=c, bias_constraint=c), (5, 2), 2),
    (lambda c: layers.Conv2D(3, 2, kernel_constraint=c, bias_constraint=c), (5, 5, 2), 2),
    (lambda c: layers.DepthwiseConv2D(2, depthwise_constraint=c, bias_constraint=c), (5, 5, 2), 2),
    (
        lambda c: layers.SeparableConv2D(
            3, 2, depthwise_constraint=c, pointwise_constraint=c, bias_constraint=c
        ),
        (5, 5, 2),
        3,
    ),
    (lambda c: layers.BatchNormalization(gamma_constraint=c, beta_constraint=c), (5,), 2),
    (lambda c: layers.LayerNormalization(gamma_constraint=c, beta_constraint=c), (5,), 2),
]


class Halved(constraints.Constraint):
    """One of a user's own."""

    def __call__(self, w):
        return 0.5 * w


@pytest.mark.parametrize(("make", "shape", "n"), LAYERS, ids=range(len(LAYERS)))
def test_every_weight_that_can_have_one(make, shape, n, tmp_path):
    model = keras.Sequential([keras.Input(shape), make(NonNeg()), layers.Flatten(), layers.Dense(1)])
    layer = model.layers[0]
    constrained = [v for v in layer.trainable_weights if isinstance(v.constraint, NonNeg)]
    assert len(constrained) == n
    model.compile(keras.optimizers.SGD(0.0), "mse")
    for variable in constrained:
        variable.assign(-np.ones(variable.shape))
    model.fit(np.ones((4, *shape), "f"), np.ones(4), verbose=0)
    for variable in constrained:
        np.testing.assert_array_equal(variable.value, 0)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.get_config() == model.get_config()
    assert loaded.layers[0].trainable_weights[0].constraint.get_config() == {}


def test_frozen_weights_stay():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, kernel_constraint="non_neg"), layers.Dense(1)]
    )
    model.layers[0].trainable = False
    before = model.layers[0].kernel.numpy()
    assert before.min() < 0
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3), "f"), np.ones(4), verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel.value, before)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (
            lambda w: None,
            r"the shape of its argument, \(3, 2\).*Received from <function.*: None of shape \(\)",
        ),
        (lambda w: w[:1], r"of shape \(1, 2\)"),
    ],
)
def test_a_constraint_that_returns_no_weights(constraint, message):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_constraint=constraint)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((4, 3), "f"), np.ones((4, 2)), verbose=0)


def test_a_constraint_of_a_user_s_own(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_constraint=Halved())])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    before = model.layers[0].kernel.numpy()
    model.fit(np.ones((4, 3), "f"), np.ones(4), batch_size=2, verbose=0)
    np.testing.assert_array_equal(model.layers[0].kernel.value, before / 4)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"Halved": Halved})
    assert isinstance(again.layers[0].kernel_constraint, Halved)
    with pytest.raises(ValueError, match="Could not locate class 'Halved'"):
        keras.models.load_model(path)


@pytest.mark.parametrize(
    "constraint", [MaxNorm(3, axis=[0, 1, 2]), NonNeg(), UnitNorm(1), MinMaxNorm(0.1, rate=0.2)]
)
def test_configurations_come_back(constraint):
    config = constraints.serialize(constraint)
    assert config["module"] == "keras.constraints"
    again = constraints.deserialize(json.loads(json.dumps(config)))
    assert type(again) is type(constraint)
    assert again.get_config() == constraint.get_config()


def test_names():
    assert constraints.get(None) is None
    for name, kind in (("max_norm", MaxNorm), ("UnitNorm", UnitNorm), (NonNeg, NonNeg)):
        assert type(constraints.get(name)) is kind
    assert constraints.max_norm is MaxNorm
    with pytest.raises(ValueError, match="Could not interpret constraint identifier: norm"):
        layers.Dense(3, kernel_constraint="norm")
    with pytest.raises(ValueError, match="`axis` must be an integer or a list of integers"):
        MaxNorm(2, axis="0")
