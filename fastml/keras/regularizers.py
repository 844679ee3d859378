"""Penalties on weights and outputs."""

import math
from typing import Any

import numpy as np

from fastml.keras._naming import by_name
from fastml.keras._serialization import Names, public, serialize_keras_object
from fastml.solvers.backprop import ElasticNet, Penalty
from fastml.solvers.backprop import Orthogonal as _Orthogonal


class Regularizer:
    """A penalty on an array; ``penalty`` is what a network takes."""

    @property
    def penalty(self) -> Penalty:
        raise TypeError(
            f"A regularizer must be one of fastml.keras.regularizers, whose gradients are known. Received: {self}"
        )

    def __call__(self, x: Any) -> float:
        return self.penalty.value(np.asarray(x))

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regularizer":
        return cls(**config)


@public("keras.regularizers", "l1_l2")
class L1L2(Regularizer):
    """``l1 * sum |w| + l2 * sum w²``."""

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _checked(0.0 if l1 is None else l1, "l1")
        self.l2 = _checked(0.0 if l2 is None else l2, "l2")

    @property
    def penalty(self):
        return ElasticNet(self.l1, self.l2)

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


@public("keras.regularizers", "l1")
class L1(Regularizer):
    """``l1 * sum |w|``."""

    def __init__(self, l1=0.01):
        self.l1 = _checked(0.01 if l1 is None else l1, "l1")

    @property
    def penalty(self):
        return ElasticNet(l1=self.l1)

    def get_config(self):
        return {"l1": self.l1}


@public("keras.regularizers", "l2")
class L2(Regularizer):
    """``l2 * sum w²``."""

    def __init__(self, l2=0.01):
        self.l2 = _checked(0.01 if l2 is None else l2, "l2")

    @property
    def penalty(self):
        return ElasticNet(l2=self.l2)

    def get_config(self):
        return {"l2": self.l2}


@public("keras.regularizers")
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean absolute cosine between the rows, or the columns, of a matrix."""

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = _checked(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(
                f'Invalid value for argument `mode`. Expected one of {{"rows", "columns"}}. Received: mode={mode}'
            )
        self.mode = mode

    @property
    def penalty(self):
        return _Orthogonal(self.factor, self.mode == "rows")

    def __call__(self, x):
        if np.ndim(x) != 2:
            raise ValueError(
                f"Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape={np.shape(x)}"
            )
        return super().__call__(x)

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode}


def _checked(value: Any, name: str) -> float:
    if not isinstance(value, float | int) or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. Received: {name}={value}"
        )
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
_NAMES = Names("regularizer", {**by_name((L1, L2, L1L2, OrthogonalRegularizer)), "l1_l2": L1L2})


def get(identifier: Any) -> Any:
    """The regularizer of a name, a configuration, a class or itself; None is None.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    return None if identifier is None else _NAMES.get(identifier)


def serialize(regularizer: Any) -> Any:
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)
