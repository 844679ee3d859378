"""Copies and pickles of models, in whatever state they and their optimizers are."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from fastml import keras
from fastml.keras import layers, optimizers
from fastml.neural_network import SequentialClassifier

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)).astype("f")
Y = RNG.integers(0, 3, 60)
WAYS = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "clone": lambda model: clone(model, safe=False),
}
OPTIMIZERS = {
    "adam": lambda: "adam",
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "sgd": lambda: "sgd",
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "schedule": lambda: optimizers.RMSprop(optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
}


def compiled(optimizer, with_input=True):
    model = keras.Sequential(
        [
            *([keras.Input((4,))] if with_input else []),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def built(model):
    model.optimizer.build(model.trainable_variables)


def trained(model):
    model.fit(X, Y, epochs=2, verbose=0)


def frozen_after_training(model):
    trained(model)
    model.layers[0].trainable = False


def assert_equal_variables(one, other):
    for pair in zip(
        [*one.variables, *one.optimizer.variables],
        [*other.variables, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(*map(np.asarray, pair))


@pytest.mark.parametrize("state", [lambda model: None, built, trained, frozen_after_training])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_goes_on_as_the_model_does(way, optimizer, state):
    model = compiled(OPTIMIZERS[optimizer]())
    state(model)
    again = WAYS[way](model)
    assert again is not model
    assert (again.compiled, again.optimizer.built) == (True, model.optimizer.built)
    assert_equal_variables(again, model)
    if state is frozen_after_training:
        model.compile(model.optimizer, model.loss)  # the copy is one that has not been used
    for each in (model, again):
        each.fit(X, Y, shuffle=False, verbose=0)
    assert_equal_variables(again, model)


@pytest.mark.parametrize("way", WAYS)
def test_without_variables_or_compilation(way):
    model = WAYS[way](compiled("adam", with_input=False))
    assert not model.built
    model.fit(X, Y, verbose=0)
    plain = WAYS[way](keras.Sequential([keras.Input((4,)), layers.Dense(3)]))
    assert not plain.compiled
    assert plain.optimizer is None


def test_an_optimizer_s_variables_that_the_model_has_not():
    model = compiled("adam")
    trained(model)
    model.pop()
    with pytest.raises(ValueError, match="no longer has all layers that its optimizer was built for"):
        pickle.dumps(model)


def test_an_estimator_of_a_compiled_model():
    given = compiled("adam")
    model = SequentialClassifier(given, epochs=2, random_state=0)
    expected = model.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(clone(model).fit(X, Y).predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)
    trained(given)
    assert clone(model).fit(X, Y).predict_proba(X).shape == (60, 3)


def test_an_optimizer_keeps_the_state_of_what_is_frozen_for_a_while():
    model = compiled(optimizers.SGD(0.1, momentum=0.9))
    trained(model)
    before = [variable.numpy() for variable in model.optimizer.variables]
    model.layers[0].trainable = False
    model.compile(model.optimizer, model.loss)
    trained(model)
    names = [variable.name for variable in model.optimizer.variables]
    after = [variable.numpy() for variable in model.optimizer.variables]
    unchanged = [name for name, *values in zip(names, before, after) if np.array_equal(*values)]
    assert unchanged == [
        "learning_rate",
        *(name for name in names if "dense_kernel" in name or "dense_bias" in name),
    ]
    model.layers[0].trainable = True
    model.compile(model.optimizer, model.loss)
    for variable, value in zip(model.optimizer.variables, after):
        np.testing.assert_array_equal(variable, value)
    trained(model)
    assert all(
        np.abs(variable.numpy() - value).max() > 0
        for variable, value in zip(model.optimizer.variables[2:], after[2:])
    )
