"""Rows of a mini-batch on the CPU; the contract is ``fastml.kernels.reference.gather``."""

import fastml.kernels.cpu._layers as _layers
from fastml.kernels.cpu._operation import as_function

__all__ = ["rows"]

rows = as_function(_layers.rows)
