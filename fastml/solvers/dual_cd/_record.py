"""A model before its first sweep: its record, the costs of its rows, and those that have a loss."""

import numpy as np

from fastml.kernels.dual_cd_state import MODEL
from fastml.kernels.linear_data import Data
from fastml.solvers._models import Binary


def initial_record(
    problem: Binary, n_coordinates: int, max_iter: int, seed: int, epsilon: float = 0.0
) -> np.ndarray:
    """Nothing shrunk, no bounds yet; done at once where no sweep is allowed.

    Parameters
    ----------
    problem : Binary
    n_coordinates : int
    max_iter : int
    seed : int
        Any; of each model a different one.
    epsilon : float

    Returns
    -------
    structured array of shape (1,), ``MODEL``
    """
    record = np.zeros(1, MODEL)
    first = record[0]
    first["positive_class"] = problem.positive_class
    first["cost_positive"] = problem.cost_positive
    first["cost_negative"] = problem.cost_negative
    first["tol"] = problem.tol
    first["epsilon"] = epsilon
    first["max_iter"] = max_iter
    first["seed"] = (seed * 2654435761 + 1) % 2**32 or 1  # Knuth's multiplier: nearby seeds start far apart
    first["n_coordinates"] = first["n_active"] = n_coordinates
    first["inner_tol"] = 1.0
    first["bound_above"], first["bound_below"] = np.inf, -np.inf
    first["done"] = max_iter == 0
    return record


def signed_costs(data: Data, problem: Binary) -> np.ndarray:
    """C_i y_i of every row."""
    is_positive = data.target == problem.positive_class
    cost = np.where(is_positive, problem.cost_positive, -problem.cost_negative)
    return cost if data.sample_weight is None else cost * data.sample_weight


def rows_of(data: Data, problem: Binary) -> np.ndarray:
    """The rows that have a loss, as int32; all of them, mostly, and that is quickly told."""
    if data.sample_weight is None and min(problem.cost_positive, problem.cost_negative) > 0.0:
        return np.arange(data.X.shape[0], dtype=np.int32)
    return np.flatnonzero(signed_costs(data, problem)).astype(np.int32)
