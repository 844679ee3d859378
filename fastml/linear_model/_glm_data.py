"""From validated rows, targets and weights to the data that the glm kernels pass over."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastml._config import get_config, resolve_device
from fastml._device_input import device_of
from fastml._validation import check_sample_weight, for_kernels, raise_if_not_finite
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data


def glm_data(X: Any, target: np.ndarray, weight: np.ndarray | None, device: str) -> Data:
    """Data on ``device``; dense X stays where it is if it is there already.

    Parameters
    ----------
    X : array or sparse matrix
        Validated, of shape (n_rows, n_features).
    target : ndarray of shape (n_rows,) or (n_targets, n_rows)
        int32 class codes, or float64 values.
    weight : ndarray of float64, shape (n_weightings, n_rows), or None
    device : {"cpu", "cuda"}

    Returns
    -------
    Data
    """
    arrays = for_device(device).arrays
    rows = arrays.send(for_kernels(X, device))
    weight = None if weight is None else arrays.send(np.ascontiguousarray(weight))
    return Data(rows, arrays.send(np.ascontiguousarray(target)), weight)


def device_for(estimator: Any, solver: str, X: Any) -> str:
    """Where a fit runs.

    Raises
    ------
    RuntimeError
        If the device is CUDA by configuration, and cannot be used, or the solver has no kernels there: an explicit
        device is not quietly overruled.
    """
    if solver not in ("sag", "saga", "liblinear"):
        return resolve_device(device_of(X), gpu_pays=False)
    if get_config()["device"] == "cuda":
        raise RuntimeError(
            f"{type(estimator).__name__}(solver={solver!r}) runs on the CPU only: its steps are too short "
            "to be worth a GPU. Use another solver, or fastml.set_config(device='auto')."
        )
    return "cpu"


def row_weights(
    sample_weight: Any, X: Any, factors: np.ndarray | None = None, *, allow_negative: bool = False
) -> np.ndarray | None:
    """Weights of the rows in float64, rounded to X's precision as scikit-learn's are; None stands for all ones.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,), float or None
    X : array or sparse matrix
    factors : ndarray of shape (n_rows,), optional
        Multiplied with the weights.
    allow_negative : bool, default=False

    Returns
    -------
    ndarray of float64, shape (n_rows,), or None

    Raises
    ------
    ValueError
        With scikit-learn's wording, for another length, NaN or inf, negative ones, or all zeros.
    """
    if sample_weight is None:
        return None if factors is None else factors.astype(X.dtype).astype(np.float64)
    weight = check_sample_weight(sample_weight, X, allow_all_zero=False)
    if not allow_negative and (weight < 0.0).any():
        raise ValueError("Negative values in data passed to `sample_weight`.")
    return weight if factors is None else (weight * factors).astype(X.dtype).astype(np.float64)


@contextmanager
def finite_rows(estimator: Any, X: Any, weight: np.ndarray | None) -> Iterator[None]:
    """Raise scikit-learn's error for NaN and inf in X, which is not searched where the kernels notice them.

    A NaN makes the gradient NaN, and the solver gives up with a ValueError; rows of weight 0, which the kernels leave
    out, are searched beforehand.
    """
    if weight is not None and (weight == 0.0).any():
        raise_if_not_finite(estimator, X)
    try:
        yield
    except ValueError:
        raise_if_not_finite(estimator, X)
        raise
