"""A sweep over the weights with an l1 penalty, by Newton steps with line search (Yuan et al. 2010, section 4)."""

import numpy as np

from fastml.kernels.reference._dense_row import dense_row
from fastml.kernels.reference._dual_cd_sweep import SHORTEST_STEP, drop, end_sweep_by_sum, shuffle

SUFFICIENT_DECREASE = 0.01
SMALLEST_CURVATURE = 1e-12
MAX_HALVINGS = 20


def sweep_l1(X_transposed, model, record):
    shuffle(model.order, record)
    record["largest"] = record["smallest"] = 0.0
    n_samples = X_transposed.shape[1]
    bound, s = record["bound_above"] / n_samples, 0
    residual, signed_cost = model.residual[:n_samples], model.signed_cost[:n_samples]
    while s < record["n_active"]:
        j = model.order[s]
        x, w = dense_row(X_transposed, j), model.coef[j]
        cost = np.where(signed_cost * residual > 0.0, abs(signed_cost), 0.0)
        gradient = -2.0 * np.sum(cost * x * residual)
        curvature = max(2.0 * np.sum(cost * x**2), SMALLEST_CURVATURE)
        above, below = gradient + 1.0, gradient - 1.0
        if w == 0.0 and above > bound and below < -bound:
            drop(model.order, record, s)
            continue
        violation = max(-above, below, 0.0) if w == 0.0 else abs(above if w > 0.0 else below)
        record["largest"] = max(record["largest"], violation)
        record["smallest"] += violation
        s += 1
        if above < curvature * w:
            direction = -above / curvature
        elif below > curvature * w:
            direction = -below / curvature
        else:
            direction = -w
        if abs(direction) >= SHORTEST_STEP:
            step = _line_search(x, residual, signed_cost, w, gradient, direction, model.curvature[j])
            residual -= step * x
            model.coef[j] += step
    end_sweep_by_sum(record)


def _line_search(x, residual, signed_cost, w, gradient, direction, curvature):
    """Armijo's rule, from the Newton direction; first by an upper bound of the loss (Yuan et al., eq. 42)."""
    step, decrease = direction, abs(w + direction) - abs(w) + gradient * direction
    before = _loss(residual, signed_cost)
    for _ in range(MAX_HALVINGS):
        needed = abs(w + step) - abs(w) - SUFFICIENT_DECREASE * decrease
        if curvature * step**2 + gradient * step + needed <= 0.0:
            return step
        if needed + _loss(residual - step * x, signed_cost) - before <= 0.0:
            return step
        step, decrease = step / 2.0, decrease / 2.0
    return 0.0


def _loss(residual, signed_cost):
    return np.sum(np.where(signed_cost * residual > 0.0, abs(signed_cost) * residual**2, 0.0))
