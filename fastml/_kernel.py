"""Kernel functions of support vector machines: which one, its parameters, and those of the user's own."""

from functools import cached_property
from typing import Any, NamedTuple

from fastml._user_functions import UserFunctions, check_compiled

KERNELS = ("linear", "poly", "rbf", "sigmoid", "custom")


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
    ``f`` is compiled with ``error_model="numpy"``, so that a division by zero gives inf or NaN, and with those of
    LLVM's fast-math flags that let a sum over features be vectorised: its terms may be added in another order, and
    products be fused with sums. NaN and infinities keep their meaning. An exception in ``f`` is raised to the caller.

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

    @cached_property
    def _compiled_blocks(self) -> dict[str, Any]:
        return {}

    def block_address(self, dtype: str) -> int:
        """Address of the compiled loop over a block.

        ``int32_t block(const T *a, const T *b, int64_t n_a, int64_t first, int64_t last, int64_t n_features,
        T *out, int64_t out_stride)``: out[i, j] = f(a[i], b[j]) for j in [first, last); not 0 if f raised.

        Parameters
        ----------
        dtype : {"float32", "float64"}
            T.

        Returns
        -------
        int

        Raises
        ------
        TypeError
            If ``f`` is not a function of two arrays of ``dtype`` to a float.
        """
        if dtype not in self._compiled_blocks:
            self._compiled_blocks[dtype] = _compile_block(self.f, dtype)
        return self._compiled_blocks[dtype].address


# What a sum over features needs to be vectorised; not "nnan" and "ninf", which would let NaN and infinities vanish.
_FAST_MATH = {"reassoc", "contract", "nsz"}


def _compile_block(f: Any, dtype: str) -> Any:
    import numba
    from numba import carray, types

    inner = numba.njit(error_model="numpy", fastmath=_FAST_MATH)(f.py_func)

    def block(a, b, n_a, first, last, n_features, out, out_stride):
        rows_a = carray(a, (n_a, n_features))
        rows_b = carray(b, (last, n_features))
        values = carray(out, (n_a, out_stride))
        try:
            for i in range(n_a):
                for j in range(first, last):
                    values[i, j] = inner(rows_a[i], rows_b[j])
        except Exception:
            return 1
        return 0

    real = getattr(types, dtype)
    pointer, size = types.CPointer(real), types.int64
    signature = types.int32(pointer, pointer, size, size, size, size, pointer, size)
    try:
        return numba.cfunc(signature, error_model="numpy", fastmath=_FAST_MATH)(block)
    except numba.core.errors.NumbaError as error:
        raise TypeError(
            f"f must compile as a function of two rows of {dtype} that returns a float: {error}"
        ) from error
