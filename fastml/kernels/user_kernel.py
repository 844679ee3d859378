"""The user's own kernel function: ``fastml.Kernel``."""

from typing import Any

from fastml._kernel import KernelFunction
from fastml._user_functions import UserFunctions, check_compiled
from fastml.kernels import for_device


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
    >>> kernel([[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0]]).shape
    (2, 1)
    """

    def __init__(self, f: Any):
        check_compiled("f", f)
        self.f = f

    def __call__(self, X: Any, Y: Any = None) -> Any:
        """The kernel matrix, as scikit-learn wants it of a callable kernel; fastml's estimators have no need of it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_rows, n_features)
        Y : array-like or sparse matrix of shape (n_columns, n_features), optional
            None stands for X.

        Returns
        -------
        ndarray of shape (n_rows, n_columns), float64, or float32 where X and Y are of float32

        Raises
        ------
        ValueError
            For invalid input, or where X and Y have not the same number of features.
        TypeError
            If ``f`` does not compile as a function of two rows.
        """
        # Imported at first need: this module comes with ``import fastml``.
        import numpy as np
        from scipy import sparse

        from fastml._validation import check_matrix, for_kernels

        X = check_matrix(X)
        Y = X if Y is None else check_matrix(Y)
        if X.shape[1] != Y.shape[1]:
            raise ValueError(
                "Incompatible dimension for X and Y matrices: "
                f"X.shape[1] == {X.shape[1]} while Y.shape[1] == {Y.shape[1]}"
            )
        dtype = np.result_type(X.dtype, Y.dtype)
        if sparse.issparse(X) != sparse.issparse(Y):
            X, Y = (rows.toarray() if sparse.issparse(rows) else rows for rows in (X, Y))
        A, B = (for_kernels(rows.astype(dtype, copy=False), "cpu") for rows in (X, Y))
        gram, kernel = for_device("cpu").gram, KernelFunction("custom", function=self)
        values = np.empty((A.shape[0], B.shape[0]), dtype)
        gram.gram(A, gram.prepare(B, kernel), kernel, values)
        return values

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
