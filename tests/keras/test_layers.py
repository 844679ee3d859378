"""Layers: shapes, weights, values, configurations, what is refused."""

import json

import numpy as np
import pytest

from fastml import keras
from fastml.keras import layers

IMAGE, SEQUENCE = (8, 9, 4), (10, 4)

# What makes a layer, the shape of its input and of its output, and those of its weights.
LAYERS = [
    (lambda: layers.Dense(5), (7,), (5,), [(7, 5), (5,)]),
    (lambda: layers.Dense(5, use_bias=False), IMAGE, (8, 9, 5), [(4, 5)]),
    (lambda: layers.Conv2D(6, 3), IMAGE, (6, 7, 6), [(3, 3, 4, 6), (6,)]),
    (
        lambda: layers.Conv2D(6, (3, 2), strides=2, padding="same"),
        IMAGE,
        (4, 5, 6),
        [(3, 2, 4, 6), (6,)],
    ),
    (lambda: layers.Conv2D(6, 3, groups=2, dilation_rate=2), IMAGE, (4, 5, 6), [(3, 3, 2, 6), (6,)]),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE, (6, 7, 8), [(3, 3, 4, 2), (8,)]),
    (
        lambda: layers.SeparableConv2D(5, 3, padding="same"),
        IMAGE,
        (8, 9, 5),
        [(3, 3, 4, 1), (1, 1, 4, 5), (5,)],
    ),
    (lambda: layers.Conv1D(5, 3, padding="causal"), SEQUENCE, (10, 5), [(3, 4, 5), (5,)]),
    (lambda: layers.MaxPooling1D(3, 2, padding="same"), SEQUENCE, (5, 4), []),
    (lambda: layers.AveragePooling1D(2), SEQUENCE, (5, 4), []),
    (lambda: layers.MaxPooling2D(), IMAGE, (4, 4, 4), []),
    (lambda: layers.AveragePooling2D(3, strides=(1, 2)), IMAGE, (6, 4, 4), []),
    (lambda: layers.GlobalAveragePooling2D(), IMAGE, (4,), []),
    (lambda: layers.GlobalMaxPooling2D(keepdims=True), IMAGE, (1, 1, 4), []),
    (lambda: layers.Flatten(), IMAGE, (288,), []),
    (lambda: layers.Reshape((-1, 6)), IMAGE, (48, 6), []),
    (lambda: layers.Permute((3, 1, 2)), IMAGE, (4, 8, 9), []),
    (lambda: layers.ZeroPadding2D(((1, 2), (0, 3))), IMAGE, (11, 12, 4), []),
    (lambda: layers.Cropping2D((1, 2)), IMAGE, (6, 5, 4), []),
    (lambda: layers.UpSampling2D((2, 3)), IMAGE, (16, 27, 4), []),
    (lambda: layers.UpSampling2D(2, interpolation="bilinear"), IMAGE, (16, 18, 4), []),
    (lambda: layers.Dropout(0.4), IMAGE, IMAGE, []),
    (lambda: layers.BatchNormalization(), IMAGE, IMAGE, [(4,)] * 4),
    (lambda: layers.BatchNormalization(axis=1, center=False), IMAGE, IMAGE, [(8,)] * 3),
    (lambda: layers.LayerNormalization(axis=[-2, -1]), IMAGE, IMAGE, [(9, 4)] * 2),
    (lambda: layers.LayerNormalization(axis=1), IMAGE, IMAGE, [(8,)] * 2),
    (lambda: layers.LayerNormalization(axis=(1, 3), scale=False), IMAGE, IMAGE, [(8, 4)]),
    (lambda: layers.Activation("selu"), IMAGE, IMAGE, []),
    (lambda: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), IMAGE, IMAGE, []),
    (lambda: layers.LeakyReLU(), IMAGE, IMAGE, []),
    (lambda: layers.ELU(0.5), IMAGE, IMAGE, []),
    (lambda: layers.Softmax(axis=1), IMAGE, IMAGE, []),
    (lambda: layers.Rescaling(1 / 255, -0.5), IMAGE, IMAGE, []),
]


def _name(case):
    layer = case[0]()
    return f"{type(layer).__name__}-{LAYERS.index(case)}"


each_layer = pytest.mark.parametrize(
    ("make", "shape", "output_shape", "weights"), LAYERS, ids=[_name(case) for case in LAYERS]
)


@each_layer
def test_shapes(make, shape, output_shape, weights):
    layer = make()
    model = keras.Sequential([keras.Input(shape), layer])
    assert model.output_shape == (None, *output_shape)
    assert [w.shape for w in layer.weights] == weights
    assert layer.count_params() == sum(int(np.prod(w)) for w in weights)
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    assert model.predict(x, verbose=0).shape == (3, *output_shape)
    np.testing.assert_allclose(layer(x), model(x), rtol=1e-6)


@each_layer
def test_configurations_come_back(make, shape, output_shape, weights):
    layer = make()
    layer.ensure_built((None, *shape))
    written = json.loads(json.dumps(layers.serialize(layer)))
    again = layers.deserialize(written)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert [w.shape for w in again.weights] == weights


def test_average_pooling_does_not_count_padding():
    ones = np.ones((1, 3, 3, 1), "float32")
    np.testing.assert_array_equal(layers.AveragePooling2D(2, 2, padding="same")(ones), np.ones((1, 2, 2, 1)))


def test_separable_convolution_is_two():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 6, 6, 3)).astype("float32")
    separable = layers.SeparableConv2D(4, 3, depth_multiplier=2)
    both = separable(x)
    depthwise, pointwise = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), layers.Conv2D(4, 1)
    pointwise(depthwise(x))
    depthwise.set_weights(separable.get_weights()[:1])
    pointwise.set_weights(separable.get_weights()[1:])
    np.testing.assert_allclose(pointwise(depthwise(x)), both, rtol=1e-5, atol=1e-6)


def test_batch_normalization_keeps_moving_means():
    rng = np.random.default_rng(2)
    x = (3 + 2 * rng.standard_normal((50, 4))).astype("float32")
    layer = layers.BatchNormalization(momentum=0.9)
    out = layer(x, training=True)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * x.var(axis=0), rtol=1e-5)
    moving = layer.get_weights()
    layer.trainable = False
    layer(x, training=True)
    for before, after in zip(moving, layer.get_weights()):
        np.testing.assert_array_equal(before, after)


def test_dropout():
    x = np.ones((4, 1000), "float32")
    layer = layers.Dropout(0.25, seed=3)
    first, second = layer(x, training=True), layer(x, training=True)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.75)}
    assert 0.2 < np.mean(first == 0) < 0.3
    assert (first != second).any()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layers.Dropout(0.25, seed=3)(x, training=True), first)
    assert layer.variables[-1].value.tolist() == [3, 2]


REFUSED = [
    (lambda: layers.Dense(0), "Received an invalid value for `units`"),
    (lambda: layers.Dense(3, activation="softsoft"), "Could not interpret activation function identifier"),
    (lambda: layers.Dense(3, kernel_initializer="glorot"), "Could not interpret initializer identifier"),
    (lambda: layers.Dense(3, foo=1), "Unrecognized keyword arguments passed to Dense"),
    (lambda: layers.Dense(3, dtype="float16"), "computes in float32 and float64"),
    (lambda: layers.Conv2D(0, 3), "Expected a strictly positive value. Received filters=0"),
    (lambda: layers.Conv2D(5, 3, groups=2), "must be evenly divisible by the number of groups"),
    (lambda: layers.Conv2D(4, (3, 3, 3)), "`kernel_size` argument must be a tuple of 2 integers"),
    (lambda: layers.Conv2D(4, 0), "do not satisfy `value > 0`"),
    (lambda: layers.Conv2D(4, 3, padding="full"), "The `padding` argument must be"),
    (lambda: layers.Conv2D(4, 3, padding="causal"), "The `padding` argument must be"),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "`strides > 1` not supported"),
    (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "channels last only"),
    (lambda: layers.DepthwiseConv2D(3, strides=(1, 2)), "must be equal"),
    (lambda: layers.Dropout(1.5), "Expected a float value between 0 and 1"),
    (lambda: layers.Permute((1, 3)), "consecutive and start from 1"),
    (lambda: layers.Reshape((-1, -1)), "at most one unknown dimension"),
    (lambda: layers.ReLU(max_value=-1.0), "cannot be a negative value"),
    (lambda: layers.LeakyReLU(negative_slope=None), "cannot be None or negative value"),
    (lambda: layers.UpSampling2D(2, interpolation="bicubic"), "'nearest' or 'bilinear'"),
    (lambda: layers.InputLayer(), "You must pass a `shape` argument"),
    (lambda: keras.Input((3, "a")), "Found invalid dimension 'a'"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_arguments_that_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


BAD_SHAPES = [
    (lambda: layers.Conv2D(4, 3), (5, 2), "'conv2d' is incompatible with the layer: expected min_ndim=4"),
    (lambda: layers.Conv2D(4, 9), (8, 8, 1), "'conv2d': computed output size would be zero or negative"),
    (lambda: layers.Conv2D(4, 3, groups=2), (8, 8, 3), "evenly divisible by the number of groups"),
    (lambda: layers.MaxPooling2D(9), (8, 8, 1), "'max_pooling2d': computed output size would be negative"),
    (
        lambda: layers.MaxPooling2D(),
        (8, 8),
        "'max_pooling2d' is incompatible with the layer: expected ndim=4",
    ),
    (lambda: layers.Reshape((5, 5)), (8, 3), "'reshape': the total size of the tensor must be unchanged"),
    (lambda: layers.Cropping2D(4), (8, 8, 1), "should be smaller than the corresponding spatial dimension"),
    (lambda: layers.BatchNormalization(axis=4), (8, 8, 1), "Axis 4 is out of bounds"),
    (lambda: layers.LayerNormalization(axis=0), (8, 8, 1), "over axes of a sample"),
    (lambda: layers.Dense(3), (None,), "which must be fully defined"),
]


@pytest.mark.parametrize(("make", "shape", "message"), BAD_SHAPES)
def test_shapes_that_do_not_fit_are_named_with_the_layer(make, shape, message):
    with pytest.raises(ValueError, match=message):
        keras.Sequential([keras.Input(shape), make()])


@each_layer
def test_a_layer_that_was_built_by_hand_keeps_its_weights(make, shape, output_shape, weights):
    layer = make()
    layer.build((None, *shape))
    layer.build((None, *shape))
    assert layer.built
    given = [np.full(w, 0.5, "float32") for w in weights]
    layer.set_weights(given)
    model = keras.Sequential([keras.Input(shape), layer])
    assert model.predict(np.ones((2, *shape), "float32"), verbose=0).shape == (2, *output_shape)
    np.testing.assert_equal(model.get_weights(), given)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2), (1, 3), (1, 2, 3)])
def test_layers_are_normalised_over_any_axes(axes):
    x = np.random.default_rng(0).normal(3, 2, (5, 4, 3, 2)).astype("float32")
    layer = layers.LayerNormalization(axis=axes)
    layer.build(x.shape)
    weights = [np.arange(w.size, dtype="float32").reshape(w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    normalised = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + layer.epsilon)
    shape = [x.shape[i] if i in axes else 1 for i in range(4)]
    gamma, beta = (w.reshape(shape) for w in weights)
    np.testing.assert_allclose(layer(x), normalised * gamma + beta, rtol=1e-4, atol=1e-4)


def test_a_layer_refuses_other_inputs_than_it_was_built_for():
    layer = layers.Dense(3)
    layer(np.zeros((2, 4), "float32"))
    with pytest.raises(
        ValueError, match="expected axis -1 of input shape to have value 4, but received input"
    ):
        layer(np.zeros((2, 5), "float32"))


def test_an_activation_of_the_users_own_has_no_gradient():
    with pytest.raises(TypeError, match=r"must be one of fastml\.keras\.activations"):
        keras.Sequential([keras.Input((3,)), layers.Dense(2, activation=np.sin)]).predict(
            np.zeros((1, 3)), verbose=0
        )


def test_layers_without_nodes_say_so():
    class Mine(layers.Layer):
        def call(self, inputs):
            return inputs

    with pytest.raises(NotImplementedError, match="Mine does not have a `make_nodes"):
        Mine()(np.zeros((1, 3)))


def test_input_shape_of_the_first_layer():
    with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
        model = keras.Sequential([layers.Dense(3, input_shape=(4,))])
    assert model.input_shape == (None, 4)
    assert [w.shape for w in model.weights] == [(4, 3), (3,)]


def test_set_weights_checks():
    layer = layers.Dense(3)
    layer.ensure_built((None, 4))
    with pytest.raises(ValueError, match="list of length 1, but the layer was expecting 2 weights"):
        layer.set_weights([np.zeros((4, 3))])
    with pytest.raises(
        ValueError, match=r"weight shape \(4, 3\) is not compatible with provided weight shape \(3, 4\)"
    ):
        layer.set_weights([np.zeros((3, 4)), np.zeros(3)])
