"""The one gate through which every array enters."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    validate_data,
)

from fastml._csr import CSR
from fastml._device_input import device_of

MAX_ROWS = np.iinfo(np.int32).max
_FLOATS = np.dtype(np.float64), np.dtype(np.float32)


def check_X_y(
    estimator: Any,
    X: Any,
    y: Any = "no_validation",
    *,
    reset: bool,
    finite: bool = False,
    large_sparse: bool = True,
    accept_sparse: Any = "csr",
    several_targets: bool = False,
    numeric_targets: bool = False,
    numeric_rows: bool = False,
) -> Any:
    """Validate the input of ``fit`` as scikit-learn does, but for the search for NaN and inf in X.

    That search would read all of X once more. Where kernels notice a non-finite margin at no cost,
    ``raise_if_not_finite`` then finds out what was wrong.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set (``reset``) or compared.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    y : array-like of shape (n_samples,), optional
    reset : bool
    finite : bool, default=False
        Whether to search X in host memory for NaN and inf after all.
    large_sparse : bool, default=True
        Whether 64-bit indices are accepted.
    accept_sparse : "csr" or False, default="csr"
    several_targets : bool, default=False
        Whether y may be a matrix.
    numeric_targets : bool, default=False
        Whether y is to be numbers.
    numeric_rows : bool, default=False
        Whether strings in X are refused even where they spell numbers, as some of scikit-learn's estimators do.

    Returns
    -------
    X, or X and y
        X is a C-contiguous ndarray or a CSR matrix of float32 or float64, the one passed where it was that already.

    Raises
    ------
    ValueError, TypeError
        With scikit-learn's wording; ValueError too for a sparse matrix whose indices lie outside its shape.
    """
    alone = isinstance(y, str) and y == "no_validation"
    if device_of(X) == "cuda":
        X = check_device_X(estimator, X, reset=reset)
        return X if alone else (X, _check_host_y(estimator, X, y, several_targets))
    if _is_plain(X, finite) and (alone or _is_plain_target(y, len(X))):
        _check_feature_names(estimator, X, reset=reset)
        _check_n_features(estimator, X, reset=reset)
        return X if alone else (X, y)
    check_sparse(X)
    checked = validate_data(
        estimator,
        X,
        y,
        accept_sparse=accept_sparse,
        dtype="numeric" if numeric_rows else [np.float64, np.float32],
        order="C",
        accept_large_sparse=large_sparse,
        ensure_all_finite=finite,
        reset=reset,
        **({"multi_output": True} if several_targets else {}),
        **({"y_numeric": True} if numeric_targets else {}),
    )
    X = checked if alone else checked[0]
    if X.shape[0] > MAX_ROWS:
        raise ValueError(f"X has {X.shape[0]} rows; at most {MAX_ROWS} are supported.")
    if X.dtype not in _FLOATS:  # "numeric" keeps integers
        X = X.astype(np.float64)
    return X if alone else (X, checked[1])


def _is_plain(X: Any, finite: bool) -> bool:
    """Whether X is an array that scikit-learn's checks would give back as it is.

    Those checks take 0.1 ms: a fifth of what scikit-learn takes to fit 20 rows, half of what it takes to predict one.
    Whatever might fail them goes through them, for their words.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in _FLOATS or not X.flags.c_contiguous:
        return False
    return X.size > 0 and len(X) <= MAX_ROWS and (not finite or _has_finite_sum(X))


def _is_plain_target(y: Any, n_rows: int) -> bool:
    """The same of numbers, one for each row."""
    if type(y) is not np.ndarray or y.shape != (n_rows,) or y.dtype.kind not in "biuf":
        return False
    return y.dtype.kind != "f" or _has_finite_sum(y)


def _has_finite_sum(values: np.ndarray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def check_matrix(X: Any) -> Any:
    """Validate an X that belongs to no estimator, NaN and inf included; otherwise as ``check_X_y``."""
    if device_of(X) == "cuda":
        return check_device_X(None, X, reset=False)
    check_sparse(X)
    return check_array(
        X, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", accept_large_sparse=True
    )


def check_device_X(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Validate an X that lies in a GPU's memory, by its shape and dtype; it stays there.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` is set (``reset``) or compared.
    X : array of shape (n_samples, n_features) with ``__cuda_array_interface__`` or DLPack
    reset : bool

    Returns
    -------
    cupy.ndarray
        C-contiguous, float32 or float64.

    Raises
    ------
    ValueError
        If X is not 2-d, or has no rows or columns.
    """
    import cupy

    X = cupy.asarray(X) if hasattr(X, "__cuda_array_interface__") else cupy.from_dlpack(X)
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead.")
    for size, what in zip(X.shape, ("sample", "feature")):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required."
            )
    if estimator is not None:
        _check_n_features(estimator, X, reset=reset)
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
    return cupy.ascontiguousarray(X, dtype=dtype)


def _check_host_y(estimator: Any, X: Any, y: Any, several_targets: bool = False) -> Any:
    """y in host memory, where labels are encoded; it is small beside X."""
    y = check_array(
        y.get() if hasattr(y, "get") and device_of(y) == "cuda" else y,
        ensure_2d=False,
        dtype=None,
        input_name="y",
    )
    y = y if several_targets and y.ndim == 2 else column_or_1d(y, warn=True)
    if len(y) != X.shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {[X.shape[0], len(y)]}"
        )
    return y


def raise_if_not_finite(estimator: Any, X: Any) -> None:
    """scikit-learn's ValueError if X holds NaN or inf."""
    if device_of(X) == "cuda":
        import cupy

        if not cupy.isfinite(X).all():
            raise ValueError("Input X contains NaN or infinity.")
        return
    values = X.data if sparse.issparse(X) else X
    assert_all_finite(values, estimator_name=type(estimator).__name__, input_name="X")


def check_sparse(X: Any) -> None:
    """Check that a sparse matrix's index arrays stay inside it, before compiled code follows them.

    Parameters
    ----------
    X : object
        What is not sparse passes; so do the formats whose conversion to CSR SciPy does in Python (DIA, DOK, LIL).

    Raises
    ------
    ValueError
        Naming the array and what is wrong with it.
    """
    if not sparse.issparse(X):
        return
    if X.format == "coo":
        for axis, (coordinates, size) in enumerate(zip(X.coords, X.shape)):
            if coordinates.shape != X.data.shape:
                raise ValueError(
                    f"X.coords[{axis}] has shape {coordinates.shape}; X.data has {X.data.shape}."
                )
            _check_range(f"X.coords[{axis}]", coordinates, size, X.shape)
    elif X.format in ("csr", "csc", "bsr"):
        _check_compressed(X)


def _check_range(name: str, indices: Any, size: int, shape: tuple[int, ...]) -> None:
    # As unsigned numbers negative indices are huge: one pass finds both kinds.
    if len(indices) and indices.view(f"u{indices.dtype.itemsize}").max() >= size:
        raise ValueError(f"{name} must lie in [0, {size}) for shape {shape}.")


def _check_compressed(X: Any) -> None:
    rows, columns = X.shape
    if X.format == "bsr":
        rows, columns = rows // X.blocksize[0], columns // X.blocksize[1]
    n_major, n_minor = (columns, rows) if X.format == "csc" else (rows, columns)
    indptr, indices = X.indptr, X.indices
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or array.dtype.kind != "i":
            raise ValueError(
                f"X.{name} must be a 1-d array of integers; got {array.dtype} of shape {array.shape}."
            )
    if len(indptr) != n_major + 1:
        raise ValueError(f"X.indptr must have {n_major + 1} elements for shape {X.shape}; got {len(indptr)}.")
    nnz = indptr[-1]
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise ValueError("X.indptr must start with 0 and never decrease.")
    if nnz > min(len(indices), len(X.data)):
        raise ValueError(
            f"X.indptr ends with {nnz}, but there are {len(indices)} indices and {len(X.data)} values."
        )
    _check_range("X.indices", indices[:nnz], n_minor, X.shape)


def check_sample_weight(sample_weight: Any, X: Any, *, allow_all_zero: bool) -> np.ndarray:
    """Validated weights in host memory: float64, rounded to X's precision as scikit-learn's are.

    Raises
    ------
    ValueError
        With scikit-learn's wording: for another length, NaN or inf, or all zeros unless ``allow_all_zero``.
    """
    if device_of(X) == "cuda":  # of which scikit-learn only asks the length
        X = np.broadcast_to(np.zeros(1, X.dtype), (X.shape[0], 1))
    if device_of(sample_weight) == "cuda":
        sample_weight = sample_weight.get()
    checked = _check_sample_weight(sample_weight, X, dtype=X.dtype, allow_all_zero_weights=allow_all_zero)
    return checked.astype(np.float64)


def rows_on_host(X: Any, rows: np.ndarray) -> Any:
    """Some rows of a validated X, in host memory; ``rows`` is a mask."""
    if device_of(X) == "cuda":
        import cupy

        return X[cupy.asarray(rows)].get()
    return X[rows]


def for_kernels(X: Any, device: str) -> Any:
    """A validated X as the kernels of a device take it: aligned, in the machine's byte order, sparse as ``CSR``.

    Parameters
    ----------
    X : array or sparse matrix
    device : {"cpu", "cuda"}
        An X that lies on a GPU is fetched for "cpu"; one in host memory is the backend's to send.

    Returns
    -------
    ndarray, cupy.ndarray or CSR
    """
    if device_of(X) == "cuda":
        return X if device == "cuda" else X.get()
    if not sparse.issparse(X):
        return np.require(X, dtype=X.dtype.newbyteorder("="), requirements=["C", "A"])
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    index = np.result_type(X.indices, X.indptr)
    if index not in (np.int32, np.int64):
        index = np.dtype(np.int64)
    # Longer arrays are accepted, of which nobody has looked at the rest.
    nnz = X.indptr[-1]
    return CSR(
        np.require(X.data[:nnz], X.dtype.newbyteorder("="), ["C", "A"]),
        np.require(X.indices[:nnz], index, ["C", "A"]),
        np.require(X.indptr, index, ["C", "A"]),
        X.shape,
    )


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give the estimator its attributes back if the block fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
