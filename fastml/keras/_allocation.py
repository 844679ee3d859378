"""The values that variables begin with; while a file is loaded, no more of them than it has."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

# What metrics and the like may take: an AUC has 6 KB.
BYTES_OF_OTHERS = 16 << 20


class _Left:
    """The bytes that may still be taken, by weights and by what is in no file."""

    def __init__(self, weights: int):
        self.weights, self.others = weights, BYTES_OF_OTHERS


_left: ContextVar[_Left | None] = ContextVar("left", default=None)


@contextmanager
def of_a_file(n_bytes: int) -> Iterator[None]:
    """Have weights made in the block be zeros, and raise a ValueError once they are larger than a file's.

    A configuration of some bytes can ask for any number of weights: it is not believed before the file is known to
    have them.
    """
    token = _left.set(_Left(n_bytes))
    try:
        yield
    finally:
        _left.reset(token)


def initial_weights(initializer: Any, shape: tuple[int, ...], dtype: str, name: str) -> np.ndarray:
    """What a variable of a layer begins with."""
    left = _left.get()
    if left is None:
        return np.ascontiguousarray(initializer(shape, dtype))
    left.weights -= math.prod(shape) * np.dtype(dtype).itemsize
    if left.weights < 0:
        raise ValueError(
            f"The variable '{name}' of shape {shape} would be larger than all that the file has values for: its "
            "configuration and its weights do not belong together."
        )
    return np.zeros(shape, dtype)


def check_other(shape: tuple[int, ...], dtype: str, name: str) -> None:
    """Raise a ValueError for a variable that is no layer's, if a file asks for too large a one."""
    left = _left.get()
    if left is None:
        return
    left.others -= math.prod(shape) * np.dtype(dtype).itemsize
    if left.others < 0:
        raise ValueError(f"The variable '{name}' of shape {shape} is larger than a file may ask for.")
