"""What a pass over the rows takes: data, the rule that all models share, and a table of the models."""

from typing import Any, NamedTuple

import numpy as np

# Of one column, any real target; those whose `y` is a sign, and the one that has a column per class.
REGRESSION_LOSSES = ("squared_error", "huber", "squared_epsilon_insensitive", "poisson")
BINARY_LOSSES = ("log_loss", "squared_hinge", "modified_huber")
LOSSES = (*REGRESSION_LOSSES, *BINARY_LOSSES, "multinomial")

MODEL = np.dtype(
    [
        ("positive_class", "i8"),  # int32 targets, one column: the code that is y = +1; every other is -1
        ("target", "i8"),  # float64 targets: the row of `Data.target` that holds this model's
        ("weighting", "i8"),  # the row of `Data.weight` that holds this model's; -1: every row weighs 1
        ("active", "i8"),  # 0: leave this model out of a pass, and what it would write as it is
    ]
)


class Rule(NamedTuple):
    """What all models of a pass have in common.

    Attributes
    ----------
    loss : str or fastml.Loss
        One of ``LOSSES``, or the user's own, of one column.
    n_columns : int
        Weight vectors of one model: the number of classes for "multinomial", else 1.
    epsilon : float
        Of huber and squared_epsilon_insensitive.
    """

    loss: Any
    n_columns: int = 1
    epsilon: float = 0.1


class Data(NamedTuple):
    """Rows, targets and weights, on the device that passes over them.

    Attributes
    ----------
    X : array of shape (n_rows, n_features), C order, or CSR; float32 or float64
        Not written to, nor copied; may be read-only.
    target : array of shape (n_rows,) of int32, or of shape (n_targets, n_rows), C order, of float64
        Class codes: "multinomial" has a column for each, in [0, n_columns); for any other loss a model's
        ``positive_class`` is y = +1, every other code y = -1. Or values, of which a model takes one row.
    weight : array of shape (n_weightings, n_rows), float64, C order, or None
        Factors on the rows' losses, finite and not negative. A weight of 0 leaves the row out altogether: a fold of a
        cross-validation is a row of this table.
    """

    X: Any
    target: Any
    weight: Any = None


def new_models(n_models: int) -> np.ndarray:
    """A table of ``n_models`` active models: class 1 is positive, the first row of targets, no weights.

    Parameters
    ----------
    n_models : int

    Returns
    -------
    structured array of shape (n_models,), ``MODEL``
    """
    models = np.zeros(n_models, dtype=MODEL)
    models["positive_class"], models["weighting"], models["active"] = 1, -1, 1
    return models
