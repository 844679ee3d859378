"""Rows of a mini-batch on the CPU; the contract is ``fastml.kernels.reference.gather``."""

from fastml.kernels.cpu import _layers
from fastml.kernels.cpu._operation import as_function

__all__ = ["rows"]

rows = as_function(_layers.rows)
