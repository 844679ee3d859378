"""Export to ONNX, checked with onnxruntime."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from saved_models import models
from test_layers import LAYERS

from fastml import keras
from fastml.keras import activations, layers


def exported(model, path):
    model.export(path, format="onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def assert_same_predictions(model, path, X):
    session = exported(model, path)
    [given], [out] = session.get_inputs(), session.get_outputs()
    [predicted] = session.run(None, {given.name: X})
    expected = model.predict(X, verbose=0)
    assert out.name == "output_0"
    assert predicted.dtype == np.float32
    assert predicted.shape == expected.shape
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-5)


def inputs(shape, n=3):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype("float32")


def randomize(model):
    rng = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(
            rng.uniform(0.5, 1.5, variable.shape) if variable.ndim == 1 else rng.normal(size=variable.shape)
        )


CASES = [
    *[(make, shape) for make, shape, *_ in LAYERS],
    (lambda: layers.Conv2D(4, 3, strides=(2, 3)), (9, 8, 2)),
    (lambda: layers.Conv2D(4, (2, 3), padding="same", dilation_rate=2, use_bias=False), (9, 8, 2)),
    (lambda: layers.DepthwiseConv2D((2, 3), strides=2, padding="same"), (9, 8, 2)),
    (lambda: layers.AveragePooling2D(3, 2, padding="same"), (6, 5, 2)),
    (lambda: layers.LayerNormalization(scale=False), (6, 5)),
    (lambda: layers.Rescaling([0.5, 2.0], [0.0, 1.0]), (4, 5, 2)),
    (lambda: layers.ReLU(max_value=1.5), (7,)),
    (lambda: layers.ReLU(), (7,)),
]


@pytest.mark.parametrize(("make", "shape"), CASES, ids=range(len(CASES)))
def test_layers(make, shape, tmp_path):
    model = keras.Sequential([keras.Input(shape), make()])
    randomize(model)
    assert_same_predictions(model, tmp_path / "model.onnx", inputs(shape))


# All that have defaults for their parameters, as a layer gives none.
@pytest.mark.parametrize("name", sorted(activations._FUNCTIONS.keys() - {"threshold"}))
def test_activations(name, tmp_path):
    model = keras.Sequential([keras.Input((8,)), layers.Activation(name)])
    assert_same_predictions(model, tmp_path / "model.onnx", 3 * inputs((8,), 40))


def test_models(tmp_path):
    for _, model, X in models(keras):
        assert_same_predictions(model, tmp_path / "model.onnx", X)


def test_images_stay_channels_first_from_layer_to_layer(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, activation="gelu"),
            layers.Flatten(),
        ]
    )
    model.export(tmp_path / "model.onnx", format="onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds.count("Transpose") == 2


def test_input_and_output(tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 5, 1), dtype="uint8", name="pixels"), layers.Rescaling(1 / 255), layers.Flatten()]
    )
    session = exported(model, tmp_path / "model.onnx")
    [given], [out] = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("pixels", "tensor(uint8)", ["batch", 4, 5, 1])
    assert out.shape == ["batch", 20]
    X = np.arange(40, dtype=np.uint8).reshape(2, 4, 5, 1)
    np.testing.assert_allclose(session.run(None, {"pixels": X})[0], X.reshape(2, 20) / 255, rtol=1e-6)
    fixed = keras.Sequential([keras.Input((3,), batch_size=7), layers.Dense(2)])
    [given] = exported(fixed, tmp_path / "model.onnx").get_inputs()
    assert given.shape == [7, 3]


def test_float64_is_exported_as_float32(tmp_path):
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 3, dtype="float64")])
    assert_same_predictions(model, tmp_path / "model.onnx", inputs((6, 6, 1)))


@pytest.mark.parametrize("format", ["tf_saved_model", "openvino", "litert", "torch", "h5"])
def test_other_formats_are_refused(format, tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=rf'give format="onnx"\. Received: format={format}'):
        model.export(tmp_path / "model", format=format)
    with pytest.raises(ValueError, match=r'give format="onnx"\. Received: format=tf_saved_model'):
        model.export(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_models_without_a_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has not been built"):
        keras.Sequential([layers.Dense(2)]).export(tmp_path / "model.onnx", format="onnx")
    model = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="an Input with all sizes"):
        model.export(tmp_path / "model.onnx", format="onnx")


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ImportError, match=r"pip install fastml\[onnx\]"):
        model.export(tmp_path / "model.onnx", format="onnx")


def test_verbose(tmp_path, capsys):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.export(tmp_path / "model.onnx", format="onnx", verbose=True)
    assert capsys.readouterr().out == f"Saved artifact at '{tmp_path / 'model.onnx'}'.\n"
