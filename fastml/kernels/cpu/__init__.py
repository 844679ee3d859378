"""The contract of ``kernels.reference`` on the CPU: compiled C at the processor's instruction-set level."""

from fastml.kernels.cpu import arrays, gram, sgd, smo

__all__ = ["arrays", "gram", "sgd", "smo"]
