"""The specification of every kernel family, in float64 NumPy: short, obviously right, slow."""

from fastml.kernels.reference import (
    activation,
    arrays,
    conv,
    dense,
    dual_cd,
    gather,
    glm,
    gram,
    newton,
    normalization,
    optimizer,
    plan,
    pool,
    sag,
    sgd,
    smo,
)

__all__ = [
    "activation",
    "arrays",
    "conv",
    "dense",
    "dual_cd",
    "gather",
    "glm",
    "gram",
    "newton",
    "normalization",
    "optimizer",
    "plan",
    "pool",
    "sag",
    "sgd",
    "smo",
]
