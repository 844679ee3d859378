"""Losses, by Keras' names."""

from typing import Any

from fastml._loss import Loss as _UserLoss
from fastml.keras._naming import to_snake_case
from fastml.keras._serialization import Names, serialize_keras_object
from fastml.keras.losses import _classes, _functions
from fastml.keras.losses._classes import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
from fastml.keras.losses._functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
from fastml.keras.losses._loss import Loss, LossFunctionWrapper
from fastml.keras.losses._user import ElementwiseLoss

_ALIASES = {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
}

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

_NAMES = Names(
    "loss",
    {
        **{name: getattr(_classes, name) for name in __all__ if hasattr(_classes, name)},
        **{name: getattr(_functions, name) for name in __all__ if hasattr(_functions, name)},
        **_ALIASES,
        **{name.upper(): function for name, function in _ALIASES.items()},
    },
)


def get(identifier: Any) -> Any:
    """The loss of a name, a configuration, a class or itself; None is None.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    if identifier is None or isinstance(identifier, _UserLoss):
        return identifier
    return _NAMES.get(identifier)


def as_loss(identifier: Any) -> Loss | None:
    """What ``compile`` makes of its argument."""
    found = get(identifier)
    if isinstance(found, _UserLoss):
        return ElementwiseLoss(found)
    if found is None or isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else to_snake_case(getattr(found, "__name__", "loss"))
    return LossFunctionWrapper(found, name=name)


def serialize(loss: Any) -> Any:
    return serialize_keras_object(loss)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)
