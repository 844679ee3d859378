"""The contract of ``kernels.reference`` on the CPU: compiled C at the processor's instruction-set level."""

from fastml.kernels.cpu import arrays, conv, dense, dual_cd, gram, newton, plan, sgd, smo

__all__ = ["arrays", "conv", "dense", "dual_cd", "gram", "newton", "plan", "sgd", "smo"]
