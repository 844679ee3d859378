"""Where Keras models compute."""

from fastml._config import resolve_device


def device() -> str:
    """The device of a network made now."""
    return resolve_device("cpu", gpu_pays=False)
