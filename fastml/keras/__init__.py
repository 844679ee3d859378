"""Keras' Sequential models on kernels of our own: ``fastml.keras`` in place of ``keras`` or ``tensorflow.keras``."""

from fastml.keras import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from fastml.keras._keras_tensor import KerasTensor
from fastml.keras.initializers import Initializer
from fastml.keras.layers import Input, InputSpec, Layer
from fastml.keras.losses import Loss
from fastml.keras.metrics import Metric
from fastml.keras.models import Model, Sequential
from fastml.keras.optimizers import Optimizer
from fastml.keras.regularizers import Regularizer

__all__ = [
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "utils",
]
