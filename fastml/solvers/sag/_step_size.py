"""Step sizes from the Lipschitz constants of the rows' gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.kernels.glm_data import Data, Rule

# Bounds of the second derivatives. The softmax's is 1/2 (Böhning); 1/4 is scikit-learn's choice, and with the margin
# that both methods' step sizes leave it has converged wherever it was tried.
LIPSCHITZ = {
    "squared_error": 1.0,
    "huber": 1.0,
    "squared_epsilon_insensitive": 2.0,
    "log_loss": 0.25,
    "squared_hinge": 2.0,
    "modified_huber": 2.0,
    "multinomial": 0.25,
}


def step_size(
    data: Data, rule: Rule, models: np.ndarray, settings: Any, sq_norms: Callable[..., np.ndarray]
) -> np.ndarray:
    """scikit-learn's step sizes: 1 / L for SAG, 1 / (2 L + min(2 n alpha, L)) for SAGA.

    L is the largest over the rows of weight_i c (|x_i|^2 + 1), with c the loss's constant and + 1 for an intercept.
    Two things are not scikit-learn's: weights count, without which heavy rows diverge; and alpha is no part of L, as
    the l2 penalty takes a proximal step: with C = 1e-10, alpha would leave the intercept a step of 1e-8.

    Parameters
    ----------
    data : Data
    rule : Rule
    models : structured array, ``MODEL``
    settings : Settings
    sq_norms : callable
        ``sq_norms(X, bias)``, the squared norm of each row with one more feature.

    Returns
    -------
    ndarray of float64, shape (n_models,)

    References
    ----------
    M. Schmidt, N. Le Roux, F. Bach, 2013, section 5; A. Defazio, F. Bach, S. Lacoste-Julien, 2014, section 2 (see
    ``fastml.kernels.reference.sag``).
    """
    constant = LIPSCHITZ[rule.loss] if isinstance(rule.loss, str) else rule.loss.lipschitz
    norms = sq_norms(data.X, 1.0 if settings.fit_intercept else 0.0)
    largest = {-1: norms.max(initial=0.0)}
    sizes = np.ones(len(models))
    for k in np.flatnonzero(models["active"]):
        weighting = int(models["weighting"][k])
        n_draws = len(norms) if weighting < 0 else np.count_nonzero(data.weight[weighting])
        if weighting not in largest:
            inside = data.weight[weighting] > 0.0
            largest[weighting] = (norms[inside] * data.weight[weighting][inside]).max(initial=0.0)
        alpha = settings.alpha[k] * len(norms) / max(n_draws, 1)
        L = constant * largest[weighting]
        if not L > 0.0:
            continue  # no row has anything to say, or NaN in X, which the first epoch will tell
        if settings.method == "sag":
            sizes[k] = 1.0 / L
        else:
            sizes[k] = 1.0 / (2.0 * L + min(2.0 * n_draws * alpha, L))
    return sizes
