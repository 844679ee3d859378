"""Keras' global numbers: the dtype that weights have, and what keeps logarithms finite."""

__all__ = ["epsilon", "floatx", "image_data_format", "set_floatx"]

_floatx = "float32"


def floatx() -> str:
    """The dtype of layers that are not given one."""
    return _floatx


def set_floatx(value: str) -> None:
    """Make ``value``, "float32" or "float64", the dtype of layers that are not given one."""
    global _floatx
    if value not in ("float32", "float64"):
        raise ValueError(f"Unknown `floatx` value: {value}. Expected values are ['float32', 'float64']")
    _floatx = value


def epsilon() -> float:
    """What probabilities are kept away from 0 and 1 by."""
    return 1e-7


def image_data_format() -> str:
    """Where the channels of an image are."""
    return "channels_last"
