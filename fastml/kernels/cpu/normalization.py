"""Batch and layer normalisation on the CPU; the contract is ``fastml.kernels.reference.normalization``."""

import fastml.kernels.cpu._layers as _layers
from fastml.kernels.cpu._operation import as_function

__all__ = ["batch_gradient", "batch_infer", "batch_train", "layer_forward", "layer_gradient"]

batch_gradient = as_function(_layers.batch_gradient)
batch_infer = as_function(_layers.batch_infer)
batch_train = as_function(_layers.batch_train)
layer_forward = as_function(_layers.layer_forward)
layer_gradient = as_function(_layers.layer_gradient)
