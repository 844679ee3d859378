"""The specification of every kernel family, in float64 NumPy: short, obviously right, slow."""

from fastml.kernels.reference import arrays, conv, dense, dual_cd, gram, newton, plan, sgd, smo

__all__ = ["arrays", "conv", "dense", "dual_cd", "gram", "newton", "plan", "sgd", "smo"]
