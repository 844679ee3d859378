"""Losses as functions of targets and predictions: one value per sample."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.keras._evaluation import as_floats
from fastml.keras._serialization import public
from fastml.solvers.backprop import formulas


def same_rank(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of one rank where they differ by a last axis of length 1: added to a vector, else taken off."""
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        return (first, second[:, None]) if second.ndim == 1 else (first[..., 0], second)
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        return (first[:, None], second) if first.ndim == 1 else (first, second[..., 0])
    return first, second


def _values(formula: Callable, y_true: Any, y_pred: Any, **options: Any) -> np.ndarray:
    prediction = as_floats(y_pred)
    target, prediction = same_rank(np.asarray(y_true, prediction.dtype), prediction)
    target, prediction = np.broadcast_arrays(target, prediction)
    with np.errstate(all="ignore"):
        return formula(target, prediction, **options)[0]


_loss = public("keras.losses")


@_loss
def mean_squared_error(y_true, y_pred):
    """Mean of ``(y_true - y_pred)²`` over the last axis."""
    return _values(formulas.mean_squared_error, y_true, y_pred)


@_loss
def mean_absolute_error(y_true, y_pred):
    """Mean of ``|y_true - y_pred|`` over the last axis."""
    return _values(formulas.mean_absolute_error, y_true, y_pred)


@_loss
def mean_absolute_percentage_error(y_true, y_pred):
    """Mean of ``100 |y_true - y_pred| / |y_true|`` over the last axis."""
    return _values(formulas.mean_absolute_percentage_error, y_true, y_pred)


@_loss
def mean_squared_logarithmic_error(y_true, y_pred):
    """Mean of ``(log(y_true + 1) - log(y_pred + 1))²`` over the last axis."""
    return _values(formulas.mean_squared_logarithmic_error, y_true, y_pred)


@_loss
def cosine_similarity(y_true, y_pred, axis=-1):
    """The cosine between targets and predictions, negated: -1 where they point the same way."""
    return _values(formulas.cosine_similarity, y_true, y_pred, axis=axis)


@_loss
def huber(y_true, y_pred, delta=1.0):
    """Quadratic up to ``delta``, linear beyond; the mean over the last axis."""
    return _values(formulas.huber, y_true, y_pred, delta=delta)


@_loss
def log_cosh(y_true, y_pred):
    """Mean of ``log(cosh(y_pred - y_true))`` over the last axis."""
    return _values(formulas.log_cosh, y_true, y_pred)


@_loss
def hinge(y_true, y_pred):
    """Mean of ``max(1 - y_true y_pred, 0)`` over the last axis; labels 0 and 1 count as -1 and 1."""
    return _values(formulas.hinge, y_true, y_pred)


@_loss
def squared_hinge(y_true, y_pred):
    """Mean of ``max(1 - y_true y_pred, 0)²`` over the last axis; labels 0 and 1 count as -1 and 1."""
    return _values(formulas.squared_hinge, y_true, y_pred)


@_loss
def categorical_hinge(y_true, y_pred):
    """``max(neg - pos + 1, 0)``: the right class's score against the largest of the others."""
    return _values(formulas.categorical_hinge, y_true, y_pred)


@_loss
def kl_divergence(y_true, y_pred):
    """Sum of ``y_true log(y_true / y_pred)`` over the last axis."""
    return _values(formulas.kl_divergence, y_true, y_pred)


@_loss
def poisson(y_true, y_pred):
    """Mean of ``y_pred - y_true log(y_pred)`` over the last axis."""
    return _values(formulas.poisson, y_true, y_pred)


@_loss
def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Cross-entropy of yes and no; the mean over the last axis."""
    _last_axis("binary_crossentropy", axis)
    formula = formulas.binary_crossentropy_of_logits if from_logits else formulas.binary_crossentropy
    return _values(formula, y_true, y_pred, label_smoothing=label_smoothing)


@_loss
def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Binary cross-entropy that weighs down what is right already."""
    _last_axis("binary_focal_crossentropy", axis)
    options = {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma}
    formula = (
        formulas.binary_focal_crossentropy_of_logits if from_logits else formulas.binary_focal_crossentropy
    )
    return _values(formula, y_true, y_pred, label_smoothing=label_smoothing, **options)


@_loss
def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Cross-entropy of distributions over classes, one-hot labels for instance."""
    _last_axis("categorical_crossentropy", axis)
    formula = (
        formulas.categorical_crossentropy_of_logits if from_logits else formulas.categorical_crossentropy
    )
    return _values(formula, y_true, y_pred, label_smoothing=label_smoothing)


@_loss
def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """Cross-entropy of distributions that weighs down what is right already."""
    _last_axis("categorical_focal_crossentropy", axis)
    options = {"alpha": alpha, "gamma": gamma, "label_smoothing": label_smoothing}
    formula = (
        formulas.categorical_focal_crossentropy_of_logits
        if from_logits
        else formulas.categorical_focal_crossentropy
    )
    return _values(formula, y_true, y_pred, **options)


@_loss
def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """Cross-entropy of labels, as class indices; 0 where the label is ``ignore_class``."""
    prediction = as_floats(y_pred)
    if axis not in (-1, prediction.ndim - 1):
        raise ValueError(f"Only axis=-1 is currently supported. Received: axis={axis}")
    labels = as_labels(y_true, prediction.shape)
    ignored = np.zeros(labels.shape, bool) if ignore_class is None else labels == ignore_class
    labels = np.where(ignored, 0, labels)
    check_labels(labels, prediction.shape[-1], "sparse_categorical_crossentropy")
    formula = (
        formulas.sparse_categorical_crossentropy_of_logits
        if from_logits
        else formulas.sparse_categorical_crossentropy
    )
    return np.where(ignored, prediction.dtype.type(0), formula(labels, prediction)[0])


@_loss
def dice(y_true, y_pred, axis=None):
    """1 less twice the overlap divided by the sum of both."""
    return _values(formulas.dice, y_true, y_pred, axis=axis)


@_loss
def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """1 less the overlap divided by itself and what is in only one, weighted by ``alpha`` and ``beta``."""
    return _values(formulas.tversky, y_true, y_pred, alpha=alpha, beta=beta, axis=axis)


@_loss
def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """``(1 - p^q) / q`` of the label's probability p."""
    prediction = as_floats(y_pred)
    labels = as_labels(y_true, prediction.shape)
    check_labels(labels, prediction.shape[-1], "categorical_generalized_cross_entropy")
    return formulas.categorical_generalized_cross_entropy(labels, prediction, q)[0]


def _last_axis(name: str, axis: Any) -> None:
    if isinstance(axis, bool):
        raise ValueError(f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}")
    if axis != -1:
        raise ValueError(f"{name}: only axis=-1 is supported. Received: axis={axis}")


def as_labels(y_true: Any, output_shape: tuple[int, ...]) -> np.ndarray:
    """Class indices of shape ``output_shape[:-1]``.

    Raises
    ------
    ValueError
        If there is another number of them.
    """
    labels = np.asarray(y_true)
    if labels.ndim == len(output_shape) and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.shape != tuple(output_shape[:-1]):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape up until the last dimension: "
            f"target.shape={labels.shape}, output.shape={tuple(output_shape)}"
        )
    # What is no number is none of the classes either.
    with np.errstate(invalid="ignore"):
        return labels.astype(np.int64)


def check_labels(labels: np.ndarray, n_classes: int, what: str) -> None:
    """Raise a ValueError if a label is none of 0 .. n_classes - 1."""
    if not labels.size:
        return
    smallest, largest = labels.min(), labels.max()
    if smallest < 0 or largest >= n_classes:
        wrong = largest if largest >= n_classes else smallest
        raise ValueError(
            f"Received a label value of {wrong} which is outside the valid range of [0, {n_classes}): {what} has "
            f"{n_classes} outputs."
        )
