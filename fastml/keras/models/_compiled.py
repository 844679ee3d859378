"""What ``compile`` was given, made fit for a model's output: loss, targets, metrics."""

from typing import Any

import numpy as np

from fastml.keras import losses, metrics
from fastml.keras._naming import to_snake_case
from fastml.keras.losses._functions import as_labels, check_labels
from fastml.keras.losses._loss import Compiled
from fastml.solvers import backprop


class Comparison:
    """A loss on the output of a layer.

    Parameters
    ----------
    loss : Loss
    output_shape : tuple of int
        Of one sample.
    last : str or None
        The name of the activation that the output comes from.
    layer : str
        The name of the last layer, for messages.
    dtype : dtype

    Attributes
    ----------
    compiled : Compiled
    """

    def __init__(
        self, loss: losses.Loss, output_shape: tuple[int, ...], last: str | None, layer: str, dtype: Any
    ):
        self.compiled: Compiled = loss.compiled(last)
        self.output_shape, self.layer, self.dtype = tuple(output_shape), layer, np.dtype(dtype)
        self._takes_one_hot = (
            isinstance(self.compiled.loss, backprop.SoftmaxCrossEntropy)
            and not self.compiled.takes_labels
            and not self.compiled.loss.label_smoothing
        )

    def targets(self, y: Any) -> np.ndarray:
        """Targets as the loss takes them: int32 labels, or values of the output's shape.

        One-hot rows become labels where the loss is the same: it is a faster one.

        Raises
        ------
        ValueError
            If their shape does not fit, or a label is none of the outputs.
        """
        y = np.asarray(y)
        if self.compiled.takes_labels:
            labels = self._labels(y)
            check_labels(labels, self.output_shape[-1], f"layer '{self.layer}'")
            return labels.astype(np.int32)
        expected = (len(y), *self.output_shape)
        if y.ndim == len(expected) - 1 and expected[-1] == 1:
            y = y[..., None]
        elif y.ndim == len(expected) + 1 and y.shape[-1] == 1:
            y = y[..., 0]
        if y.shape != expected:
            raise ValueError(
                f"Targets must have the shape of the output of layer '{self.layer}': target.shape="
                f"{(None, *y.shape[1:])}, output.shape={(None, *self.output_shape)}"
            )
        if self._takes_one_hot and _is_one_hot(y):
            return y.argmax(axis=-1).astype(np.int32)
        return np.ascontiguousarray(y, self.dtype)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        if y.dtype.kind not in "biuf":
            raise ValueError(f"Labels of layer '{self.layer}' must be integers. Received: dtype={y.dtype}")
        try:
            labels = as_labels(y, (len(y), *self.output_shape))
        except ValueError as error:
            raise ValueError(f"Layer '{self.layer}': {error}") from error
        if y.dtype.kind == "f" and not (labels == y.reshape(labels.shape)).all():
            raise ValueError(f"Labels of layer '{self.layer}' must be whole numbers.")
        return labels

    def factors(self, sample_weight: Any, n: int) -> np.ndarray | None:
        """What losses are multiplied by, or None for nothing.

        Raises
        ------
        ValueError
            If the shape of weights does not fit.
        """
        shape = (n, *self.output_shape[:-1])
        if sample_weight is None:
            return None if self.compiled.reduction == "mean" else np.ones(shape, self.dtype)
        weights = np.asarray(sample_weight, self.dtype)
        if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if weights.ndim > len(shape) or weights.shape != shape[: weights.ndim]:
            raise ValueError(
                f"Sample weights must have the shape of the losses of layer '{self.layer}', or of the first of its "
                f"axes: sample_weight.shape={weights.shape}, losses.shape={(None, *shape[1:])}"
            )
        weights = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
        return np.ascontiguousarray(np.broadcast_to(weights, shape))

    def objective(self, targets: np.ndarray, factors: np.ndarray | None) -> backprop.Objective:
        """For programs over such targets and factors."""
        kind = backprop.Targets(targets.shape[1:], targets.dtype == np.int32)
        shape = None if factors is None else factors.shape[1:]
        return backprop.Objective(self.compiled.loss, kind, shape, self.compiled.reduction)


def _is_one_hot(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


class CompiledMetrics:
    """The metrics of a model: those of plain samples, and those of weighted ones.

    Attributes
    ----------
    plain, weighted : list of Metric
    """

    def __init__(self, plain: Any, weighted: Any):
        for name, given in (("metrics", plain), ("weighted_metrics", weighted)):
            if given and not isinstance(given, list | tuple | dict):
                raise ValueError(
                    f"Expected `{name}` argument to be a list, tuple, or dict. Received instead: {name}={given} of "
                    f"type {type(given)}"
                )
        self._given = list(_flat(plain)), list(_flat(weighted))
        self.built = False
        self.plain: list[metrics.Metric] = []
        self.weighted: list[metrics.Metric] = []

    def build(self, y_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
        """Choose what "accuracy" means for such targets and outputs (of one sample)."""
        if self.built:
            return
        self.plain, self.weighted = (
            [_metric(metric, y_shape, output_shape) for metric in given] for given in self._given
        )
        self.built = True

    @property
    def all(self) -> list[metrics.Metric]:
        return [*self.plain, *self.weighted]

    def update(self, y: np.ndarray, predictions: np.ndarray, sample_weight: Any) -> None:
        for metric in self.plain:
            metric.update_state(y, predictions)
        for metric in self.weighted:
            metric.update_state(y, predictions, sample_weight)

    def results(self) -> dict[str, Any]:
        """By name; a second one of a name gets a number, a weighted one "weighted_" in front."""
        results: dict[str, Any] = {}
        for metric in self.all:
            name = metric.name
            if name in results and metric in self.weighted:
                name = f"weighted_{name}"
            unique, number = name, 0
            while unique in results:
                number += 1
                unique = f"{name}_{number}"
            value = metric.result()
            results[unique] = float(value) if np.ndim(value) == 0 else np.asarray(value)
        return results


def _flat(given: Any) -> Any:
    if isinstance(given, dict):
        given = list(given.values())
    for metric in given or ():
        if isinstance(metric, list | tuple):
            yield from _flat(metric)
        else:
            yield metric


def _kind(y_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> str:
    """What targets are to the output, both of one sample: "binary", "sparse" labels or "dense" distributions."""
    if output_shape and output_shape[-1] == 1:
        return "binary"
    if len(y_shape) < len(output_shape) or (y_shape[-1] == 1 and output_shape[-1] > 1):
        return "sparse"
    return "dense"


def _metric(identifier: Any, y_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> metrics.Metric:
    if isinstance(identifier, metrics.Metric):
        return identifier
    if str(identifier).lower() in ("accuracy", "acc"):
        classes = {
            "binary": metrics.BinaryAccuracy,
            "sparse": metrics.SparseCategoricalAccuracy,
            "dense": metrics.CategoricalAccuracy,
        }
        return classes[_kind(y_shape, output_shape)](name=str(identifier))
    if identifier is None:
        raise ValueError("Expected metric, received `None`")
    found = metrics.get(identifier)
    if not isinstance(found, metrics.Metric):
        found = metrics.MeanMetricWrapper(
            found, name=to_snake_case(getattr(found, "__name__", found.__class__.__name__))
        )
    if isinstance(identifier, str):
        found.name = identifier
    return found


def resolved_loss(
    identifier: Any, y_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> losses.Loss | None:
    """The loss of ``compile``; "crossentropy" is the one that fits the targets."""
    if isinstance(identifier, list | tuple) and len(identifier) == 1:
        identifier = identifier[0]
    if isinstance(identifier, dict) and "class_name" not in identifier and len(identifier) == 1:
        identifier = next(iter(identifier.values()))
    if str(identifier).lower() in ("crossentropy", "ce"):
        names = {
            "binary": "binary_crossentropy",
            "sparse": "sparse_categorical_crossentropy",
            "dense": "categorical_crossentropy",
        }
        identifier = names[_kind(y_shape, output_shape)]
    return losses.as_loss(identifier)
