"""Training against Keras: numbers that Keras 3.15.1 gave on TensorFlow 2.21.0.

They are what functions of ``keras_reference`` return with ``import keras``, rounded to six digits or
seven.
"""

import numpy as np
import pytest
from keras_reference import N, data, targets, train, train_dense

from fastml import keras
from fastml.keras import optimizers
from fastml.keras.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

X, LABELS, REAL = data()
ONE_HOT = np.eye(3)[LABELS]

# Of two computations in float32 whose sums have other orders.
RTOL = 1e-3

OPTIMIZERS = [
    (lambda: SGD(0.05), [1.17854, 1.15293, 1.14981, 38.0045]),
    (lambda: SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01), [1.17199, 1.15794, 1.13389, 37.2639]),
    (lambda: RMSprop(0.01, centered=True, momentum=0.5), [1.17781, 1.12175, 1.10609, 35.3296]),
    (lambda: Adagrad(0.05), [1.16999, 1.16702, 1.1435, 37.5815]),
    (lambda: Adam(0.01), [1.18463, 1.13659, 1.12557, 36.3609]),
    (lambda: Adam(0.01, amsgrad=True, clipnorm=0.1), [1.18375, 1.13178, 1.12038, 36.3018]),
    (lambda: Adam(0.01, clipvalue=0.01), [1.18275, 1.13116, 1.12101, 36.5441]),
    (lambda: AdamW(0.01, global_clipnorm=0.2), [1.18396, 1.1322, 1.1205, 36.2998]),
    (lambda: Adam(optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)), [1.1759, 1.11716, 1.11012, 36.9861]),
]


@pytest.mark.parametrize(("make", "expected"), OPTIMIZERS, ids=range(len(OPTIMIZERS)))
def test_optimizers(make, expected):
    assert train(keras, make()) == pytest.approx(expected, rel=RTOL)


LOSSES = [
    ("mean_squared_error", "linear", REAL, [0.334248, 0.196434, 0.188485, 37.3011]),
    ("huber", "tanh", REAL, [0.189594, 0.127745, 0.120479, 36.7574]),
    ("binary_crossentropy", "sigmoid", ONE_HOT, [0.772169, 0.737371, 0.71713, 36.4545]),
    ("categorical_crossentropy", "softmax", ONE_HOT, [1.18463, 1.13659, 1.12557, 36.3609]),
    ("categorical_hinge", "linear", ONE_HOT, [1.28166, 1.13892, 1.08168, 37.0266]),
    ("kl_divergence", "softmax", ONE_HOT, [1.18463, 1.13659, 1.12558, 36.3564]),
    ("poisson", "exponential", REAL**2, [1.21762, 1.05583, 0.945091, 38.3097]),
    ("log_cosh", "linear", REAL, [0.188739, 0.125797, 0.118311, 36.6631]),
]


@pytest.mark.parametrize(
    ("loss", "activation", "targets", "expected"), LOSSES, ids=[case[0] for case in LOSSES]
)
def test_losses(loss, activation, targets, expected):
    assert train(keras, Adam(0.01), loss, activation, targets) == pytest.approx(expected, rel=RTOL)


def test_weights_of_samples():
    weighted = train(keras, Adam(0.01), sample_weight=np.linspace(0, 2, N))
    assert weighted == pytest.approx([1.17449, 1.13221, 1.11659, 36.4472], rel=RTOL)
    by_class = train(keras, Adam(0.01), class_weight={0: 1.0, 1: 3.0, 2: 0.5})
    assert by_class == pytest.approx([1.59552, 1.39061, 1.34444, 38.7197], rel=RTOL)


# (loss, its options, targets, activation, units): from logits, whatever the activation and the options say.
CROSSENTROPIES = [
    ("BinaryCrossentropy", {}, "bits", "softmax", 3, [1.724915, 1.625742, 1.306355, 1.076271, 8.12789]),
    (
        "BinaryCrossentropy",
        {"label_smoothing": 0.2},
        "rows",
        "softmax",
        3,
        [1.752564, 1.656187, 1.360177, 1.130649, 7.746812],
    ),
    ("BinaryCrossentropy", {}, "bits", "softmax", 1, [1.60391, 1.454138, 1.021592, 0.8366693, 0.4987291]),
    (
        "BinaryCrossentropy",
        {"from_logits": True},
        "bits",
        "softmax",
        3,
        [1.724915, 1.625742, 1.306355, 1.076271, 8.12789],
    ),
    (
        "BinaryCrossentropy",
        {"from_logits": True},
        "bits",
        "sigmoid",
        1,
        [1.60391, 1.454138, 1.021592, 0.8366693, 0.4987291],
    ),
    (
        "BinaryCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        "bits",
        "sigmoid",
        3,
        [1.7242, 1.625603, 1.311327, 1.082846, 8.079148],
    ),
    ("BinaryCrossentropy", {}, "bits", "sigmoid", 3, [1.724915, 1.625742, 1.306355, 1.076271, 8.12789]),
    (
        "BinaryCrossentropy",
        {"from_logits": True},
        "bits",
        "linear",
        3,
        [1.724915, 1.625742, 1.306355, 1.076271, 8.12789],
    ),
    ("CategoricalCrossentropy", {}, "rows", "sigmoid", 3, [4.194874, 3.428456, 1.68547, 1.383992, 5.489234]),
    (
        "CategoricalCrossentropy",
        {"label_smoothing": 0.2},
        "rows",
        "sigmoid",
        3,
        [4.179884, 3.426219, 1.691135, 1.380776, 5.43622],
    ),
    (
        "CategoricalCrossentropy",
        {"from_logits": True},
        "rows",
        "sigmoid",
        3,
        [4.194874, 3.428456, 1.68547, 1.383992, 5.489234],
    ),
    (
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        "rows",
        "softmax",
        3,
        [4.187379, 3.427325, 1.688302, 1.382367, 5.462199],
    ),
    (
        "CategoricalCrossentropy",
        {"from_logits": True},
        "rows",
        "linear",
        3,
        [4.194874, 3.428456, 1.68547, 1.383992, 5.489234],
    ),
    (
        "SparseCategoricalCrossentropy",
        {},
        "labels",
        "sigmoid",
        3,
        [3.936288, 3.319833, 1.712539, 1.409528, 6.052542],
    ),
    (
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        "labels",
        "sigmoid",
        3,
        [3.936288, 3.319833, 1.712539, 1.409528, 6.052542],
    ),
    (
        "SparseCategoricalCrossentropy",
        {"from_logits": True},
        "labels",
        "softmax",
        3,
        [3.936288, 3.319833, 1.712539, 1.409528, 6.052542],
    ),
    (
        "SparseCategoricalCrossentropy",
        {},
        "labels",
        "hard_sigmoid",
        3,
        [2.841148, 2.67664, 2.406358, 2.356979, 15.28823],
    ),
]


@pytest.mark.parametrize(("loss", "options", "kind", "activation", "units", "expected"), CROSSENTROPIES)
@pytest.mark.filterwarnings("ignore:.*received `from_logits=True`")
def test_crossentropies_and_activations(loss, options, kind, activation, units, expected):
    trained = train_dense(keras, getattr(keras.losses, loss)(**options), kind, activation, units)
    assert trained == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_predictions_are_those_of_the_activation(loss, activation):
    """The loss takes logits, metrics and predictions do not."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=activation)])
    model.compile("sgd", loss, metrics=["mse"])
    rows = np.random.default_rng(0).standard_normal((N, 4)).astype("f")
    y = targets("rows", 3)
    expected = np.square(model(rows) - y).mean()
    assert model.evaluate(rows, y, verbose=0)[1] == pytest.approx(expected, rel=1e-5)


def test_logits_that_are_none():
    from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.warns(
        UserWarning, match="produced by a Softmax activation and thus does not represent logits"
    ):
        train_dense(keras, from_logits, "labels", "softmax", 3)


def test_the_gradient_of_targets_that_do_not_sum_to_1_is_the_loss_s_own():
    """TensorFlow's is that of rows that do."""
    logits = np.array([[0.3, -0.2, 0.5]])
    y = np.array([[1.0, 1.0, 0.0]])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax", use_bias=False)])
    model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy")
    model.set_weights([np.diag(logits[0])])
    model.fit(np.ones((1, 3)), y, verbose=0)
    p = np.exp(logits) / np.exp(logits).sum()
    step = np.diag(logits[0]) - model.get_weights()[0]
    np.testing.assert_allclose(step, np.tile(2 * p - y, (3, 1)), atol=1e-6)
