"""Keras' losses as classes."""

from typing import Any

from fastml.keras._serialization import public
from fastml.keras.losses import _functions as functions
from fastml.keras.losses._loss import Loss, LossFunctionWrapper

_loss = public("keras.losses")


class _Named(LossFunctionWrapper):
    """A loss whose options are attributes."""

    options: tuple[str, ...] = ()

    def _set(self, fn: Any, name: str | None, reduction: str | None, dtype: Any, **options: Any) -> None:
        super().__init__(fn, name=name, reduction=reduction, dtype=dtype, **options)
        for option, value in options.items():
            setattr(self, option, value)

    def get_config(self):
        return {**Loss.get_config(self), **{name: self._fn_kwargs[name] for name in self.options}}


@_loss
class MeanSquaredError(_Named):
    """See `mean_squared_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        self._set(functions.mean_squared_error, name, reduction, dtype)


@_loss
class MeanAbsoluteError(_Named):
    """See `mean_absolute_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        self._set(functions.mean_absolute_error, name, reduction, dtype)


@_loss
class MeanAbsolutePercentageError(_Named):
    """See `mean_absolute_percentage_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        self._set(functions.mean_absolute_percentage_error, name, reduction, dtype)


@_loss
class MeanSquaredLogarithmicError(_Named):
    """See `mean_squared_logarithmic_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        self._set(functions.mean_squared_logarithmic_error, name, reduction, dtype)


@_loss
class CosineSimilarity(_Named):
    """See `cosine_similarity`."""

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        self._set(functions.cosine_similarity, name, reduction, dtype, axis=axis)


@_loss
class Huber(_Named):
    """See `huber`."""

    options = ("delta",)

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        self._set(functions.huber, name, reduction, dtype, delta=delta)


@_loss
class LogCosh(_Named):
    """See `log_cosh`."""

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        self._set(functions.log_cosh, name, reduction, dtype)


@_loss
class Hinge(_Named):
    """See `hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        self._set(functions.hinge, name, reduction, dtype)


@_loss
class SquaredHinge(_Named):
    """See `squared_hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        self._set(functions.squared_hinge, name, reduction, dtype)


@_loss
class CategoricalHinge(_Named):
    """See `categorical_hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        self._set(functions.categorical_hinge, name, reduction, dtype)


@_loss
class KLDivergence(_Named):
    """See `kl_divergence`."""

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        self._set(functions.kl_divergence, name, reduction, dtype)


@_loss
class Poisson(_Named):
    """See `poisson`."""

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        self._set(functions.poisson, name, reduction, dtype)


@_loss
class BinaryCrossentropy(_Named):
    """See `binary_crossentropy`."""

    options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        self._set(functions.binary_crossentropy, name, reduction, dtype, **options)


@_loss
class BinaryFocalCrossentropy(_Named):
    """See `binary_focal_crossentropy`."""

    options = ("from_logits", "label_smoothing", "axis", "apply_class_balancing", "alpha", "gamma")

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        options |= {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma}
        self._set(functions.binary_focal_crossentropy, name, reduction, dtype, **options)


@_loss
class CategoricalCrossentropy(_Named):
    """See `categorical_crossentropy`."""

    options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        self._set(functions.categorical_crossentropy, name, reduction, dtype, **options)


@_loss
class CategoricalFocalCrossentropy(_Named):
    """See `categorical_focal_crossentropy`."""

    options = ("from_logits", "label_smoothing", "axis", "alpha", "gamma")

    def __init__(
        self,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        options |= {"alpha": alpha, "gamma": gamma}
        self._set(functions.categorical_focal_crossentropy, name, reduction, dtype, **options)


@_loss
class SparseCategoricalCrossentropy(_Named):
    """See `sparse_categorical_crossentropy`."""

    options = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        self._set(functions.sparse_categorical_crossentropy, name, reduction, dtype, **options)


@_loss
class Dice(_Named):
    """See `dice`."""

    options = ("axis",)

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        self._set(functions.dice, name, reduction, dtype, axis=axis)


@_loss
class Tversky(_Named):
    """See `tversky`."""

    options = ("alpha", "beta", "axis")

    def __init__(
        self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", axis=None, dtype=None
    ):
        self._set(functions.tversky, name, reduction, dtype, alpha=alpha, beta=beta, axis=axis)


@_loss
class CategoricalGeneralizedCrossEntropy(_Named):
    """See `categorical_generalized_cross_entropy`."""

    options = ("q",)

    def __init__(
        self,
        q=0.5,
        reduction="sum_over_batch_size",
        name="categorical_generalized_cross_entropy",
        dtype=None,
    ):
        if not 0 < q < 1:
            raise ValueError("q must be in the interval (0, 1)")
        self._set(functions.categorical_generalized_cross_entropy, name, reduction, dtype, q=q)
