"""The contract of ``kernels.reference`` on NVIDIA GPUs: Numba-CUDA kernels, CuPy's arrays."""

from fastml.kernels.cuda import (
    activation,
    arrays,
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
