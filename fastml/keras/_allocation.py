"""The values that variables begin with; while a file is loaded, no more of them than it has."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

# The bytes that the file at hand still has values for.
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def of_a_file(n_bytes: int) -> Iterator[None]:
    """Have variables made in the block be zeros, and raise a ValueError once they are larger than a file's.

    A configuration of some bytes can ask for any number of weights: it is not believed before the file is known to
    have them.
    """
    token = _left.set([n_bytes])
    try:
        yield
    finally:
        _left.reset(token)


def initial_values(initializer: Any, shape: tuple[int, ...], dtype: str, name: str) -> np.ndarray:
    """What a variable begins with."""
    left = _left.get()
    if left is None:
        return np.ascontiguousarray(initializer(shape, dtype))
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes > left[0]:
        raise ValueError(
            f"The variable '{name}' of shape {shape} would be larger than all that the file has values for: its "
            "configuration and its weights do not belong together."
        )
    left[0] -= n_bytes
    return np.zeros(shape, dtype)
