"""Where an input array lies, asked without importing a GPU library."""

from typing import Any

_DLPACK_CUDA = 2


def device_of(X: Any) -> str:
    """ "cuda" for an array in a GPU's memory, by ``__cuda_array_interface__`` or DLPack; otherwise "cpu"."""
    if hasattr(X, "__cuda_array_interface__"):
        return "cuda"
    if hasattr(X, "__dlpack_device__") and X.__dlpack_device__()[0] == _DLPACK_CUDA:
        return "cuda"
    return "cpu"
