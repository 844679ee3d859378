"""A model's record before its first sweep."""

import numpy as np

from fastml.kernels.dual_cd_state import MODEL
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


def rows_with_loss(cost: np.ndarray) -> np.ndarray:
    """The rows whose C is above 0, as int32."""
    return np.flatnonzero(cost > 0.0).astype(np.int32)
