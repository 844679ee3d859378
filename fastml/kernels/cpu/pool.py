"""Pooling on the CPU; the contract is ``fastml.kernels.reference.pool``."""

import fastml.kernels.cpu._layers as _layers
from fastml.kernels.cpu._operation import as_function

__all__ = ["average_forward", "average_gradient", "max_forward", "max_gradient"]

average_forward = as_function(_layers.average_forward)
average_gradient = as_function(_layers.average_gradient)
max_forward = as_function(_layers.max_forward)
max_gradient = as_function(_layers.max_gradient)
