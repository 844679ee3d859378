"""The contract of ``kernels.reference`` on NVIDIA GPUs: Numba-CUDA kernels, CuPy's arrays."""

from fastml.kernels.cuda import arrays, gram, sgd, smo

__all__ = ["arrays", "gram", "sgd", "smo"]
