"""Keras' names are where its users look for them."""

import importlib

import numpy as np
import pytest

from fastml import keras

NAMES = {
    "": "Sequential Model Input KerasTensor Layer Loss Metric Optimizer Initializer Regularizer activations layers "
    "models utils constraints",
    "models": "Sequential Model clone_model model_from_json load_model save_model",
    "layers": "Dense Conv2D MaxPooling2D MaxPool2D Flatten Dropout BatchNormalization Input InputLayer Rescaling",
    "utils": "to_categorical set_random_seed normalize Progbar clear_session PyDataset Sequence",
    "callbacks": "EarlyStopping ModelCheckpoint ReduceLROnPlateau LearningRateScheduler CSVLogger TerminateOnNaN "
    "LambdaCallback History Callback",
    "optimizers": "SGD RMSprop Adagrad Adam AdamW schedules",
    "optimizers.schedules": "ExponentialDecay CosineDecay CosineDecayRestarts PolynomialDecay InverseTimeDecay",
    "losses": "SparseCategoricalCrossentropy Huber LogCosh mean_squared_error",
    "metrics": "SparseCategoricalAccuracy AUC Precision Recall RootMeanSquaredError TopKCategoricalAccuracy",
    "datasets.mnist": "load_data",
    "initializers": "GlorotUniform HeNormal glorot_uniform get",
    "regularizers": "L1 L2 L1L2 l2",
    "constraints": "Constraint MaxNorm MinMaxNorm NonNeg UnitNorm max_norm non_neg unit_norm get",
    "backend": "clear_session floatx epsilon",
    "random": "SeedGenerator normal truncated_normal uniform",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module):
    imported = importlib.import_module(f"fastml.keras.{module}".rstrip("."))
    missing = [name for name in NAMES[module].split() if not hasattr(imported, name)]
    assert missing == []


def test_all_is_there():
    for package in (keras, keras.layers, keras.losses, keras.metrics, keras.optimizers, keras.callbacks):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_models_come_back_from_configurations():
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, activation="gelu"), keras.layers.Flatten()],
        name="net",
    )
    model.compile(keras.optimizers.SGD(0.5), "mse", metrics=["mae"])
    again = keras.utils.deserialize_keras_object(keras.utils.serialize_keras_object(model))
    assert again.get_config() == model.get_config()
    assert again.compiled
    assert float(again.optimizer.learning_rate) == 0.5
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 1))
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "config",
    [
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"function": "x"},
            "registered_name": None,
        },
        {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
        {"module": "builtins", "class_name": "eval", "config": {}, "registered_name": None},
        {"class_name": "__lambda__", "config": {"value": "4wE="}},
    ],
)
def test_nothing_else_is_made_from_a_configuration(config):
    with pytest.raises(ValueError, match=r"Could not locate|does not run programs"):
        keras.utils.deserialize_keras_object(config)


def test_to_categorical():
    np.testing.assert_array_equal(keras.utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    assert keras.utils.to_categorical(np.zeros((4, 1)), 5).shape == (4, 5)
    with pytest.raises(ValueError, match="to be an integer"):
        keras.utils.set_random_seed(1.5)


def test_activations_are_functions():
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(keras.activations.relu(x), [0, 0, 2])
    np.testing.assert_allclose(keras.activations.relu(x, negative_slope=0.1, max_value=1.0), [-0.1, 0, 1])
    np.testing.assert_allclose(keras.activations.softmax(x), np.exp(x) / np.exp(x).sum(), rtol=1e-6)
    columns = keras.activations.softmax(np.stack([x, x]).T, axis=0)
    np.testing.assert_allclose(columns.sum(axis=0), 1, rtol=1e-6)
    assert keras.activations.get("swish") is keras.activations.silu
    assert keras.activations.get(None) is keras.activations.linear
    assert keras.activations.serialize(keras.activations.gelu) == "gelu"
