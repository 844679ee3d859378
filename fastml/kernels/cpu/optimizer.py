"""Optimizers on the CPU; the contract is ``fastml.kernels.reference.optimizer``."""

import fastml.kernels.cpu._layers as _layers
from fastml.kernels.cpu._operation import as_function

__all__ = ["adagrad", "adam", "add_ridge", "clip", "rmsprop", "scale_by_norm", "sgd", "squared_norm"]

adagrad = as_function(_layers.adagrad)
adam = as_function(_layers.adam)
add_ridge = as_function(_layers.add_ridge)
clip = as_function(_layers.clip)
rmsprop = as_function(_layers.rmsprop)
scale_by_norm = as_function(_layers.scale_by_norm)
sgd = as_function(_layers.sgd)
squared_norm = as_function(_layers.squared_norm)
