"""The data that linear models learn from, and vectors padded as the kernels want them."""

from typing import Any, NamedTuple

import numpy as np

# The widest vector has 8 doubles: a row's last entries may be read and written as a whole one.
PADDING = 8


class Data(NamedTuple):
    """Rows, targets and weights, which all models of a run share.

    Attributes
    ----------
    X : array of shape (n_rows, n_features), C order, or CSR; float32 or float64
        Not written to; may be read-only.
    target : array of shape (n_rows,)
        int32 class labels, of which a model's ``positive_class`` is its +1 and any other its -1; or float64 values.
    sample_weight : array of shape (n_rows,), float64, or None
        Factors on C; None stands for all ones. Rows of weight 0 have no loss.
    bias : float
        Value of one more feature, which X does not hold; 0 where there is none.
    sq_norm : array of shape (n_rows,), float64, or None
        Squared norm of each row, bias included, for the loops that read it.
    """

    X: Any
    target: np.ndarray
    sample_weight: np.ndarray | None
    bias: float
    sq_norm: np.ndarray | None = None


def padded(n: int) -> np.ndarray:
    """``n`` float64 zeros, followed by zeros that fill the last vector."""
    return np.zeros(n + -n % PADDING)
