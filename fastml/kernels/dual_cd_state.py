"""What coordinate descent carries from step to step, one object per model."""

from dataclasses import dataclass

import numpy as np

# A model's parameters and scalars. "Coordinates" are rows, for the l1 penalty features.
MODEL = np.dtype(
    [
        ("positive_class", "i8"),  # the label that is +1 to this model; every other is -1
        ("cost_positive", "f8"),  # C of its rows, before sample weights; regression: C
        ("cost_negative", "f8"),
        ("epsilon", "f8"),  # of the epsilon-insensitive losses
        ("tol", "f8"),
        ("max_iter", "i8"),  # sweeps at most
        ("seed", "i8"),  # state of the xorshift that orders the coordinates, never 0
        ("n_coordinates", "i8"),
        ("n_active", "i8"),  # order[:n_active] are not shrunk
        ("cursor", "i8"),  # position in order
        ("in_sweep", "i8"),
        ("n_iter", "i8"),  # sweeps done
        ("done", "i8"),
        ("intercept", "f8"),  # weight of the bias; unused where coef has it
        (
            "largest",
            "f8",
        ),  # of this sweep: largest and smallest projected gradient, or largest violation and sum
        ("smallest", "f8"),
        ("bound_above", "f8"),  # of the last sweep: what lies beyond is shrunk
        ("bound_below", "f8"),
        ("first", "f8"),  # the first sweep's sum of violations
        ("violation", "f8"),  # what is compared with tol, for the progress bar
        ("phase", "i8"),  # logistic loss: the next thing to do
        ("n_inner", "i8"),  # Newton steps in this sweep, or l1: sweeps over this quadratic model
        ("n_active_inner", "i8"),  # l1: order[:n_active_inner] are not shrunk in the quadratic model
        ("inner_tol", "f8"),  # of a row's problem; l1: of the quadratic model's violations, as tol is
        ("n_samples", "f8"),  # l1 with the logistic loss: those whose C is above 0
    ]
)


@dataclass
class Dual:
    """The dual of a hinge, an epsilon-insensitive or a logistic loss.

    Attributes
    ----------
    record : structured array of shape (1,), ``MODEL``
    order : array of int32, shape (n_coordinates,)
        The rows whose C is above 0, those that are not shrunk first.
    coef : array of float64, shape (n_features + padding,)
        sum_i dual_i y_i x_i (SVR: without y), padded with zeros to whole vectors (``linear_data.padded``).
    dual : array of float64, shape (n_rows,)
        0 <= dual_i <= C_i; SVR: |dual_i| <= C_i; no upper bound for the squared losses. Logistic: of shape (n_rows, 2),
        dual_i and C_i - dual_i, either of which may be too small to be told from the other.
    """

    record: np.ndarray
    order: np.ndarray
    coef: np.ndarray
    dual: np.ndarray


@dataclass
class MultiClassDual:
    """The dual of Crammer and Singer's machine; ``record`` and ``order`` as for ``Dual``.

    Attributes
    ----------
    coef : array of float64, shape (n_features + 1, n_classes)
        The last row is the bias'.
    dual : array of float64, shape (n_rows, n_classes)
    class_cost : array of float64, shape (n_classes,)
        C of a class's rows, before sample weights.
    class_order : array of int32, shape (n_rows, n_classes)
        Each row's classes, those that are not shrunk first.
    n_active_classes : array of int32, shape (n_rows,)
    """

    record: np.ndarray
    order: np.ndarray
    coef: np.ndarray
    dual: np.ndarray
    class_cost: np.ndarray
    class_order: np.ndarray
    n_active_classes: np.ndarray


@dataclass
class LogisticL1:
    """The logistic loss with an l1 penalty, X transposed; ``record`` and ``order`` as for ``Dual``.

    Attributes
    ----------
    coef : array of float64, shape (n_features + 1,), or (n_features,) without bias
    signed_cost : array of float64, shape (n_samples + padding,)
        C_i y_i.
    samples : array of float64, shape (5, n_samples + padding)
        w.x; slope and curvature of the loss there; of the quadratic model curvature times d.x; d.x for the line search.
    features : array of float64, shape (3, len(coef))
        w + d; slope and curvature of the loss.
    """

    record: np.ndarray
    order: np.ndarray
    coef: np.ndarray
    signed_cost: np.ndarray
    samples: np.ndarray
    features: np.ndarray


@dataclass
class L1Primal:
    """The squared hinge loss with an l1 penalty, X transposed; ``record`` and ``order`` as for ``Dual``.

    Attributes
    ----------
    coef : array of float64, shape (n_features + 1,), or (n_features,) without bias
    residual : array of float64, shape (n_samples + padding,)
        y - w.x.
    signed_cost : array like residual
        C_i y_i.
    curvature : array like coef
        sum_i C_i x_ij^2.
    """

    record: np.ndarray
    order: np.ndarray
    coef: np.ndarray
    residual: np.ndarray
    signed_cost: np.ndarray
    curvature: np.ndarray
