"""The contract of ``kernels.reference`` on NVIDIA GPUs: Numba-CUDA kernels, CuPy's arrays."""

from fastml.kernels.cuda import arrays, sgd

__all__ = ["arrays", "sgd"]
