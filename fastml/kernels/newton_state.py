"""What the trust-region Newton method carries from step to step, one object per model."""

from dataclasses import dataclass

import numpy as np

# A model's parameters and scalars.
MODEL = np.dtype(
    [
        ("positive_class", "i8"),  # the label that is +1 to this model; every other is -1
        ("cost_positive", "f8"),  # C of its rows, before sample weights; regression: C
        ("cost_negative", "f8"),
        ("epsilon", "f8"),  # of the epsilon-insensitive loss
        ("tol", "f8"),  # of the gradient's norm, relative to the first one's
        ("logistic", "i8"),  # 1: the logistic loss; 0: a squared one
        ("max_iter", "i8"),  # Newton steps at most
        ("phase", "i8"),  # the next thing to do: start, refine the direction, try the step
        ("n_iter", "i8"),  # Newton steps taken
        ("n_products", "i8"),  # with the Hessian, in this step
        ("done", "i8"),
        ("finite", "i8"),  # 0 where something overflowed
        ("current", "i8"),  # which list of active rows is that of the weights; the other is the trial's
        ("has_hessian", "i8"),  # whether the matrix is that of the current rows
        ("objective", "f8"),
        ("radius", "f8"),  # of the trust region
        ("gradient_norm", "f8"),
        ("first_gradient_norm", "f8"),
        ("sq_residual", "f8"),  # of the Newton equation
        ("credit", "f8"),  # work of the products over rows since the matrix was last made
        ("update_work", "f8"),  # of bringing the matrix up to date
    ]
)

VECTORS = (
    "weights",
    "trial_weights",
    "gradient",
    "trial_gradient",
    "step",
    "residual",
    "direction",
    "product",
)


@dataclass
class Newton:
    """One model.

    Attributes
    ----------
    record : structured array of shape (1,), ``MODEL``
    vectors : array of float64, shape (8, n_features + 1 + padding)
        ``VECTORS``; the element after the features is the bias', zeros fill the last whole vector.
    block_start : array of int64, shape (n_blocks + 1,)
        Rows are summed up in blocks, one after another inside a block: threads take blocks.
    partial : array of float64, shape (n_blocks, n_features + 1 + padding)
    active : array of int32, shape (2, n_rows)
        Rows that have a loss, those of a block from its start on.
    n_active : array of int64, shape (2, n_blocks)
    curvature : array of float64, shape (2, n_rows), or None
        For the logistic loss: half of C_i times its second derivative, for each row in ``active``.
    hessian : array of float64, zeros, shape (n_blocks,) + 2 * (n_features + 1 + padding,), or None
        Room for sum_i C_i x_i x_i' over the rows ``in_hessian``. None, and for the logistic loss: products always go
        over the rows.
    in_hessian : array of uint8, zeros, shape (n_rows,)
    """

    record: np.ndarray
    vectors: np.ndarray
    block_start: np.ndarray
    partial: np.ndarray
    active: np.ndarray
    n_active: np.ndarray
    curvature: np.ndarray | None
    hessian: np.ndarray | None
    in_hessian: np.ndarray
