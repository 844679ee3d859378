"""Moving arrays between the host and the GPU; the contract is ``fastml.kernels.reference.arrays``."""

from fastml._csr import CSR
from fastml._device_input import device_of
from fastml.kernels.cuda import _device

__all__ = ["all_finite", "assign", "empty", "fetch", "is_own", "send"]


def send(value):
    if value is None:
        return None
    if isinstance(value, CSR):
        return CSR(send(value.data), send(value.indices), send(value.indptr), value.shape)
    if _device.is_own(value):
        return value
    return _device.as_own(value) if device_of(value) == "cuda" else _device.to_device(value)


def fetch(array):
    return _device.to_host(array)


def assign(array, values):
    if _device.is_own(values):
        array[...] = values
    else:
        _device.overwrite(array, values)


def is_own(array):
    return _device.is_own(array)


def empty(shape, dtype):
    return _device.empty(shape, dtype)


def all_finite(array):
    return bool(_device.array_module().isfinite(array).all())
