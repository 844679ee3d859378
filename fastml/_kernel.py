"""Kernel functions of support vector machines: which one, and its parameters."""

from typing import Any, NamedTuple

BUILT_IN = ("linear", "poly", "rbf", "sigmoid")
KERNELS = (*BUILT_IN, "custom")


class KernelFunction(NamedTuple):
    """A positive (semi-)definite function of two rows, its parameters fixed.

    Attributes
    ----------
    name : str
        One of ``KERNELS``: linear x.z; poly (gamma x.z + coef0)^degree; rbf exp(-gamma |x - z|^2); sigmoid
        tanh(gamma x.z + coef0); custom, the user's.
    gamma, coef0 : float
    degree : int
    function : fastml.Kernel (``fastml.kernels.user_kernel``) or None
        The user's, where ``name`` is "custom".
    """

    name: str
    gamma: float = 1.0
    coef0: float = 0.0
    degree: int = 3
    function: Any = None
