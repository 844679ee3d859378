"""Metrics that are a loss, averaged."""

import numpy as np

from fastml.keras import losses
from fastml.keras._serialization import public
from fastml.keras.losses._functions import same_rank
from fastml.keras.metrics._metric import Mean, NamedMean

_metric = public("keras.metrics")


def _mean_of(fn, class_name, default_name):
    """A metric without options."""

    def __init__(self, name=default_name, dtype=None):
        NamedMean.__init__(self, fn, name, dtype)

    members = {
        "__init__": __init__,
        "__doc__": f"The mean of `losses.{fn.__name__}`.",
        "__module__": __name__,
        "__qualname__": class_name,
    }
    return _metric(type(class_name, (NamedMean,), members))


MeanSquaredError = _mean_of(losses.mean_squared_error, "MeanSquaredError", "mean_squared_error")
MeanAbsoluteError = _mean_of(losses.mean_absolute_error, "MeanAbsoluteError", "mean_absolute_error")
MeanAbsolutePercentageError = _mean_of(
    losses.mean_absolute_percentage_error, "MeanAbsolutePercentageError", "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _mean_of(
    losses.mean_squared_logarithmic_error, "MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"
)
LogCoshError = _mean_of(losses.log_cosh, "LogCoshError", "logcosh")
Hinge = _mean_of(losses.hinge, "Hinge", "hinge")
SquaredHinge = _mean_of(losses.squared_hinge, "SquaredHinge", "squared_hinge")
CategoricalHinge = _mean_of(losses.categorical_hinge, "CategoricalHinge", "categorical_hinge")
KLDivergence = _mean_of(losses.kl_divergence, "KLDivergence", "kl_divergence")
Poisson = _mean_of(losses.poisson, "Poisson", "poisson")


def _cosine(y_true, y_pred, axis=-1):
    return -losses.cosine_similarity(y_true, y_pred, axis)


@_metric
class CosineSimilarity(NamedMean):
    """The mean cosine between targets and predictions."""

    direction = "up"

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(_cosine, name, dtype, axis=axis)


@_metric
class RootMeanSquaredError(Mean):
    """The root of the mean squared error."""

    direction = "down"

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):  # type: ignore[override]
        y_pred = np.asarray(y_pred)
        y_true, y_pred = same_rank(np.asarray(y_true, y_pred.dtype), y_pred)
        super().update_state((y_true - y_pred) ** 2, sample_weight)

    def result(self):
        return np.sqrt(super().result())


@_metric
class BinaryCrossentropy(NamedMean):
    """The mean of `losses.binary_crossentropy`."""

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **options)


@_metric
class CategoricalCrossentropy(NamedMean):
    """The mean of `losses.categorical_crossentropy`."""

    def __init__(
        self, name="categorical_crossentropy", dtype=None, from_logits=False, label_smoothing=0, axis=-1
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **options)


@_metric
class SparseCategoricalCrossentropy(NamedMean):
    """The mean of `losses.sparse_categorical_crossentropy`."""

    def __init__(
        self,
        name="sparse_categorical_crossentropy",
        dtype=None,
        from_logits=False,
        ignore_class=None,
        axis=-1,
    ):
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **options)
        self.ignore_class = ignore_class

    def update_state(self, y_true, y_pred, sample_weight=None):  # type: ignore[override]
        """Weights of samples of the class to ignore do not count; without weights, Keras counts such samples."""
        if sample_weight is not None and self.ignore_class is not None:
            counted = np.asarray(y_true).reshape(np.shape(y_pred)[:-1]) != self.ignore_class
            counted, sample_weight = same_rank(counted, np.asarray(sample_weight))
            sample_weight = sample_weight * counted
        super().update_state(y_true, y_pred, sample_weight)
