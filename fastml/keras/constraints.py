"""What weights are kept to: functions of an array, which training applies after each step."""

from typing import Any

import numpy as np

from fastml.keras._naming import by_name
from fastml.keras._serialization import Names, public, serialize_keras_object
from fastml.keras.config import epsilon

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

_constraint = public("keras.constraints")


@_constraint
class Constraint:
    """The base of constraints, one's own among them: a class whose ``__call__`` makes weights of weights.

    It gets an array of NumPy's, and is called in training, after each step that changes the weights.
    """

    def __call__(self, w: Any) -> Any:
        """The array to be had in place of ``w``."""
        return w

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        return cls(**config)


class _OfNorm(Constraint):
    """Weights times a factor that depends on their norm along ``axis``."""

    def __init__(self, axis: Any):
        axes = axis if isinstance(axis, list | tuple) else [axis]
        if axis is not None and not all(isinstance(each, int | np.integer) for each in axes):
            raise ValueError(
                f"Argument `axis` must be an integer or a list of integers. Received: axis={axis}"
            )
        self.axis = axis

    def _desired(self, norms: np.ndarray) -> Any:
        raise NotImplementedError

    def __call__(self, w: Any) -> np.ndarray:
        w = np.asarray(w)
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        norms = np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))
        return w * (self._desired(norms) / (epsilon() + norms))


@_constraint
class MaxNorm(_OfNorm):
    """Norms of at most ``max_value``.

    Parameters
    ----------
    max_value : float, default=2
    axis : int, list of int or None, default=0
        What norms are taken along: 0 for the inputs of each unit of a dense layer, [0, 1, 2] for each filter of a
        convolution, None for all weights together.
    """

    def __init__(self, max_value=2, axis=0):
        super().__init__(axis)
        self.max_value = max_value

    def _desired(self, norms):
        return np.clip(norms, 0, self.max_value)

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


@_constraint
class NonNeg(Constraint):
    """No weight below 0."""

    def __call__(self, w):
        return np.maximum(w, 0)


@_constraint
class UnitNorm(_OfNorm):
    """Norms of 1; ``axis`` is that of `MaxNorm`."""

    def __init__(self, axis=0):
        super().__init__(axis)

    def _desired(self, norms):
        return np.ones_like(norms)

    def get_config(self):
        return {"axis": self.axis}


@_constraint
class MinMaxNorm(_OfNorm):
    """Norms between two bounds.

    Parameters
    ----------
    min_value, max_value : float, default=0.0, 1.0
    rate : float, default=1.0
        How much of the way to the bound a step goes.
    axis : int, list of int or None, default=0
        That of `MaxNorm`.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        super().__init__(axis)
        self.min_value, self.max_value, self.rate = min_value, max_value, rate

    def _desired(self, norms):
        return self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms

    def get_config(self):
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
_NAMES = Names("constraint", by_name((Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)))


def get(identifier: Any) -> Any:
    """The constraint of a name, a configuration, a class or itself (any function of an array); None is None.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    return None if identifier is None else _NAMES.get(identifier)


def serialize(constraint: Any) -> Any:
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)
