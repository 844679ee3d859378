"""Models as files, in Keras' format."""

from fastml.keras._serialization import deserialize_keras_object, serialize_keras_object
from fastml.keras.saving._model_file import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
)

__all__ = [
    "deserialize_keras_object",
    "load_model",
    "load_weights",
    "model_from_json",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
