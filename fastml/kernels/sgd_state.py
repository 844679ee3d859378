"""What one run of stochastic gradient descent carries from row to row, on any device."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

LOSSES = (
    "hinge",
    "squared_hinge",
    "perceptron",
    "log_loss",
    "modified_huber",
    "squared_error",
    "huber",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
)
PENALTIES = ("none", "l2", "l1", "elasticnet")
SCHEDULES = ("constant", "optimal", "invscaling", "adaptive", "pa1", "pa2")

# One model's hyperparameters. A one-vs-rest problem of K classes is K models that differ in `positive_class`.
MODEL = np.dtype(
    [
        ("positive_class", "i8"),  # the label that is +1 to this model; every other is -1
        ("alpha", "f8"),
        ("l1_ratio", "f8"),  # 0 for a pure l2 penalty, 1 for a pure l1
        ("eta0", "f8"),  # initial learning rate; the aggressiveness C of pa1 and pa2
        ("power_t", "f8"),
        ("epsilon", "f8"),  # of huber and the epsilon-insensitive losses
        ("optimal_init", "f8"),  # t_0 of the "optimal" schedule
        ("weight_pos", "f8"),  # class weights
        ("weight_neg", "f8"),
    ]
)

# One model's running scalars.
PROGRESS = np.dtype(
    [
        ("wscale", "f8"),  # the weight vector is wscale * coef
        ("intercept", "f8"),
        ("t", "f8"),  # steps taken, from 1
        ("eta", "f8"),  # learning rate of the last step
        ("sq_norm", "f8"),  # squared l2 and l1 norm of the weights, as the stopping criterion counts them
        ("l1_norm", "f8"),
        ("cumulative_l1", "f8"),  # u of Tsuruoka et al.: the l1 penalty a weight could have received
        ("average_a", "f8"),  # the average weight vector is (average_coef + average_a * coef) / average_b
        ("average_b", "f8"),
        ("average_intercept", "f8"),
        ("loss", "f8"),  # sums over the rows since the solver last set them to zero
        ("objective", "f8"),
        ("finite", "f8"),  # 0 as long as every margin was finite, NaN from the first that was not
        # Two whole cache lines (see own_cache_lines): threads never write to the same one.
        ("padding_0", "f8"),
        ("padding_1", "f8"),
        ("padding_2", "f8"),
    ]
)

CACHE_LINE = 64

# scikit-learn's: the intercept of sparse input moves more slowly, as most of its features are not present.
SPARSE_INTERCEPT_DECAY = 0.01

# The derivative of a loss is clipped to this, against overflow (scikit-learn's bound).
MAX_DLOSS = 1e12

# Below this, wscale is folded into the weights (scikit-learn's thresholds).
WSCALE_FLOOR = {np.dtype("f4"): 1e-6, np.dtype("f8"): 1e-9}


class Rule(NamedTuple):
    """What all models of a run have in common: fixed while a kernel is specialised.

    Attributes
    ----------
    loss : str or fastml.Loss
        One of ``LOSSES``, or the user's own.
    penalty : str
        One of ``PENALTIES``.
    schedule : str
        One of ``SCHEDULES``.
    average : int
        0 for no averaging, else the step from which weights are averaged.
    fit_intercept : bool
    one_class : bool
        Whether the objective is the one-class SVM's (its offset is regularised).
    intercept_decay : float
        Factor on every intercept update (scikit-learn: 0.01 for sparse input).
    record : bool
        Whether to sum loss and objective.
    """

    loss: Any
    penalty: str
    schedule: str
    average: int
    fit_intercept: bool
    one_class: bool
    intercept_decay: float
    record: bool


@dataclass
class State:
    """The arrays of a run, on the device that runs it.

    Attributes
    ----------
    coef : array of shape (n_models, n_features), dtype of X
        Weights before scaling by ``progress["wscale"]``; each model's are contiguous.
    average_coef : array like coef, its strides too, or None without averaging
    applied_l1 : array like coef, or None without an l1 penalty
        q of Tsuruoka et al.: the l1 penalty that each weight has received.
    models : structured array of shape (n_models,), ``MODEL``
    progress : structured array of shape (n_models,), ``PROGRESS``
    active : array of int32
        The models that still learn.
    """

    coef: Any
    average_coef: Any
    applied_l1: Any
    models: Any
    progress: Any
    active: Any


class Watch(NamedTuple):
    """What ``epochs`` looks out for between two epochs: a model that may have learned enough.

    Attributes
    ----------
    best : float64 array of shape (n_models,)
        Each model's lowest mean objective so far.
    no_improvement : int64 array of shape (n_models,)
        Epochs in a row whose mean objective exceeded ``best - tol``.
    tol : float
    n_iter_no_change : int
        So many of them are something to decide upon.
    """

    best: Any
    no_improvement: Any
    tol: float
    n_iter_no_change: int


def own_cache_lines(shape, dtype, values=None):
    """Array of zeros, or a copy of ``values``, each row of which begins a cache line: threads share models, not lines.

    Parameters
    ----------
    shape : tuple of two int
    dtype : dtype
    values : array of that shape, optional

    Returns
    -------
    ndarray
        Its rows are contiguous, with a gap between one and the next where they do not fill their lines.
    """
    n_rows, n_columns = shape
    dtype = np.dtype(dtype)
    stride = -(-n_columns * dtype.itemsize // CACHE_LINE) * CACHE_LINE
    buffer = np.zeros(n_rows * stride + CACHE_LINE, dtype=np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    rows = np.ndarray((n_rows, n_columns), dtype, buffer, start, (stride, dtype.itemsize))
    if values is not None:
        rows[...] = values
    return rows
