"""Layers, by Keras' names."""

from typing import Any

from fastml.keras._serialization import Names, serialize_keras_object
from fastml.keras.layers._convolution import Conv1D, Conv2D
from fastml.keras.layers._core import (
    ELU,
    Activation,
    Dense,
    Dropout,
    Input,
    InputLayer,
    LeakyReLU,
    ReLU,
    Rescaling,
    Softmax,
)
from fastml.keras.layers._depthwise import DepthwiseConv2D, SeparableConv2D
from fastml.keras.layers._layer import InputSpec, Layer
from fastml.keras.layers._normalization import BatchNormalization, LayerNormalization
from fastml.keras.layers._pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from fastml.keras.layers._reshaping import Cropping2D, Flatten, Permute, Reshape, UpSampling2D, ZeroPadding2D

# Keras' second names.
AvgPool1D, AvgPool2D = AveragePooling1D, AveragePooling2D
MaxPool1D, MaxPool2D = MaxPooling1D, MaxPooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
Convolution1D, Convolution2D, SeparableConvolution2D = Conv1D, Conv2D, SeparableConv2D

__all__ = [
    "ELU",
    "Activation",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Conv1D",
    "Conv2D",
    "Convolution1D",
    "Convolution2D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Softmax",
    "UpSampling2D",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]

_NAMES = Names(
    "layer",
    {name: cls for name, cls in globals().items() if isinstance(cls, type) and issubclass(cls, Layer)},
)


def serialize(layer: Any) -> Any:
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)
