"""Loss objects: a function, its options, and how values become one number."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastml.keras._naming import auto_name
from fastml.keras._serialization import public, serialize_keras_object
from fastml.keras.config import floatx
from fastml.keras.losses._functions import same_rank
from fastml.solvers import backprop
from fastml.solvers.backprop import formulas

_REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")
# What a network calls them.
_REDUCTIONS_OF_NETWORKS = {
    "sum": "sum",
    "none": "sum",
    None: "sum",
    "mean_with_sample_weight": "weighted_mean",
}


class Compiled(NamedTuple):
    """A loss, as a network takes it.

    Attributes
    ----------
    loss : backprop.Loss
    takes_labels : bool
        Whether targets are class indices rather than values of the output's shape.
    reduction : str
    """

    loss: Any
    takes_labels: bool
    reduction: str


@public("keras.losses")
class Loss:
    """What all losses share; a network takes those of this package, and ``fastml.Loss``."""

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ):
        self.name = name or auto_name(type(self).__name__)
        if reduction not in _REDUCTIONS:
            raise ValueError(
                "Invalid value for argument `reduction`. Expected one of "
                f"{set(_REDUCTIONS)}. Received: reduction={reduction}"
            )
        self.reduction = reduction
        self.dtype = dtype or floatx()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true = np.asarray(y_true)
        values = np.asarray(self.call(y_true, np.asarray(y_pred, self.dtype)), self.dtype)
        counted = self._counted(y_true, values)
        if sample_weight is not None:
            values, weights = same_rank(values, np.asarray(sample_weight, self.dtype))
            values = values * weights
        if self.reduction in (None, "none") or values.ndim == 0:
            return values
        if self.reduction == "sum":
            return values.sum()
        weighted = self.reduction == "mean_with_sample_weight" and sample_weight is not None
        if counted is None:
            divisor = np.asarray(sample_weight).sum() if weighted else values.size
        else:
            divisor = (counted * weights).sum() if weighted else counted.sum()
        return (values.sum() / divisor if divisor else np.zeros(())).astype(self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError

    def _counted(self, y_true: np.ndarray, values: np.ndarray) -> np.ndarray | None:
        """Which values a mean is of; None for all."""
        return None

    def compiled(self, last: str | None) -> Compiled:
        """For a network whose last node is the activation named ``last``.

        Raises
        ------
        TypeError
            If the gradient is not known.
        """
        raise TypeError(
            f"{type(self).__name__} cannot be trained with: its gradient is not known. Use a loss of "
            "fastml.keras.losses, or fastml.Loss with a compiled function and its derivative."
        )

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Loss":
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss made of a function of targets and predictions, with options.

    Parameters
    ----------
    fn : callable
        ``fn(y_true, y_pred, **kwargs)``: one value per sample.
    reduction, name, dtype
        As for `Loss`.
    **kwargs
        For ``fn``.
    """

    keras_module = "keras.losses"

    def __init__(self, fn: Callable, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs: Any):
        super().__init__(name, reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred):
        y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def _counted(self, y_true, values):
        ignored = self._fn_kwargs.get("ignore_class")
        return None if ignored is None else y_true.reshape(values.shape) != ignored

    def compiled(self, last):
        if getattr(self.fn, "keras_module", None) != "keras.losses":
            return super().compiled(last)
        kwargs = dict(self._fn_kwargs)
        reduction = _REDUCTIONS_OF_NETWORKS.get(self.reduction, "mean")
        name = self.fn.__name__
        takes_labels = name in ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
        return Compiled(_network_loss(name, kwargs, last), takes_labels, reduction)

    def get_config(self):
        config = {**super().get_config(), "fn": serialize_keras_object(self.fn)}
        return {**config, **serialize_keras_object(self._fn_kwargs)}

    def __repr__(self):
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


def _network_loss(name: str, kwargs: dict[str, Any], last: str | None) -> Any:
    """The loss of networks that computes what the function ``name`` does."""
    if kwargs.pop("axis", -1) not in (-1, None):
        raise ValueError(f"{name}: only axis=-1 is supported in training.")
    if kwargs.pop("ignore_class", None) is not None:
        raise ValueError("ignore_class is not supported in training: give such samples a weight of 0.")
    logits = kwargs.pop("from_logits", False)
    smoothing = kwargs.get("label_smoothing", 0.0)
    if name in _OF_LOGITS:
        # As Keras on TensorFlow: both activations remember what they were given, and any of these losses takes that.
        output = last if last in ("softmax", "sigmoid") else None
        loss, expected = _OF_LOGITS[name]
        if logits and output is not None:
            warnings.warn(
                f'"`{name}` received `from_logits=True`, but the `output` argument was produced by a {expected} '
                "activation and thus does not represent logits. Was this intended?",
                stacklevel=4,
            )
        if logits or output is not None:
            return loss(smoothing, output)
    formula = getattr(formulas, f"{name}_of_logits" if logits else name)
    return backprop.Formula(partial(formula, **kwargs))


# What computes a loss from logits, and the activation that Keras' message names.
_OF_LOGITS: dict[str, tuple[Any, str]] = {
    "binary_crossentropy": (backprop.SigmoidCrossEntropy, "Sigmoid"),
    "categorical_crossentropy": (backprop.SoftmaxCrossEntropy, "Softmax"),
    "sparse_categorical_crossentropy": (backprop.SoftmaxCrossEntropy, "Softmax"),
}
