"""What is trained when ``trainable`` changes: Keras keeps what held at the first use since ``compile``."""

import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3)).astype("f")
Y = RNG.standard_normal((20, 1)).astype("f")

USES = {
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
}
FIRST, MIDDLE, LAST = (
    {"first/kernel", "first/bias"},
    {"middle/gamma", "middle/beta"},
    {"last/kernel", "last/bias"},
)
STATISTICS = {"middle/moving_mean", "middle/moving_variance"}
ALL = FIRST | MIDDLE | STATISTICS | LAST


def compiled(optimizer, frozen=None):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="tanh", name="first", kernel_regularizer="l2"),
            layers.BatchNormalization(name="middle"),
            layers.Dense(1, name="last"),
        ]
    )
    if frozen is not None:
        model.get_layer(frozen).trainable = False
    model.compile(optimizer, "mse")
    return model


def moved(model, use):
    """The variables that a use changes."""
    before = model.get_weights()
    USES[use](model)
    weights = {"/".join(v.path.split("/")[-2:]): v.numpy() for v in model.weights}
    return {name for (name, after), value in zip(weights.items(), before) if (after != value).any()}


every = [
    pytest.mark.parametrize("use", USES),
    pytest.mark.parametrize("optimizer", ["sgd", "adam"]),
]


def of_each(test):
    for mark in every:
        test = mark(test)
    return test


@of_each
def test_frozen_before_the_first_use(optimizer, use):
    model = compiled(optimizer)
    model.get_layer("first").trainable = False
    assert moved(model, use) == ALL - FIRST
    model.get_layer("first").trainable = True
    assert moved(model, use) == ALL - FIRST


@of_each
def test_frozen_afterwards(optimizer, use):
    model = compiled(optimizer)
    assert moved(model, use) == ALL
    model.trainable = False
    assert model.trainable_variables == []
    assert moved(model, use) == ALL
    model.predict(X, verbose=0)
    assert moved(model, use) == ALL
    model.get_layer("last").trainable = True
    model.compile(optimizer, "mse")
    assert moved(model, use) == LAST


@of_each
def test_thawed_afterwards(optimizer, use):
    model = compiled(optimizer, frozen="middle")
    assert moved(model, use) == FIRST | LAST
    model.get_layer("middle").trainable = True
    assert moved(model, use) == FIRST | LAST
    model.compile(model.optimizer, "mse")
    with pytest.raises(ValueError, match="Unknown variable"):
        USES[use](model)
    model.compile(optimizer, "mse")
    assert moved(model, use) == ALL


@of_each
def test_a_built_optimizer_is_no_use(optimizer, use):
    model = compiled(optimizer)
    model.optimizer.build(model.trainable_variables)
    model.evaluate(X, Y, verbose=0)
    model.get_layer("first").trainable = False
    assert moved(model, use) == ALL - FIRST


@of_each
def test_nothing_to_train(optimizer, use):
    model = compiled(optimizer)
    model.trainable = False
    with pytest.warns(UserWarning, match="The model does not have any trainable weights"):
        assert moved(model, use) == set()


def test_each_method_has_its_own_first_use():
    model = compiled("adam")
    assert moved(model, "fit") == ALL
    model.get_layer("first").trainable = False
    assert moved(model, "train_on_batch") == ALL - FIRST
    assert moved(model, "fit") == ALL


def test_what_changes_within_fit():
    model, kernels = compiled("adam"), []

    class Freezes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.get_layer("first").trainable = epoch < 1
            kernels.append(model.get_layer("first").kernel.numpy())

    model.fit(X, Y, batch_size=7, epochs=3, verbose=0, callbacks=[Freezes()])
    assert np.abs(np.diff(kernels, axis=0)).max(axis=(1, 2)).min() > 0


def test_other_shapes_of_samples_and_a_shared_layer_train_the_same():
    """A network that is made anew for what was compiled before."""
    filters = layers.Conv2D(2, (3, 1))
    model = keras.Sequential(
        [keras.Input((None, 1, 1)), filters, layers.GlobalAveragePooling2D(), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    images, larger = X[..., None, None], np.tile(X, 2)[..., None, None]
    model.fit(images, Y, verbose=0)
    filters.trainable = False
    other = keras.Sequential([keras.Input((5, 1, 1)), filters, layers.Flatten(), layers.Dense(1)])
    other.compile("adam", "mse")
    for given in (larger, images):
        before = filters.get_weights()
        other.fit(larger[:, :5], Y, verbose=0)
        for own, value in zip(filters.get_weights(), before):
            np.testing.assert_array_equal(own, value)
        model.fit(given, Y, verbose=0)
        assert all((own != value).any() for own, value in zip(filters.get_weights(), before))


def test_penalties_are_of_what_was_trained_at_the_first_use():
    model = compiled(keras.optimizers.SGD(0.0))
    penalty = 0.01 * float(np.square(model.get_layer("first").kernel.numpy()).sum())
    with_penalty = model.evaluate(X, Y, verbose=0)
    model.get_layer("first").trainable = False
    assert model.evaluate(X, Y, verbose=0) == with_penalty
    model.compile("sgd", "mse")
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(with_penalty - penalty, rel=1e-5)


def test_frozen_normalisation_in_a_call():
    """A call has the state of the moment, whatever was compiled."""
    model = compiled(keras.optimizers.SGD(0.0))
    model.fit(X, Y, verbose=0)
    assert np.abs(model(X, training=True) - model(X)).max() > 1e-3
    model.get_layer("middle").trainable = False
    np.testing.assert_array_equal(model(X, training=True), model(X))
