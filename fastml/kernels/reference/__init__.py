"""The specification of every kernel family, in float64 NumPy: short, obviously right, slow."""

from fastml.kernels.reference import arrays, gram, sgd, smo

__all__ = ["arrays", "gram", "sgd", "smo"]
