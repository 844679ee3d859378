"""Activations on the CPU; the contract is ``fastml.kernels.reference.activation``."""

import fastml.kernels.cpu._layers as _layers
from fastml.kernels.cpu._operation import as_function

__all__ = [
    "dropout",
    "dropout_gradient",
    "forward",
    "gradient",
    "log_softmax",
    "log_softmax_gradient",
    "softmax",
    "softmax_cross_entropy",
    "softmax_gradient",
    "sparsemax",
    "sparsemax_gradient",
]

dropout = as_function(_layers.dropout)
dropout_gradient = as_function(_layers.dropout_gradient)
forward = as_function(_layers.forward)
gradient = as_function(_layers.gradient)
log_softmax = as_function(_layers.log_softmax)
log_softmax_gradient = as_function(_layers.log_softmax_gradient)
softmax = as_function(_layers.softmax)
softmax_cross_entropy = as_function(_layers.softmax_cross_entropy)
softmax_gradient = as_function(_layers.softmax_gradient)
sparsemax = as_function(_layers.sparsemax)
sparsemax_gradient = as_function(_layers.sparsemax_gradient)
