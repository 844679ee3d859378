"""The entry to the solver: which problems are one block, which take many, and in what precision."""

from typing import Any

import numpy as np

from fastml._progress import progress_bar
from fastml.kernels import for_device
from fastml.solvers.smo._blocks import solve_as_blocks
from fastml.solvers.smo._kernel_values import KernelValues, Workspace
from fastml.solvers.smo._outer import PADDING, solve_in_blocks
from fastml.solvers.smo._problem import Problems, Solutions, joined, solutions_at

MEGABYTE = 2.0**20

# Variables of a problem that is solved as one block.
LARGEST_WHOLE = 2000

EPS32 = float(np.finfo(np.float32).eps)


# There is no shrinking, which spares the gradient of variables that no longer move: LIBSVM updates it for each pair.
# Here that is one product for each working set: a tenth of the time on a9a (26,000 rows), where kernel rows are
# computed 1.1 times each, so that a reconstructed gradient would cost more than it spares. SVR on 20,000 rows, of which
# 8,100 end up free and are computed 5 times each, might gain a fifth: half of its turns have half of the rows left to
# look at.
def solve(
    X: Any,
    problems: Problems,
    kernel: Any,
    *,
    tol: float,
    max_iter: int = -1,
    cache_size: float = 200.0,
    device: str = "cpu",
    verbose: bool = False,
    precomputed: np.ndarray | None = None,
) -> Solutions:
    """Minimise the dual of each problem.

    Parameters
    ----------
    X : C-contiguous array of shape (n_samples, n_features), float32 or float64, or CSR, or None
        Already validated; None where ``precomputed`` is given.
    problems : Problems
    kernel : fastml._kernel.KernelFunction
    tol : float
        A problem is solved where no pair of variables violates its optimality by more (Chang & Lin 2011, eq. 11).
    max_iter : int
        Pair updates per problem, at most; -1 for no limit.
    cache_size : float
        Megabytes that kernel values may take in all.
    device : {"cpu", "cuda"}
    verbose : bool
        Show a progress bar with the current violation.
    precomputed : ndarray of float64, shape (n_samples, n_samples), or None
        The kernel matrix.

    Returns
    -------
    Solutions
    """
    backend = for_device(device)
    dtype = _precision(X, problems, kernel, tol) if precomputed is None else precomputed.dtype
    send = backend.arrays.send
    if precomputed is None and X.dtype == np.float64:
        X = X.astype(dtype, copy=False)
    values = KernelValues(backend, send(X), kernel, send(precomputed), dtype)
    # What is free once X lies there.
    n_bytes = backend.smo.value_bytes(cache_size * MEGABYTE)
    limit = max_iter if max_iter >= 0 else np.iinfo(np.int64).max
    sizes = problems.sizes
    # The matrix, and its rows in the order of the variables.
    is_one_block = (sizes <= LARGEST_WHOLE) & (2.0 * sizes**2 * values.dtype.itemsize <= n_bytes)
    small, large = np.flatnonzero(is_one_block), np.flatnonzero(~is_one_block)
    workspace = Workspace(backend.arrays, _workspace_bytes(sizes[large], n_bytes, dtype), dtype)
    if not len(sizes):
        return solutions_at(problems, problems.alpha, problems.alpha, sizes, sizes == 0)
    numbers, parts = [], []
    with progress_bar(None, "SMO", unit=" updates", show=True if verbose else None) as bar:
        if len(small):
            numbers.append(small)
            parts.append(solve_as_blocks(backend.smo, values, problems.some(small), tol, limit, n_bytes, bar))
        for one in large[:, None]:
            numbers.append(one)
            parts.append(
                solve_in_blocks(backend.smo, values, problems.some(one), tol, limit, n_bytes, workspace, bar)
            )
    return joined(parts, numbers)


def _workspace_bytes(sizes, n_bytes, dtype):
    """What the largest of these problems can use: all its kernel rows, and a block's matrix."""
    largest = int(sizes.max(initial=0))
    return min(n_bytes, 2 * (largest + PADDING) ** 2 * np.dtype(dtype).itemsize)


def _precision(X, problems, kernel, tol):
    """The dtype of kernel values: float32 unless its rounding would show, or could where X is of float64.

    A kernel value carries a relative error of some eps = 1.2e-7, and moves the gradient by C eps k(x, x) for each
    variable at its bound C. Where one such error is as large as tol, values are float64. That is on the safe side:
    on 1,200 rows with C = 1e3 and tol = 1e-3, float32 ends 7e-9 from float64's objective, relatively. (LIBSVM keeps
    float32 of values that it computes in float64.)

    Of X in float64 rows are rounded, too, and that moves a kernel value by eps times what it is a function of: values
    are float32 only where all of that is below a tenth of tol, and there are more rows than a block takes: fewer are
    solved in no time, and to as many digits by one kernel as by another of the same values.
    """
    C = float(problems.C.max(initial=0.0))
    if X.dtype == np.float64:
        is_large = X.shape[0] > LARGEST_WHOLE
        return np.float32 if is_large and 10.0 * EPS32 * C * _sensitivity(X, kernel) <= tol else np.float64
    return np.float32 if EPS32 * C * largest_value(X, kernel) <= tol else np.float64


def _sensitivity(X, kernel):
    """A bound of how far k(x, z) moves, in units of relative error of x and z, besides its own rounding; inf where it
    is not known."""
    if kernel.name == "custom":
        return np.inf
    square = _largest_square(X)
    if kernel.name == "rbf":
        return 1.0 + 8.0 * kernel.gamma * square
    if kernel.name == "linear":
        return 3.0 * square
    argument = 3.0 * abs(kernel.gamma) * square + abs(kernel.coef0)
    if kernel.name == "sigmoid":
        return 1.0 + argument
    return (1.0 + kernel.degree * argument) * largest_value(X, kernel)


def largest_value(X, kernel):
    """A bound of |k(x, z)| over the rows of X; 1 for a custom kernel, whose bound is not known."""
    if kernel.name in ("rbf", "sigmoid", "custom"):
        return 1.0
    square = _largest_square(X)
    if kernel.name == "linear":
        return square
    with np.errstate(over="ignore"):
        return float(np.float64(abs(kernel.gamma) * square + abs(kernel.coef0)) ** kernel.degree)


def _largest_square(X):
    """The largest squared norm of a row."""
    return float(for_device("cpu").dual_cd.sq_norms(X, 0.0).max(initial=0.0))
