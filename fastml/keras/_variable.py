"""Variables: named arrays that layers, optimizers and metrics keep."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.kernels import arrays_of


class Variable:
    """A named array.

    Parameters
    ----------
    array : ndarray or callable
        The array, or what returns it where that may move: a network lays its parameters out in one vector.
    name : str
    path : str, default=None
        The name behind that of its owner.
    trainable : bool

    Attributes
    ----------
    regularizer : Regularizer or None
    constraint : Constraint or None
    """

    def __init__(
        self,
        array: np.ndarray | Callable[[], np.ndarray],
        name: str,
        path: str | None = None,
        trainable: bool = False,
    ):
        self._array = array
        self.name = name
        self.path = name if path is None else path
        self._trainable = trainable
        self.regularizer: Any = None
        self.constraint: Any = None

    def _current(self) -> Any:
        return self._array() if callable(self._array) else self._array

    @property
    def value(self) -> np.ndarray:
        """The array itself, if it lies in host memory; else a copy, which is read-only."""
        array = self._current()
        arrays = arrays_of(array)
        value = arrays.fetch(array)
        if value is not array:
            value.flags.writeable = False
        return value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._current().shape

    @property
    def ndim(self) -> int:
        return self._current().ndim

    @property
    def dtype(self) -> str:
        return self._current().dtype.name

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def numpy(self) -> np.ndarray:
        """A copy."""
        return np.array(self.value)

    def assign(self, value: Any) -> "Variable":
        """Set every element.

        Raises
        ------
        ValueError
            If the shape is another one.
        """
        value = np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(
                "The shape of the target variable and the shape of the target value in `variable.assign(value)` "
                f"must match. variable.shape={self.shape}, Received: value.shape={value.shape}. "
                f"Target variable: {self!r}"
            )
        array = self._current()
        arrays_of(array).assign(array, value)
        return self

    def assign_add(self, value: Any) -> "Variable":
        changed = self.numpy()
        changed[...] += value
        return self.assign(changed)

    def assign_sub(self, value: Any) -> "Variable":
        changed = self.numpy()
        changed[...] -= value
        return self.assign(changed)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self.value}>"
