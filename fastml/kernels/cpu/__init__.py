"""The contract of ``kernels.reference`` on the CPU: compiled C at the processor's instruction-set level."""

from fastml.kernels.cpu import (
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
