"""Metrics of yes and no at one threshold or many: precision, recall, the area under a curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastml.keras._serialization import public
from fastml.keras.activations import sigmoid
from fastml.keras.config import epsilon
from fastml.keras.losses._functions import same_rank
from fastml.keras.metrics._metric import Metric, ratio

_metric = public("keras.metrics")

# What a score outside the top k becomes: below every threshold.
_NEVER = -1e10


class _Counts(Metric):
    """True and false positives and negatives at each threshold."""

    counts: tuple[str, ...] = ()

    def __init__(self, thresholds: Any, name: Any, dtype: Any, top_k: Any = None, class_id: Any = None):
        super().__init__(dtype, name)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        default = 0.5 if top_k is None else _NEVER
        self.thresholds = _thresholds(default if thresholds is None else thresholds, thresholds is not None)
        for count in self.counts:
            setattr(self, count, self.add_variable((len(self.thresholds),), name=count))

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred, weights = _prepared(y_true, y_pred, sample_weight, self.top_k, self.class_id)
        counted = confusion(y_true.ravel(), y_pred.ravel(), weights.ravel(), self.thresholds)
        for count in self.counts:
            getattr(self, count).assign_add(counted[count])

    def _one_or_all(self, values: np.ndarray) -> Any:
        values = values.astype(self.dtype)
        return values[0] if len(values) == 1 else values


def _thresholds(given: Any, check: bool) -> list[float]:
    thresholds = list(given) if isinstance(given, Sequence | np.ndarray) else [given]
    wrong = [t for t in thresholds if t is None or not 0 <= t <= 1]
    if check and wrong:
        raise ValueError(f"Threshold values must be in [0, 1]. Received: {wrong}")
    return thresholds


def _prepared(y_true, y_pred, sample_weight, top_k=None, class_id=None):
    """Arrays of one shape, weights included."""
    y_pred, y_true = same_rank(np.asarray(y_pred, np.float64), np.asarray(y_true))
    if top_k is not None:
        kth = np.sort(y_pred, axis=-1)[..., -top_k, None]
        y_pred = np.where(y_pred >= kth, y_pred, _NEVER)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise ValueError(
                "When class_id is provided, y_pred must be a 2D array with shape (num_samples, num_classes), "
                f"found shape: {y_pred.shape}"
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    weights = np.asarray(1.0 if sample_weight is None else sample_weight, np.float64)
    weights = weights.reshape(weights.shape + (1,) * (y_pred.ndim - weights.ndim))
    return np.broadcast_to(y_true != 0, y_pred.shape), y_pred, np.broadcast_to(weights, y_pred.shape)


def confusion(
    is_true: np.ndarray, scores: np.ndarray, weights: np.ndarray, thresholds: Any
) -> dict[str, np.ndarray]:
    """Weights of true and false positives (score above the threshold) and negatives, at each threshold."""
    thresholds = np.asarray(thresholds, np.float64)
    order = np.argsort(thresholds, kind="stable")
    # The number of thresholds that a score is above.
    above = np.searchsorted(thresholds[order], scores, side="left")
    counted = {}
    for name, chosen in (("true", is_true), ("false", ~is_true)):
        totals = np.bincount(above[chosen], weights[chosen], minlength=len(thresholds) + 1)
        positives = np.empty(len(thresholds))
        positives[order] = totals[::-1].cumsum()[::-1][1:]
        counted[f"{name}_positives"] = positives
        counted["false_negatives" if name == "true" else "true_negatives"] = totals.sum() - positives
    return counted


class _Count(_Counts):
    """One of the four counts."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, name, dtype)

    def result(self):
        return self._one_or_all(getattr(self, self.counts[0]).value)

    def get_config(self):
        return {**super().get_config(), "thresholds": self.init_thresholds}


@_metric
class TruePositives(_Count):
    """The weight of samples that are true and found."""

    counts = ("true_positives",)


@_metric
class FalsePositives(_Count):
    """The weight of samples that are false and found."""

    counts = ("false_positives",)


@_metric
class TrueNegatives(_Count):
    """The weight of samples that are false and not found."""

    counts = ("true_negatives",)


@_metric
class FalseNegatives(_Count):
    """The weight of samples that are true and not found."""

    counts = ("false_negatives",)


class _Share(_Counts):
    """True positives among others."""

    direction = "up"

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def result(self):
        found, others = (getattr(self, count).value for count in self.counts)
        return self._one_or_all(ratio(found, found + others))

    def get_config(self):
        config = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **config}


@_metric
class Precision(_Share):
    """The share of what is found that is true."""

    counts = ("true_positives", "false_positives")


@_metric
class Recall(_Share):
    """The share of what is true that is found."""

    counts = ("true_positives", "false_negatives")


@_metric
class AUC(Metric):
    """The area under the ROC curve, or that of precision and recall, by sums over thresholds.

    Parameters
    ----------
    num_thresholds : int, default=200
    curve : {"ROC", "PR"}, default="ROC"
    summation_method : {"interpolation", "minoring", "majoring"}
        How the curve goes on between two thresholds; for "PR", "interpolation" is that of the counts.
    name, dtype
    thresholds : list of float, default=None
        In place of evenly spaced ones.
    multi_label : bool, default=False
        Whether each label (column) has its own curve; the result is the mean of areas.
    num_labels : int, default=None
    label_weights : list of float, default=None
    from_logits : bool, default=False

    References
    ----------
    J. Davis and M. Goadrich, "The relationship between Precision-Recall and ROC curves", ICML 2006.
    """

    direction = "up"
    counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        if str(curve).upper() not in ("ROC", "PR"):
            raise ValueError(f'Invalid AUC curve value: "{curve}". Expected values are ["PR", "ROC"]')
        methods = ["interpolation", "majoring", "minoring"]
        if str(summation_method).lower() not in methods:
            raise ValueError(
                f'Invalid AUC summation method value: "{summation_method}". Expected values are {methods}'
            )
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(
                f"Argument `num_thresholds` must be an integer > 1. Received: num_thresholds={num_thresholds}"
            )
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        super().__init__(dtype, name)
        self._given_thresholds = None if thresholds is None else sorted(thresholds)
        inner = self._given_thresholds or [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        self._thresholds = np.array([-epsilon(), *inner, 1 + epsilon()])
        self.num_thresholds = len(self._thresholds)
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights, self._from_logits = label_weights, from_logits
        if not multi_label or num_labels:
            self._add_counts(num_labels)

    @property
    def thresholds(self) -> list[float]:
        return self._thresholds.tolist()

    def _add_counts(self, n_labels):
        shape = (self.num_thresholds,) if n_labels is None else (self.num_thresholds, n_labels)
        for count in self.counts:
            setattr(self, count, self.add_variable(shape, name=count))

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred, weights = _prepared(y_true, y_pred, sample_weight)
        if self._from_logits:
            y_pred = sigmoid(y_pred)
        if not self.multi_label:
            if self.label_weights is not None:
                weights = weights * np.asarray(self.label_weights)
            counted = confusion(y_true.ravel(), y_pred.ravel(), weights.ravel(), self._thresholds)
        else:
            if not self._variables:
                self._add_counts(y_pred.shape[1])
            columns = [
                confusion(y_true[:, j], y_pred[:, j], weights[:, j], self._thresholds)
                for j in range(y_pred.shape[1])
            ]
            counted = {name: np.stack([column[name] for column in columns], axis=1) for name in self.counts}
        for count in self.counts:
            getattr(self, count).assign_add(counted[count])

    def result(self):
        if not self._variables:
            return np.dtype(self.dtype).type(0)
        areas = (
            self._interpolated_pr()
            if (self.curve, self.summation_method)
            == (
                "PR",
                "interpolation",
            )
            else self._summed()
        )
        if not self.multi_label:
            return np.dtype(self.dtype).type(areas)
        return np.dtype(self.dtype).type(np.average(areas, weights=self.label_weights))

    def _summed(self):
        tp, fp, tn, fn = (getattr(self, count).value for count in self.counts)
        recall = ratio(tp, tp + fn)
        x, y = (ratio(fp, fp + tn), recall) if self.curve == "ROC" else (recall, ratio(tp, tp + fp))
        sides = y[:-1], y[1:]
        heights = {
            "interpolation": (sides[0] + sides[1]) / 2,
            "minoring": np.minimum(*sides),
            "majoring": np.maximum(*sides),
        }[self.summation_method]
        return np.sum((x[:-1] - x[1:]) * heights, axis=0)

    def _interpolated_pr(self):
        """Davis and Goadrich, section 3: true positives go linearly with all that is found."""
        tp, fp, _, fn = (getattr(self, count).value for count in self.counts)
        found = tp + fp
        slope = ratio(tp[:-1] - tp[1:], np.maximum(found[:-1] - found[1:], 0))
        intercept = tp[1:] - slope * found[1:]
        both = (found[:-1] > 0) & (found[1:] > 0)
        growth = np.where(both, ratio(found[:-1], np.maximum(found[1:], 0)), 1.0)
        area = slope * (tp[:-1] - tp[1:] + intercept * np.log(growth))
        return np.sum(ratio(area, np.maximum(tp[1:] + fn[1:], 0)), axis=0)

    def get_config(self):
        config = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self._from_logits,
        }
        if self._given_thresholds is not None:
            config["thresholds"] = self._given_thresholds
        return {**super().get_config(), **config}
