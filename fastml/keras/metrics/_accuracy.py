"""Shares of predictions that are right."""

from typing import Any

import numpy as np

from fastml.keras._serialization import public
from fastml.keras.losses._functions import same_rank
from fastml.keras.metrics._metric import NamedMean

_metric = public("keras.metrics")


def accuracy(y_true, y_pred):
    """1 where the prediction is the target."""
    y_true, y_pred = same_rank(np.asarray(y_true), np.asarray(y_pred))
    return (y_true == y_pred).astype(np.float32)


@_metric
def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where the prediction is on the target's side of ``threshold``."""
    y_true, y_pred = same_rank(np.asarray(y_true), np.asarray(y_pred))
    return (y_true == (y_pred > threshold)).astype(np.float32)


@_metric
def categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is where the largest target is."""
    return (np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1)).astype(np.float32)


@_metric
def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is the label's."""
    return (labels_of(y_true, y_pred) == np.argmax(y_pred, axis=-1)).astype(np.float32)


@_metric
def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where the largest target is among the ``k`` largest predictions."""
    return _in_top_k(np.argmax(y_true, axis=-1), np.asarray(y_pred), k)


@_metric
def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where the label is among the ``k`` largest predictions; or among the first ``k`` ids."""
    labels, y_pred = labels_of(y_true, y_pred), np.asarray(y_pred)
    if from_sorted_ids:
        return (labels[..., None] == y_pred[..., :k]).any(axis=-1).astype(np.float32)
    return _in_top_k(labels.astype(np.int64), y_pred, k)


def labels_of(y_true: Any, y_pred: Any) -> np.ndarray:
    """Labels without a last axis of length 1 that predictions have, too."""
    y_true = np.asarray(y_true)
    return y_true[..., 0] if y_true.ndim == np.ndim(y_pred) and y_true.shape[-1] == 1 else y_true


def _in_top_k(labels: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Ties count as in, and a score that is not finite as out, as in TensorFlow's in_top_k."""
    right = np.take_along_axis(scores, labels[..., None], axis=-1)
    larger = np.count_nonzero(scores > right, axis=-1)
    return ((larger < k) & np.isfinite(right[..., 0])).astype(np.float32)


@_metric
class Accuracy(NamedMean):
    """How often predictions equal targets."""

    direction = "up"

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(accuracy, name, dtype)


@_metric
class BinaryAccuracy(NamedMean):
    """See `binary_accuracy`."""

    direction = "up"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


@_metric
class CategoricalAccuracy(NamedMean):
    """See `categorical_accuracy`."""

    direction = "up"

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype)


@_metric
class SparseCategoricalAccuracy(NamedMean):
    """See `sparse_categorical_accuracy`."""

    direction = "up"

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


@_metric
class TopKCategoricalAccuracy(NamedMean):
    """See `top_k_categorical_accuracy`."""

    direction = "up"

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


@_metric
class SparseTopKCategoricalAccuracy(NamedMean):
    """See `sparse_top_k_categorical_accuracy`."""

    direction = "up"

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        options = {"k": k, "from_sorted_ids": from_sorted_ids}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, **options)

    def get_config(self):
        config = super().get_config()
        if not config["from_sorted_ids"]:
            del config["from_sorted_ids"]
        return config
