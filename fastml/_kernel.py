"""Kernel functions of support vector machines: which one, its parameters, and those of the user's own."""

from typing import Any, NamedTuple

from fastml._user_functions import UserFunctions, check_compiled

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
    function : fastml.Kernel or None
        The user's, where ``name`` is "custom".
    """

    name: str
    gamma: float = 1.0
    coef0: float = 0.0
    degree: int = 3
    function: Any = None


class Kernel(UserFunctions):
    """A kernel given by a plain function of two rows, compiled into the loop over a block of the kernel matrix.

    Parameters
    ----------
    f : numba.njit function
        ``f(row_x, row_y) -> float``: both are one-dimensional arrays, contiguous, of the data's dtype; the rows of
        sparse data come dense. It must be symmetric, and positive semi-definite for the dual problem to be convex.

    Raises
    ------
    TypeError
        If ``f`` is not decorated with ``numba.njit``; at the first fit, if it does not compile as such a function.

    Notes
    -----
    A function of arithmetic is compiled for many rows at once, and takes about as long as a built-in kernel: loops
    over the features, expressions of whole rows that are summed (``np.sum((x - y) ** 2)``, ``np.dot(x, y)``), and the
    functions of ``math`` and NumPy, of which ``exp``, ``tanh``, ``sqrt``, ``abs``, ``min`` and ``max`` are fast. A
    branch on an element of ``row_y``, a slice of it or a loop of unknown length make it several times slower: such a
    function is computed row by row.

    On rows of float32 ``f`` computes in float32, as built-in kernels do: numbers in its code, in what it takes from
    around it and in the functions that it calls are rounded to it. One that float32 can't hold, 1e-300 say, leaves all
    of them, and with them most of what is computed, in float64.

    ``f`` is compiled with ``error_model="numpy"``, so that a division by zero gives inf or NaN, and with those of
    LLVM's fast-math flags that let products be fused with sums and, row by row, a sum's terms be added in another
    order. NaN and infinities keep their meaning. An exception in ``f`` is raised to the caller.

    Examples
    --------
    >>> import math
    >>> from numba import njit
    >>> from fastml import Kernel
    >>> @njit
    ... def laplacian(x, y):
    ...     distance = 0.0
    ...     for i in range(len(x)):
    ...         distance += abs(x[i] - y[i])
    ...     return math.exp(-0.1 * distance)
    >>> kernel = Kernel(laplacian)
    """

    def __init__(self, f: Any):
        check_compiled("f", f)
        self.f = f

    def _functions(self) -> tuple[Any, ...]:
        return (self.f,)

    def __repr__(self) -> str:
        return f"Kernel({self.f.__name__})"

    def returns_no_number(self, dtype: str, returned: str) -> TypeError:
        """What to raise where ``f`` compiles, but to a function of something else; ``returned`` is Numba's word."""
        return TypeError(
            f"f, the function {self.f.__name__!r} of {self!r}, must return a float; for two rows of {dtype} it returns "
            f"{returned}."
        )

    def does_not_compile(self, dtype: str, error: Exception) -> TypeError:
        """What to raise where a compiler has refused ``f``."""
        return TypeError(
            f"f, the function {self.f.__name__!r} of {self!r}, must compile as a function of two rows of {dtype} that "
            f"returns a float: {error}"
        )
