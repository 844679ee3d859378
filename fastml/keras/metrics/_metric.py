"""What metrics are made of: states that batches add to, and a result."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.keras import initializers
from fastml.keras._allocation import check_other
from fastml.keras._naming import auto_name
from fastml.keras._serialization import public, serialize_keras_object
from fastml.keras._variable import Variable
from fastml.keras.config import floatx
from fastml.keras.losses._functions import same_rank


@public("keras.metrics")
class Metric:
    """A number that is computed batch by batch.

    Parameters
    ----------
    dtype : str, default=None
    name : str, default=None
    """

    # "up" if more is better, "down" if less is; "" where that is not known.
    direction = ""

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or auto_name(type(self).__name__)
        self.dtype = dtype or floatx()
        self._variables: list[Variable] = []

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: Any = None, name: str = ""
    ) -> Variable:
        """A state. It is kept in float64: sums of many batches."""
        check_other(tuple(shape), "float64", f"{self.name}/{name}")
        values = np.asarray(initializers.get(initializer)(shape, "float64"))
        variable = Variable(values, name, f"{self.name}/{name}")
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str = ""
    ) -> Variable:
        return self.add_variable(shape, initializer, dtype, name)

    @property
    def variables(self) -> list[Variable]:
        return list(self._variables)

    def reset_state(self) -> None:
        """Begin anew."""
        for variable in self._variables:
            variable.value[...] = 0

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def result(self) -> Any:
        raise NotImplementedError

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Metric":
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def ratio(numerator: Any, denominator: Any) -> np.ndarray:
    """The quotient, 0 where the denominator is."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator != 0)


def _per_sample(values: Any, weights: Any, reduce: Callable) -> tuple[np.ndarray, np.ndarray | None]:
    """Values times weights, reduced to one a sample; and the weights, likewise."""
    values = np.asarray(values, np.float64)
    if weights is not None:
        values, weights = same_rank(values, np.asarray(weights, np.float64))
        if values.ndim > weights.ndim:
            values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
        weights = np.broadcast_to(weights, values.shape)
        values = values * weights
        if weights.ndim > 1:
            weights = reduce(weights, axis=tuple(range(1, weights.ndim)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weights


@public("keras.metrics")
class Sum(Metric):
    """The sum of values."""

    def __init__(self, name="sum", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")

    def update_state(self, values, sample_weight=None):
        self.total.assign_add(_per_sample(values, sample_weight, np.sum)[0].sum())

    def result(self):
        return self.total.value.astype(self.dtype)[()]


@public("keras.metrics")
class Mean(Metric):
    """The weighted mean of values."""

    def __init__(self, name="mean", dtype=None):
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update_state(self, values, sample_weight=None):
        values = np.asarray(values)
        if sample_weight is None and values.ndim == 1:  # the case that every step of training has
            self.add(float(values.sum()), len(values))
            return
        values, weights = _per_sample(values, sample_weight, np.mean)
        count = weights.sum() if weights is not None else values.size
        self.add(float(values.sum()), float(count))

    def add(self, total: float, count: float) -> None:
        """Take in ``count`` values whose sum is ``total``."""
        self.total.value[()] += total
        self.count.value[()] += count

    def result(self):
        count = float(self.count.value)
        return np.dtype(self.dtype).type(float(self.total.value) / count if count else 0.0)


class MeanMetricWrapper(Mean):
    """The mean of ``fn(y_true, y_pred, **kwargs)``."""

    keras_module = "keras.metrics"

    def __init__(self, fn: Callable, name=None, dtype=None, **kwargs: Any):
        super().__init__(name=name or auto_name(type(self).__name__), dtype=dtype)
        self._fn, self._fn_kwargs = fn, kwargs
        if getattr(fn, "keras_module", None) == "keras.losses":
            self.direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):  # type: ignore[override]
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self):
        config = {**super().get_config(), "fn": serialize_keras_object(self._fn)}
        return {**config, **serialize_keras_object(self._fn_kwargs)}


class NamedMean(MeanMetricWrapper):
    """The mean of a function that this class is named after; its options are attributes."""

    def __init__(self, fn: Callable, name: str, dtype: Any, **options: Any):
        super().__init__(fn, name, dtype, **options)
        for option, value in options.items():
            setattr(self, option, value)

    def get_config(self):
        return {**Metric.get_config(self), **self._fn_kwargs}
