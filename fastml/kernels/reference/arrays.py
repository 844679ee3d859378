"""Moving a run's arrays between the host and the device that computes on them."""

import numpy as np

__all__ = ["all_finite", "assign", "empty", "fetch", "is_own", "send"]


def send(value):
    """An array, a CSR, or None, on the device: the same object if it lies there already.

    Parameters
    ----------
    value : array, fastml._csr.CSR or None

    Returns
    -------
    array, CSR or None
    """
    return value


def fetch(array):
    """A device's array in host memory: the same object if it lies there already.

    Parameters
    ----------
    array : array

    Returns
    -------
    ndarray
    """
    return array


def assign(array, values):
    """Set a device's array, from host memory or from the same device.

    Parameters
    ----------
    array : array
        Of the device; C-contiguous.
    values : array of the same shape, or number
        Converted to the array's dtype.
    """
    array[...] = values


def is_own(array):
    """Whether an array lies on the device.

    Parameters
    ----------
    array : array

    Returns
    -------
    bool
    """
    return type(array) is np.ndarray


def empty(shape, dtype):
    """A C-ordered array on the device, its elements not set.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : dtype

    Returns
    -------
    array
    """
    return np.empty(shape, dtype)


def all_finite(array):
    """Whether no element is NaN or infinite.

    Parameters
    ----------
    array : array of floats, on the device

    Returns
    -------
    bool
    """
    return bool(np.isfinite(array).all())
