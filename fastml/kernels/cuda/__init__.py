"""The contract of ``kernels.reference`` on NVIDIA GPUs: Numba-CUDA kernels, CuPy's arrays."""

from fastml.kernels.cuda import (
    activation,
    arrays,
    conv,
    dense,
    gather,
    glm,
    gram,
    normalization,
    optimizer,
    plan,
    pool,
    sgd,
    smo,
)

__all__ = [
    "activation",
    "arrays",
    "conv",
    "dense",
    "gather",
    "glm",
    "gram",
    "normalization",
    "optimizer",
    "plan",
    "pool",
    "sgd",
    "smo",
]
