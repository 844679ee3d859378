"""Coordinate descent for the logistic loss: sweeps over its dual (Yu, Huang and Lin, algorithm 5), and Newton steps
with an l1 penalty (Yuan, Ho and Lin, "newGLMNET")."""

import numpy as np

from fastml.kernels.reference._dense_row import dense_row
from fastml.kernels.reference._dual_cd_sweep import SHORTEST_STEP, drop, shuffle

# The dual: where it starts, and how exactly a row's problem is solved.
FIRST_SHARE, FIRST_ALPHA = 1e-3, 1e-8
INNER_TOL, SMALLEST_INNER_TOL = 1e-2, 1e-8
MAX_NEWTON_STEPS = 100

# The l1 penalty.
ADDED_CURVATURE = 1e-12
LONGEST_STEP = 10.0
# A quadratic model is solved to this share of the violations at its point, or better; LIBLINEAR's are solved better
# only once a single sweep has been enough. On a9a at tol=1e-6 that took 21 Newton steps instead of 43, in about the
# same time: each has more sweeps.
INNER_SHARE = 0.25
MAX_INNER_SWEEPS = 1000
SUFFICIENT_DECREASE = 0.01
MAX_HALVINGS = 20


def start_dual(data, model, record, y, cost):
    """Every alpha to a small share of its C, and the weights to those of the alphas."""
    for i in model.order:
        alpha = min(FIRST_SHARE * cost[i], FIRST_ALPHA)
        model.dual[i] = alpha, cost[i] - alpha
        model.coef[: data.X.shape[1]] += y[i] * alpha * dense_row(data.X, i)
        record["intercept"] += y[i] * alpha * data.bias
    record["inner_tol"] = INNER_TOL
    record["phase"] = 1


def sweep_dual(data, model, record, y, cost):
    """One step for each row: its alpha, or C less its alpha, by Newton's method."""
    shuffle(model.order, record)
    record["largest"], record["n_inner"] = 0.0, 0
    w = model.coef[: data.X.shape[1]]
    for i in model.order:
        x, pair = dense_row(data.X, i), model.dual[i]
        a, b = data.sq_norm[i], y[i] * (x @ w + data.bias * record["intercept"])
        other = int(0.5 * a * (pair[1] - pair[0]) + b < 0.0)
        sign, old = 1.0 - 2.0 * other, pair[other]
        z, slope, n = _minimised(record, old, cost[i], a, sign * b)
        record["largest"] = max(record["largest"], slope)
        record["n_inner"] += n
        if n:
            pair[other], pair[1 - other] = z, cost[i] - z
            w += sign * (z - old) * y[i] * x
            record["intercept"] += sign * (z - old) * y[i] * data.bias
    record["n_iter"] += 1
    record["violation"] = record["largest"]
    record["done"] = record["largest"] < record["tol"] or record["n_iter"] >= record["max_iter"]
    if record["n_inner"] <= len(model.order) // 10:
        record["inner_tol"] = max(min(SMALLEST_INNER_TOL, record["tol"]), 0.1 * record["inner_tol"])


def _minimised(record, old, cost, a, b):
    """z of the least z log z + (C - z) log(C - z) + a/2 (z - old)^2 + b (z - old), the first slope, Newton steps."""
    z = 0.1 * old if cost - old < 0.5 * cost else old
    slope = first = a * (z - old) + b + np.log(z / (cost - z))
    n = 0
    while n <= MAX_NEWTON_STEPS and abs(slope) >= record["inner_tol"]:
        to = z - slope / (a + cost / (cost - z) / z)
        z = 0.1 * z if to <= 0.0 else to
        slope = a * (z - old) + b + np.log(z / (cost - z))
        n += 1
    return z, abs(first), n


def newton_step_l1(X_transposed, model, record):
    """Look at the point; unless it is the minimum, solve its quadratic model, and search the line to the solution."""
    n = X_transposed.shape[1]
    margin, slope, curvature, product, shift = model.samples[:, :n]
    _losses(margin, model.signed_cost[:n], slope, curvature)
    if not _look_at_point(X_transposed, model, record, slope, curvature):
        return
    product[:] = 0.0
    record["n_inner"], record["n_active_inner"], record["bound_below"] = 0, record["n_active"], np.inf
    record["phase"] = 1
    while record["phase"] == 1:
        _sweep_model(X_transposed, model, record, curvature, product)
    active = model.order[: record["n_active"]]
    direction = model.features[0, active] - model.coef[active]
    shift[:] = direction @ np.array([dense_row(X_transposed, j) for j in active])
    share = _line_search(model, active, direction, margin, shift, model.signed_cost[:n])
    margin += share * shift
    model.coef[active] = model.features[0, active] if share == 1.0 else model.coef[active] + share * direction
    if record["n_inner"] == 1 or share == 0.0:
        record["inner_tol"] *= 0.25
    record["n_iter"] += 1
    record["done"] = record["n_iter"] >= record["max_iter"]
    record["phase"] = 0


def _losses(margin, signed_cost, slope, curvature):
    p = np.exp(-np.logaddexp(0.0, np.sign(signed_cost) * margin))
    slope[:] = -signed_cost * p
    curvature[:] = abs(signed_cost) * p * (1.0 - p)


def _look_at_point(X_transposed, model, record, slope, curvature):
    """Slopes and curvatures along the active features; whether there is something to be done."""
    record["largest"] = record["smallest"] = 0.0
    moved, slopes, curvatures = model.features
    bound, s = record["bound_above"] / record["n_samples"], 0
    while s < record["n_active"]:
        j = model.order[s]
        x, w = dense_row(X_transposed, j), model.coef[j]
        along = x @ slope
        if w == 0.0 and along + 1.0 > bound and along - 1.0 < -bound:
            drop(model.order, record, s)
            continue
        moved[j], slopes[j], curvatures[j] = w, along, x**2 @ curvature + ADDED_CURVATURE
        violation = _violation(w, along)
        record["largest"] = max(record["largest"], violation)
        record["smallest"] += violation
        s += 1
    if record["n_iter"] == 0:
        record["first"] = record["smallest"]
    record["violation"] = record["smallest"] / record["first"] if record["first"] > 0.0 else 0.0
    if record["smallest"] <= record["tol"] * record["first"]:
        record["done"] = record["n_active"] == record["n_coordinates"]
        record["n_active"] = record["n_coordinates"]
        record["bound_above"] = np.inf
        return False
    record["bound_above"] = record["largest"]
    record["inner_tol"] = min(record["inner_tol"], INNER_SHARE * record["violation"])
    return True


def _sweep_model(X_transposed, model, record, curvature, product):
    shuffle(model.order, record, record["n_active_inner"])
    record["largest"] = record["smallest"] = 0.0
    moved, slopes, curvatures = model.features
    bound, s = record["bound_below"] / record["n_samples"], 0
    while s < record["n_active_inner"]:
        j = model.order[s]
        x, w = dense_row(X_transposed, j), moved[j]
        along = slopes[j] + x @ product + ADDED_CURVATURE * (w - model.coef[j])
        if w == 0.0 and along + 1.0 > bound and along - 1.0 < -bound:
            drop(model.order, record, s, "n_active_inner")
            continue
        violation = _violation(w, along)
        record["largest"] = max(record["largest"], violation)
        record["smallest"] += violation
        s += 1
        step = _step(w, along, curvatures[j])
        if abs(step) * max(1.0, curvatures[j]) >= SHORTEST_STEP:  # a large bias's steps are short
            moved[j] = w + step
            product += step * x * curvature
    record["n_inner"] += 1
    record["bound_below"] = record["largest"]
    converged = record["smallest"] <= record["inner_tol"] * record["first"]
    if converged and record["n_active_inner"] < record["n_active"]:
        record["n_active_inner"], record["bound_below"] = record["n_active"], np.inf
        converged = False
    if converged or record["n_inner"] >= MAX_INNER_SWEEPS:
        record["phase"] = 2


def _violation(w, slope):
    above, below = slope + 1.0, slope - 1.0
    return max(-above, below, 0.0) if w == 0.0 else abs(above if w > 0.0 else below)


def _step(w, slope, curvature):
    """To the minimum of slope z + curvature z^2 / 2 + |w + z|."""
    above, below = slope + 1.0, slope - 1.0
    if above < curvature * w:
        step = -above / curvature
    elif below > curvature * w:
        step = -below / curvature
    else:
        step = -w
    return np.clip(step, -LONGEST_STEP, LONGEST_STEP)


def _line_search(model, active, direction, margin, shift, signed_cost):
    """Armijo's rule; the accepted share of the step, or 0."""
    w, y, cost = model.coef[active], np.sign(signed_cost), abs(signed_cost)
    decrease = model.features[1, active] @ direction + np.sum(abs(w + direction) - abs(w))
    losses, share = np.logaddexp(0.0, -y * margin), 1.0
    for _ in range(MAX_HALVINGS):
        change = cost @ (np.logaddexp(0.0, -y * (margin + share * shift)) - losses)
        if change + np.sum(abs(w + share * direction) - abs(w)) <= SUFFICIENT_DECREASE * share * decrease:
            return share
        share /= 2.0
    return 0.0
