"""Shapes and types of what goes into layers and comes out of them, as Keras' symbolic tensors tell them."""

import pickle

import numpy as np
import pytest

from fastml import keras
from fastml.keras import KerasTensor, layers


def images():
    return keras.Sequential(
        [keras.Input((6, 5, 2), name="inp"), layers.Conv2D(4, 3, name="c"), layers.Flatten(), layers.Dense(3)]
    )


def test_a_model_s():
    """Keras' ``model.input`` and ``model.output`` are there for models that were called with a tensor."""
    model = images()
    (first,), (last,) = model.inputs, model.outputs
    assert (first.shape, first.dtype, first.name, first.ndim) == ((None, 6, 5, 2), "float32", "inp", 4)
    assert (last.shape, last.dtype) == ((None, 3), "float32")
    assert (
        repr(first)
        == "<KerasTensor shape=(None, 6, 5, 2), dtype=float32, sparse=False, ragged=False, name=inp>"
    )
    assert model.input is first
    assert model.output is last
    assert (model.input_shape, model.output_shape) == (first.shape, last.shape)


def test_layers_hang_together():
    model = images()
    conv, flatten, dense = model.layers
    assert conv.input is model.input
    assert flatten.input is conv.output
    assert dense.input is flatten.output
    assert [layer.output.shape for layer in model.layers] == [(None, 4, 3, 4), (None, 48), (None, 3)]
    model.add(layers.Dense(2))
    assert model.layers[-1].input is dense.output
    assert model.output.shape == (None, 2)
    model.pop()
    assert model.output is dense.output


def test_of_what_is_not_built():
    model = keras.Sequential([layers.Dense(3, name="d")], name="u")
    with pytest.raises(AttributeError, match="Sequential model 'u' has no defined inputs yet"):
        model.inputs  # noqa: B018
    with pytest.raises(AttributeError, match="Sequential model 'u' has no defined outputs yet"):
        model.output  # noqa: B018
    with pytest.raises(
        AttributeError, match="The layer d has never been called and thus has no defined output"
    ):
        model.layers[0].output  # noqa: B018
    assert not hasattr(model, "input")
    model(np.ones((5, 4), "f"))
    assert model.input.shape == (None, 4)
    assert model.layers[0].output.shape == (None, 3)


def test_types():
    model = keras.Sequential([keras.Input((2,), dtype="uint8"), layers.Dense(3, dtype="float64")])
    assert (model.input.dtype, model.output.dtype) == ("uint8", "float64")
    layer = model.layers[0]
    assert (layer.dtype, layer.compute_dtype, layer.variable_dtype) == ("float64",) * 3
    assert keras.Input((2, None), batch_size=3).shape == (3, 2, None)


def test_a_model_in_a_model():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    assert inner.output.shape == model.layers[1].input.shape == (None, 3)
    assert model.output.shape == (None, 2)


def test_names_count_up():
    assert [KerasTensor((None, 3)).name for _ in range(2)] == ["keras_tensor", "keras_tensor_1"]


def test_they_pickle():
    again = pickle.loads(pickle.dumps(images()))
    assert again.layers[0].output.shape == (None, 4, 3, 4)
    assert pickle.loads(pickle.dumps(images().output)).shape == (None, 3)


NOT_COMPUTED = [
    lambda t: t + 1,
    lambda t: 2.0 * t,
    lambda t: np.ones(3) * t,
    lambda t: t @ t,
    lambda t: -t,
    lambda t: t[0],
    list,
    lambda t: t > 0,
    lambda t: layers.Dense(3)(t),
    lambda t: keras.Sequential([layers.Dense(3)])(t),
    lambda t: layers.Dense(3)(keras.Input((3,))),
    lambda t: keras.Model(t, t),
]


@pytest.mark.parametrize("compute", NOT_COMPUTED, ids=range(len(NOT_COMPUTED)))
def test_nothing_is_computed_with_them(compute):
    with pytest.raises(
        NotImplementedError, match=r"has Sequential models only.*Sequential\(model.layers\[:k\]\)"
    ):
        compute(images().output)


@pytest.mark.parametrize("use", [float, int, np.asarray])
def test_they_have_no_value(use):
    with pytest.raises(ValueError, match="A KerasTensor is symbolic"):
        use(images().output)


def test_they_are_neither_true_nor_false():
    with pytest.raises(TypeError, match="cannot be used as a boolean"):
        bool(images().output)


def test_the_first_layers_as_a_model_of_their_own():
    """What errors recommend in place of ``Model(model.input, layer.output)``."""
    model = images()
    features = keras.Sequential(model.layers[:2])
    X = np.random.default_rng(0).standard_normal((3, 6, 5, 2)).astype("f")
    kernel, bias = model.layers[2].get_weights()
    np.testing.assert_allclose(features.predict(X, verbose=0) @ kernel + bias, model(X), rtol=1e-5, atol=1e-6)
    assert features.layers[0] is model.layers[0]
