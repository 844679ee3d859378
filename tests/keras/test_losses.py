"""Losses as functions and objects; their gradients are tested with the networks."""

import json

import numpy as np
import pytest

from fastml import keras
from fastml.keras import losses

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 8)
ONE_HOT = np.eye(3)[LABELS]
P = RNG.dirichlet(np.ones(3), 8)
LOGITS = np.log(P) + RNG.standard_normal((8, 1))
REAL, OTHER = RNG.standard_normal((2, 8, 3))
YES = RNG.integers(0, 2, (8, 3)).astype(float)

VALUES = [
    (lambda: losses.mean_squared_error(REAL, OTHER), ((REAL - OTHER) ** 2).mean(1)),
    (lambda: losses.mean_absolute_error(REAL, OTHER), np.abs(REAL - OTHER).mean(1)),
    (lambda: losses.mean_absolute_percentage_error(REAL, OTHER), 100 * np.abs(1 - OTHER / REAL).mean(1)),
    (lambda: losses.mean_squared_logarithmic_error(P, YES), ((np.log1p(P) - np.log1p(YES)) ** 2).mean(1)),
    (lambda: losses.log_cosh(REAL, OTHER), np.log(np.cosh(REAL - OTHER)).mean(1)),
    (
        lambda: losses.cosine_similarity(REAL, OTHER),
        -(REAL * OTHER).sum(1) / np.linalg.norm(REAL, axis=1) / np.linalg.norm(OTHER, axis=1),
    ),
    (lambda: losses.hinge(YES, REAL), np.maximum(1 - (2 * YES - 1) * REAL, 0).mean(1)),
    (lambda: losses.kl_divergence(P, P[::-1]), (P * np.log(P / P[::-1])).sum(1)),
    (lambda: losses.poisson(YES, P), (P - YES * np.log(P + 1e-7)).mean(1)),
    (lambda: losses.sparse_categorical_crossentropy(LABELS, P), -np.log(P[np.arange(8), LABELS])),
    (
        lambda: losses.sparse_categorical_crossentropy(LABELS[:, None], LOGITS, from_logits=True),
        -np.log(P[np.arange(8), LABELS]),
    ),
    (
        lambda: losses.sparse_categorical_crossentropy(LABELS, P, ignore_class=1),
        np.where(LABELS == 1, 0, -np.log(P[np.arange(8), LABELS])),
    ),
    (lambda: losses.categorical_crossentropy(ONE_HOT, 5 * P), -np.log(P[np.arange(8), LABELS])),
    (
        lambda: losses.categorical_crossentropy(ONE_HOT, LOGITS, from_logits=True, label_smoothing=0.3),
        -((0.7 * ONE_HOT + 0.1) * np.log(P)).sum(1),
    ),
    (lambda: losses.binary_crossentropy(YES, P), -(YES * np.log(P) + (1 - YES) * np.log(1 - P)).mean(1)),
    (
        lambda: losses.binary_crossentropy(YES, np.log(P / (1 - P)), from_logits=True),
        -(YES * np.log(P) + (1 - YES) * np.log(1 - P)).mean(1),
    ),
    (
        lambda: losses.binary_focal_crossentropy(YES, P, gamma=0),
        -(YES * np.log(P) + (1 - YES) * np.log(1 - P)).mean(1),
    ),
    (
        lambda: losses.categorical_focal_crossentropy(ONE_HOT, P, alpha=1.0, gamma=2.0),
        -((1 - P) ** 2 * np.log(P))[np.arange(8), LABELS],
    ),
    (lambda: losses.dice(ONE_HOT, P), 1 - 2 * (ONE_HOT * P).sum() / (8 + P.sum())),
    (lambda: losses.tversky(ONE_HOT, P), 1 - (ONE_HOT * P).sum() / (0.5 * 8 + 0.5 * P.sum())),
]


@pytest.mark.parametrize("case", VALUES, ids=range(len(VALUES)))
def test_values(case):
    np.testing.assert_allclose(case[0](), case[1], rtol=1e-5, atol=1e-9)


def test_reductions():
    values, weight = ((REAL - OTHER) ** 2).mean(1), RNG.uniform(0, 2, 8)

    def loss(reduction, sample_weight=None):
        return losses.MeanSquaredError(reduction=reduction)(REAL, OTHER, sample_weight)

    assert loss("sum_over_batch_size") == pytest.approx(values.mean(), rel=1e-6)
    assert loss("sum_over_batch_size", weight) == pytest.approx((values * weight).mean(), rel=1e-6)
    assert loss("sum", weight) == pytest.approx((values * weight).sum(), rel=1e-6)
    weighted = (values * weight).sum() / weight.sum()
    assert loss("mean_with_sample_weight", weight) == pytest.approx(weighted, rel=1e-6)
    np.testing.assert_allclose(loss(None, weight), values * weight, rtol=1e-6)
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        loss("median")


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name[0].isupper() and name != "Loss"])
def test_configurations_come_back(name):
    loss = getattr(losses, name)()
    again = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("name", "function"),
    [("mse", losses.mean_squared_error), ("KLD", losses.kl_divergence), ("log_cosh", losses.log_cosh)],
)
def test_names(name, function):
    assert losses.get(name) is function
    assert losses.deserialize(losses.serialize(function)) is function


def test_labels_are_checked():
    with pytest.raises(ValueError, match=r"label value of 3 which is outside the valid range of \[0, 3\)"):
        losses.sparse_categorical_crossentropy(np.array([0, 3]), P[:2])
    with pytest.raises(ValueError, match=r"target.shape=\(3,\), output.shape=\(2, 3\)"):
        losses.sparse_categorical_crossentropy(np.zeros(3), P[:2])


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_focal_losses_train_from_logits(activation):
    """To the weights of a model that ends in the activation."""
    cls = {"sigmoid": losses.BinaryFocalCrossentropy, "softmax": losses.CategoricalFocalCrossentropy}[
        activation
    ]
    trained = []
    for from_logits in (True, False):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="zeros")])
        if not from_logits:
            model.add(keras.layers.Activation(activation))
        model.compile(keras.optimizers.SGD(1.0), cls(from_logits=from_logits, label_smoothing=0.1))
        history = model.fit(REAL, ONE_HOT, epochs=5, batch_size=8, verbose=0).history
        trained.append([*model.get_weights(), history["loss"]])
    assert trained[0][2][-1] < trained[0][2][0]
    for of_logits, of_probabilities in zip(*trained):
        np.testing.assert_allclose(of_logits, of_probabilities, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", None])
def test_an_ignored_class_does_not_count(reduction, shape):
    """A mean is that of the rows that are left, as in Keras."""
    loss = losses.SparseCategoricalCrossentropy(ignore_class=1, reduction=reduction)
    every = losses.SparseCategoricalCrossentropy(reduction=reduction)
    left, weight = LABELS != 1, np.linspace(0.5, 2, 8)
    for kept, given in ((None, None), (weight[left], weight)):
        expected = every(LABELS[left], P[left], kept)
        found = loss(LABELS.reshape(shape), P, given)
        np.testing.assert_allclose(found if reduction else found[left], expected, rtol=1e-6)
    nothing_left = loss(np.ones(8, int), P)
    np.testing.assert_array_equal(nothing_left, np.zeros(np.shape(nothing_left)))


def test_what_cannot_be_differentiated_is_refused():
    class Mine(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_true - y_pred).max(axis=-1)

    assert Mine()(REAL, OTHER) == pytest.approx(np.abs(REAL - OTHER).max(1).mean(), rel=1e-6)
    with pytest.raises(TypeError, match="its gradient is not known"):
        Mine().compiled(None)
    with pytest.raises(ValueError, match="ignore_class is not supported in training"):
        losses.SparseCategoricalCrossentropy(ignore_class=0).compiled("softmax")
