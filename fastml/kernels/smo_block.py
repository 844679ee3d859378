"""What the SMO kernels take and give: a block of variables, and how its solution ended."""

from enum import Enum
from typing import Any, NamedTuple


class Block(NamedTuple):
    """Variables that are optimised among themselves, all others fixed.

    Attributes
    ----------
    K : array of shape (n_rows, n_rows), float32 or float64, on the device; the others are the host's
        Kernel values between the block's rows; symmetric, its rows contiguous, at any distance from each other.
    index : array of int32, of shape (n_variables,), or None
        The row of K that each variable stands on; None: variable i stands on row i.
    y : array of float64, of shape (n_variables,)
        -1 or +1.
    C : array of float64, of shape (n_variables,)
        Upper bounds.
    alpha : array of float64, of shape (n_variables,)
        Changed in place, within 0 and C.
    gradient : array of float64, of shape (n_variables,)
        y_i times the derivative of the dual objective by alpha_i: sum_j y_j alpha_j k(x_i, x_j) + y_i p_i, over all
        variables of the problem. Changed in place.
    """

    K: Any
    index: Any
    y: Any
    C: Any
    alpha: Any
    gradient: Any


class Stop(Enum):
    """Why a block's solution ended."""

    CONVERGED = "no pair violates by more than tol"
    MAX_UPDATES = "max_updates pairs were updated"
    STALLED = "the best pair's step was too small to change its variables"


class Solved(NamedTuple):
    """How a block's solution ended.

    Attributes
    ----------
    n_updates : int
        Pairs updated.
    violation : float
        m(alpha) - M(alpha) of the block, in nu problems the larger of the two signs'; -inf where no pair is feasible.
    stop : Stop
    """

    n_updates: int
    violation: float
    stop: Stop
