"""Where Keras models compute."""

from typing import Any

from fastml._config import resolve_device
from fastml.kernels import for_device


def device() -> str:
    """The device of a network made now."""
    return resolve_device("cpu", gpu_pays=False)


def kernels() -> Any:
    """Its backend."""
    return for_device(device())
