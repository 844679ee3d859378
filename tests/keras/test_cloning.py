"""clone_model, to_json and model_from_json."""

import json

import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers
from fastml.keras.models import clone_model, model_from_json

X = np.random.default_rng(0).standard_normal((8, 3)).astype("f")


def compiled():
    model = keras.Sequential(
        [
            keras.Input((3,), name="x"),
            layers.Dense(4, activation="tanh", name="a", trainable=False),
            layers.BatchNormalization(),
            layers.Dense(1, name="b", kernel_regularizer="l2"),
        ],
        name="net",
    )
    model.compile(keras.optimizers.Adam(0.5), "mse", metrics=["mae"])
    model.fit(X, X[:, :1], epochs=3, verbose=0)
    return model


def nested():
    inner = keras.Sequential([layers.Dense(2, name="c")], name="inner")
    return keras.Sequential([keras.Input((3,)), inner, layers.Dense(1, name="d")])


WAYS = {"clone": clone_model, "json": lambda model: model_from_json(model.to_json())}


@pytest.mark.parametrize("way", WAYS)
def test_configuration_and_compilation_but_no_weights(way):
    model = compiled()
    again = WAYS[way](model)
    assert again.get_config() == model.get_config()
    assert again.get_compile_config() == model.get_compile_config()
    assert [layer.trainable for layer in again.layers] == [False, True, True]
    assert np.abs(again.get_weights()[0] - model.get_weights()[0]).max() > 0.1
    np.testing.assert_array_equal(again.layers[1].moving_mean, np.zeros(4))
    assert int(again.optimizer.iterations) == 0
    assert float(again.optimizer.learning_rate) == 0.5
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    again.fit(X, X[:, :1], verbose=0)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.parametrize("way", WAYS)
def test_models_that_are_not_built_or_compiled(way):
    model = WAYS[way](keras.Sequential([layers.Dense(3, name="q")]))
    assert (model.built, model.compiled, model.layers[0].name) == (False, False, "q")
    assert WAYS[way](keras.Sequential(name="empty")).layers == []
    again = WAYS[way](nested())
    assert again.get_config() == nested().get_config() | {
        "name": again.name,
        "layers": again.get_config()["layers"],
    }
    assert again.predict(X, verbose=0).shape == (8, 1)


def test_a_frozen_model():
    model = compiled()
    model.trainable = False
    assert clone_model(model).trainable_weights == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_another_input(wrapped):
    given = keras.Input((5,), name="wide")
    clone = clone_model(compiled(), input_tensors=[given] if wrapped else given)
    assert clone.input_shape == (None, 5)
    assert clone.layers[0].kernel.shape == (5, 4)


def test_other_layers():
    model, seen = compiled(), []

    def wider(layer):
        seen.append(layer.name)
        return (
            layers.Dense(7, name="a2") if layer.name == "a" else type(layer).from_config(layer.get_config())
        )

    clone = clone_model(model, clone_function=wider)
    assert seen == ["a", "batch_normalization", "b"]
    assert [layer.name for layer in clone.layers] == ["a2", "batch_normalization", "b"]
    assert clone.layers[2].kernel.shape == (7, 1)
    same = clone_model(model, clone_function=lambda layer: layer)
    assert same.layers == model.layers
    np.testing.assert_array_equal(same.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("recursive", [False, True])
def test_models_that_are_layers(recursive):
    seen = []

    def cloned(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    model = nested()
    clone = clone_model(model, clone_function=cloned, recursive=recursive)
    assert seen == (["c", "d"] if recursive else ["inner", "d"])
    assert clone.layers[0] is not model.layers[0]
    assert clone.layers[0].layers[0] is not model.layers[0].layers[0]
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]


def test_a_layer_in_two_places_is_one_again():
    shared = layers.Activation("relu")
    model = keras.Sequential([keras.Input((3,)), shared, layers.Dense(2), shared])
    clone = clone_model(model)
    assert clone.layers[0] is clone.layers[2]
    assert clone.layers[0] is not shared


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_tensors": np.ones((2, 3))}, "`input_tensors` must be an `Input`"),
        ({"input_tensors": [keras.Input((3,)), keras.Input((3,))]}, "must contain a single tensor"),
        ({"call_function": lambda layer, *args: layer(*args)}, "`call_function` argument is not supported"),
        ({"clone_function": 3}, "Expected `clone_function` argument to be a callable.*=3"),
        ({"clone_function": lambda layer: None}, "Only instances of `keras.Layer`.*None"),
        ({"caches": {}}, r"Unexpected keyword argument\(s\): \('caches',\)"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        clone_model(compiled(), **arguments)


@pytest.mark.parametrize("model", [3, None, layers.Dense(3)])
def test_what_is_no_model(model):
    with pytest.raises(ValueError, match="Expected `model` argument to be a `Sequential` model instance"):
        clone_model(model)


def loss_of_mine(y_true, y_pred):
    return np.abs(y_true - y_pred)


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_configuration(way):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", loss_of_mine)
    with pytest.raises(TypeError, match=r"Cannot serialize object .*loss_of_mine"):
        WAYS[way](model)


def test_json_is_laid_out_as_asked():
    model = compiled()
    assert model.to_json(indent=1).startswith('{\n "module": "keras"')
    assert json.loads(model.to_json(indent=1, sort_keys=True)) == json.loads(model.to_json())
    assert model_from_json(model.to_json().encode()).name == "net"


LAYER = {"module": "keras.layers", "class_name": "Mine", "config": {"units": 2}, "registered_name": "Mine"}


def text_of(*of_layers):
    config = json.loads(keras.Sequential([keras.Input((3,))], name="m").to_json())
    config["config"]["layers"] += of_layers
    return json.dumps(config)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "Expecting property name"),
        ("3", "json_string is no Sequential model.*None"),
        ("{}", "json_string is no Sequential model.*None"),
        (
            '{"class_name": "Functional", "module": "keras", "config": {}}',
            "no Sequential model.*'Functional'",
        ),
        ('{"class_name": "Sequential", "module": "keras", "config": {}}', "'name' and 'layers'"),
        (
            '{"class_name": "Sequential"}',
            "json_string does not describe a model: its 'config' is None",
        ),
        ("[" * 100_000, "nested too deeply"),
        (text_of(LAYER), "Could not locate class 'Mine'"),
        (text_of(LAYER | {"class_name": "Lambda"}), "Lambda"),
        (
            text_of(LAYER | {"class_name": "Dense", "config": {"size": 2}}),
            "json_string does not describe a model: .*units",
        ),
        (text_of(LAYER | {"class_name": "Dense", "config": 3}), "json_string does not describe a model"),
    ],
)
def test_texts_that_are_refused(text, match):
    with pytest.raises(ValueError, match=match):
        model_from_json(text)


def test_custom_objects():
    class Mine(layers.Dense):
        pass

    flat = text_of(LAYER)
    inner = json.loads(flat)
    deep = text_of(inner | {"config": inner["config"] | {"name": "inner"}})
    assert type(model_from_json(flat, custom_objects={"Mine": Mine}).layers[0]) is Mine
    assert type(model_from_json(deep, custom_objects={"Mine": Mine}).layers[0].layers[0]) is Mine
    for text in (flat, deep):
        with pytest.raises(ValueError, match="Could not locate class 'Mine'"):
            model_from_json(text)
