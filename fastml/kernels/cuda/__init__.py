"""The contract of ``kernels.reference`` on NVIDIA GPUs: Numba-CUDA kernels, CuPy's arrays."""

from fastml.kernels.cuda import arrays, glm, gram, sgd, smo

__all__ = ["arrays", "glm", "gram", "sgd", "smo"]
