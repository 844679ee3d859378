"""The contract of ``kernels.reference`` on the CPU: compiled C at the processor's instruction-set level."""

from fastml.kernels.cpu import arrays, dual_cd, glm, gram, newton, sag, sgd, smo

__all__ = ["arrays", "dual_cd", "glm", "gram", "newton", "sag", "sgd", "smo"]
