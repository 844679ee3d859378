"""The Lipschitz constant of an objective's gradient, for steps of fixed length."""

import math

import numpy as np

from fastml.kernels.glm_data import Data, Rule
from fastml.solvers import _passes
from fastml.solvers._vectors import dot

# Bounds of the losses' second derivatives. Of the softmax's Hessian: Böhning, "Multinomial logistic regression
# algorithm", Annals of the Institute of Statistical Mathematics 44, 1992.
CURVATURE = {
    "squared_error": 1.0,
    "huber": 1.0,
    "squared_epsilon_insensitive": 2.0,
    "log_loss": 0.25,
    "squared_hinge": 2.0,
    "modified_huber": 2.0,
    "multinomial": 0.5,
}

MAX_ITER, ACCURACY = 100, 1e-3


def curvature_bound(loss: object) -> float | None:
    """The largest second derivative of a loss, or None where there is no bound."""
    return CURVATURE.get(loss) if isinstance(loss, str) else getattr(loss, "lipschitz", None)


def lipschitz(
    data: Data,
    rule: Rule,
    *,
    scale: float,
    l2: float,
    fit_intercept: bool,
    weighting: int = -1,
    device: str = "cpu",
) -> float:
    """A Lipschitz constant of the gradient of scale * sum_i weight_i loss_i + l2 / 2 |coef|^2.

    The loss's bound times the largest eigenvalue of sum_i weight_i (x_i, 1)(x_i, 1)', which power iteration finds from
    below: 1 % is added.

    Parameters
    ----------
    data : Data
    rule : Rule
        With a bounded second derivative.
    scale, l2 : float
    fit_intercept : bool
    weighting : int
    device : str

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the loss has no such bound.
    """
    bound = curvature_bound(rule.loss)
    if bound is None:
        raise ValueError(f"the second derivative of loss {rule.loss!r} has no known bound.")

    def power_iteration():
        vector = np.random.default_rng(0).standard_normal(data.X.shape[1] + 1)
        largest = 0.0
        for _ in range(MAX_ITER):
            vector[-1] *= fit_intercept
            norm = math.sqrt(dot(vector, vector))
            if norm == 0.0 or not math.isfinite(norm):
                return norm
            before, largest = largest, norm
            if abs(largest - before) <= ACCURACY * largest:
                break
            product = yield _passes.Product((vector / norm)[None])
            vector = product[0].copy()
        return largest

    model = _passes.Model(power_iteration, weighting=weighting)
    (eigenvalue,) = _passes.run(
        data,
        Rule("squared_error"),
        [model],
        bytes_per_search=1,
        device=device,
        description="largest eigenvalue",
    )
    return 1.01 * bound * scale * eigenvalue + l2
