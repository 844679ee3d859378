"""What SAG and SAGA carry from step to step, one object per model."""

from dataclasses import dataclass

import numpy as np

# A model's parameters and scalars.
RECORD = np.dtype(
    [
        ("positive_class", "i8"),  # as in glm_data.MODEL, these three
        ("target", "i8"),
        ("weighting", "i8"),
        ("saga", "i8"),  # 1: SAGA; 0: SAG
        ("fit_intercept", "i8"),
        ("n_draws", "i8"),  # of an epoch: the rows of weight above 0
        ("max_iter", "i8"),  # epochs at most
        ("seed", "u8"),  # state of the generator that draws rows
        ("n_begun", "i8"),  # SAGA: rows whose gradient at the start is in the table
        ("cursor", "i8"),  # steps done in this epoch
        ("n_seen", "i8"),  # rows whose gradient is in the table
        ("n_iter", "i8"),  # epochs done
        ("done", "i8"),
        ("finite", "i8"),  # 0: a weight is not
        ("converged", "i8"),
        ("step_size", "f8"),
        ("alpha", "f8"),  # of the l2 penalty, alpha / 2 |w|^2, beside the mean loss of the rows drawn from
        ("beta", "f8"),  # of the l1 penalty, beta |w|_1
        ("tol", "f8"),
        ("change", "f8"),  # of the last epoch: what is compared with tol
    ]
)


@dataclass
class Model:
    """One model.

    Attributes
    ----------
    record : structured array of shape (1,), ``RECORD``
    rows : array of int32, shape (n_draws,), or None
        The rows that are drawn from; None stands for all.
    coef : array of float64, shape (n_columns, n_features + padding)
        Weights, each row padded with zeros to whole vectors (``linear_data.PADDING``).
    intercept : array of float64, shape (n_columns,)
    gradient_sum : array like coef
        Sum over the table of gradient x_i.
    intercept_gradient : array like intercept
        Sum over the table.
    memory : array of float64, shape (n_rows, n_columns)
        The table: of each row the loss's gradient by the margins, weight included, when it was last drawn; NaN for a
        row that SAG has not drawn yet.
    previous : array like coef
        ``coef`` at the end of the last epoch.
    """

    record: np.ndarray
    rows: np.ndarray | None
    coef: np.ndarray
    intercept: np.ndarray
    gradient_sum: np.ndarray
    intercept_gradient: np.ndarray
    memory: np.ndarray
    previous: np.ndarray
