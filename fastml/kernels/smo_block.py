"""What the SMO kernels take and give: blocks of variables, and how their solutions ended."""

from enum import IntEnum
from typing import Any, NamedTuple, Self

import numpy as np


class Blocks(NamedTuple):
    """Blocks of variables, each optimised among themselves, all others fixed.

    The variables of all blocks lie in the same arrays, those of one side by side.

    Attributes
    ----------
    K : array of shape (n_rows, n_rows), float32 or float64, on the device; the others are the host's
        Kernel values between the blocks' rows; symmetric, its rows contiguous, at any distance from each other.
    index : array of int32, of shape (n_variables,)
        The row of K that each variable stands on.
    y : array of float64, of shape (n_variables,)
        -1 or +1.
    C : array of float64, of shape (n_variables,)
        Upper bounds.
    alpha : array of float64, of shape (n_variables,)
        Changed in place, within 0 and C.
    gradient : array of float64, of shape (n_variables,)
        y_i times the derivative of the dual objective by alpha_i: sum_j y_j alpha_j k(x_i, x_j) + y_i p_i, over all
        variables of the problem. Changed in place.
    spans : array of int64, of shape (n_blocks, 2)
        The first variable of each block, and the one after its last. Variables of no block stay as they are.
    """

    K: Any
    index: Any
    y: np.ndarray
    C: np.ndarray
    alpha: np.ndarray
    gradient: np.ndarray
    spans: np.ndarray

    @classmethod
    def single(
        cls,
        K: Any,
        index: np.ndarray | None,
        y: np.ndarray,
        C: np.ndarray,
        alpha: np.ndarray,
        gradient: np.ndarray,
    ) -> Self:
        """One block of all variables. Without an index, variable i stands on row i."""
        if index is None:
            index = np.arange(len(y), dtype=np.int32)
        return cls(K, index, y, C, alpha, gradient, np.array([[0, len(y)]]))


class Stop(IntEnum):
    """Why a block's solution ended."""

    CONVERGED = 0  # no pair violates by more than tol
    MAX_UPDATES = 1  # max_updates pairs were updated
    STALLED = 2  # the best pair's step was too small to change its variables


class Solved(NamedTuple):
    """How the blocks' solutions ended.

    Attributes
    ----------
    n_updates : array of int64, of shape (n_blocks,)
        Pairs updated.
    violation : array of float64, of shape (n_blocks,)
        m(alpha) - M(alpha) of each block, in nu problems the larger of the two signs'; -inf where no pair is feasible.
    stop : array of int32, of shape (n_blocks,)
        Of ``Stop``.
    """

    n_updates: np.ndarray
    violation: np.ndarray
    stop: np.ndarray
