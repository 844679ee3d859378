"""The specification of every kernel family, in float64 NumPy: short, obviously right, slow."""

from fastml.kernels.reference import arrays, dual_cd, glm, gram, newton, sag, sgd, smo

__all__ = ["arrays", "dual_cd", "glm", "gram", "newton", "sag", "sgd", "smo"]
