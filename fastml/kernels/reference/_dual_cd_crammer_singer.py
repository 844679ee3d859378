"""A sweep of Crammer and Singer's machine, row by row (Keerthi et al. 2008, section 3)."""

import numpy as np

from fastml.kernels.reference._dense_row import dense_row
from fastml.kernels.reference._dual_cd_sweep import SHORTEST_STEP, drop, shuffle

MAX_SWEEPS = 100_000  # scikit-learn's: max_iter does not reach its solver


def sweep_crammer_singer(data, model, record):
    shuffle(model.order, record)
    record["largest"], s = -np.inf, 0
    while s < record["n_active"]:
        i = model.order[s]
        x, own, alpha = np.append(dense_row(data.X, i), data.bias), data.target[i], model.dual[i]
        if data.sq_norm[i] <= 0.0:
            s += 1
            continue
        weight = 1.0 if data.sample_weight is None else data.sample_weight[i]
        bound = np.zeros(len(alpha))
        bound[own] = model.class_cost[own] * weight
        classes = model.class_order[i, : model.n_active_classes[i]]
        gradient = x @ model.coef + (np.arange(len(alpha)) != own)
        movable = [gradient[m] for m in classes if alpha[m] < bound[m]]
        smallest, largest = min(movable, default=np.inf), max(gradient[classes], default=-np.inf)
        shrunk = (alpha == bound) & (gradient < smallest)
        model.n_active_classes[i] = _put_last(classes, shrunk)
        classes = classes[: model.n_active_classes[i]].copy()
        if len(classes) <= 1:
            drop(model.order, record, s)
            continue
        s += 1
        if largest - smallest > SHORTEST_STEP:
            record["largest"] = max(record["largest"], largest - smallest)
            moved = _row_solution(
                gradient[classes], alpha[classes], bound[classes], bound[own], data.sq_norm[i]
            )
            step = moved - alpha[classes]
            model.coef[:, classes] += np.outer(x, np.where(abs(step) >= SHORTEST_STEP, step, 0.0))
            alpha[classes] = moved
    _end_sweep(model, record)


def _put_last(classes, shrunk):
    """Swap the classes that are shrunk behind the others, in place; how many are left."""
    n, k = len(classes), 0
    while k < n:
        if shrunk[classes[k]]:
            n -= 1
            classes[k], classes[n] = classes[n], classes[k]
        else:
            k += 1
    return n


def _row_solution(gradient, alpha, bound, own_bound, curvature):
    """a_m = min(bound_m, (beta - B_m) / A), with the beta for which they sum to zero (Keerthi et al., section 3.1).

    The row's own class counts in the sum where it is shrunk, too: then it is at its bound.
    """
    linear = gradient - curvature * alpha
    D = np.sort(linear + curvature * bound)[::-1]
    total, r = D[0] - curvature * own_bound, 1
    while r < len(D) and total < r * D[r]:
        total += D[r]
        r += 1
    return np.minimum(bound, (total / r - linear) / curvature)


def _end_sweep(model, record):
    record["n_iter"] += 1
    record["violation"] = record["largest"]
    if record["largest"] >= record["bound_below"]:
        record["first"] = 0.0
    elif record["largest"] < record["tol"] and record["first"] == 1.0:
        record["done"] = 1
    else:
        record["n_active"] = record["n_coordinates"]
        model.n_active_classes[:] = len(model.class_cost)
        record["bound_below"] = max(record["bound_below"] / 2.0, record["tol"])
        record["first"] = 1.0
    record["done"] |= record["n_iter"] >= MAX_SWEEPS
