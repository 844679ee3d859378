"""Trust-region Newton method for squared hinge, squared epsilon-insensitive and logistic losses, with an l2 penalty.

The objective is f(w) = 1/2 |w|^2 + sum_i C_i loss_i, with the loss max(0, 1 - y_i w.x_i)^2, or
max(0, |y_i - w.x_i| - epsilon)^2. Its gradient is w + 2 sum_i C_i r_i x_i over the active rows, those that have a loss,
where r_i is w.x_i - y_i (regression: less epsilon by its sign); its generalised Hessian (Mangasarian)
I + 2 sum_i C_i x_i x_i' over the same rows.

With the logistic loss log(1 + exp(-y_i w.x_i)) every row is active. With p_i = 1 / (1 + exp(y_i w.x_i)) the gradient is
w - sum_i C_i y_i p_i x_i, and the Hessian I + sum_i C_i p_i (1 - p_i) x_i x_i' (Lin, Weng and Keerthi, eqs. 4 and 5).

Each Newton step (Lin, Weng and Keerthi, algorithms 1 and 2) minimises the quadratic model by conjugate gradients, until
its residual is a tenth of the gradient or the step leaves the trust region, whose radius follows the ratio of actual to
predicted decrease. This is the method, with the constants, of the LIBLINEAR that scikit-learn 1.9 contains, older than
2.20: no preconditioner (Hsia et al., 2018), no line search (Galli and Lin, 2021); steps are comparable one by one.

References
----------
C.-J. Lin, R. C. Weng, S. S. Keerthi, "Trust Region Newton Method for Large-Scale Logistic Regression", JMLR 9, 2008.
C.-H. Ho, C.-J. Lin, "Large-scale Linear Support Vector Regression", JMLR 13, 2012.
O. L. Mangasarian, "A Finite Newton Method for Classification", Optimization Methods and Software 17, 2002.
"""

import numpy as np

from fastml.kernels.reference._dense_row import dense_row

__all__ = ["advance", "block_starts"]

LEFT_OUT = {
    "cuda": "it is the default of LinearSVC, whose other solvers stay on the CPU: a fit on a9a takes some 10 ms, of "
    "which two hundred launches in a row, at tens of microseconds each, would be half"
}

# Algorithm 1's constants.
ACCEPTED = 1e-4
POOR, GOOD = 0.25, 0.75
SHRINK, HALVE, GROW = 0.25, 0.5, 4.0
RESIDUAL = 0.1


def advance(data, models, work):
    """Advance models until they are done: the gradient's norm is at most ``tol`` times the first, or ``max_iter``.

    Parameters
    ----------
    data : fastml.kernels.linear_data.Data
        Labels: the squared hinge loss, or where ``record["logistic"]`` says so the logistic one; float64 targets: the
        epsilon-insensitive one.
    models : list of fastml.kernels.newton_state.Newton
        Updated in place: ``vectors[0]`` (the weights, the bias' after the features), and of ``record`` ``n_iter``,
        ``done``, ``objective``, ``gradient_norm`` and ``finite``. The rest is the backend's own.
    work : float
        Multiply-adds after which each model may be left as it is; the reference goes on until it is done.
    """
    rows = np.array([np.append(dense_row(data.X, i), data.bias) for i in range(data.X.shape[0])])
    for model in models:
        _minimise(data, rows, model.record[0], model.vectors[0, : rows.shape[1]])


def block_starts(X, n_models):
    """Where the blocks of rows begin, and at last where they end: as many as threads shall share one model's passes.

    Parameters
    ----------
    X : array or CSR
    n_models : int

    Returns
    -------
    ndarray of int64, shape (n_blocks + 1,)
    """
    return np.array([0, X.shape[0]])


def _minimise(data, rows, record, w):
    f, gradient, active, curvature = _evaluate(data, rows, record, w)
    norm = first_norm = radius = np.linalg.norm(gradient)
    record["done"] = norm <= record["tol"] * first_norm
    while not record["done"]:
        step, residual = _direction(rows[active], curvature[active], gradient, radius)
        slope, length = gradient @ step, np.linalg.norm(step)
        trial = _evaluate(data, rows, record, w + step)
        actual, predicted = f - trial[0], -0.5 * (slope - step @ residual)
        if record["n_iter"] == 0:
            radius = min(radius, length)
        radius = _next_radius(radius, length, actual, predicted, slope)
        if actual > ACCEPTED * predicted:
            w += step
            f, gradient, active, curvature = trial
            norm = np.linalg.norm(gradient)
            record["n_iter"] += 1
            record["done"] = norm <= record["tol"] * first_norm or record["n_iter"] >= record["max_iter"]
        smallest = 1e-12 * abs(f)
        record["done"] |= (actual <= 0.0 and predicted <= 0.0) or max(abs(actual), abs(predicted)) <= smallest
    record["objective"], record["gradient_norm"] = f, norm
    record["finite"] = np.isfinite(f) and np.isfinite(norm)


def _evaluate(data, rows, record, w):
    """Objective, gradient, which rows are active, and half of the second derivative of each row's loss."""
    weight = 1.0 if data.sample_weight is None else data.sample_weight
    if data.target.dtype == np.int32:
        y = np.where(data.target == record["positive_class"], 1.0, -1.0)
        cost = np.where(y > 0.0, record["cost_positive"], record["cost_negative"]) * weight
        if record["logistic"]:
            return _evaluate_logistic(rows, y, cost, w)
        residual = rows @ w - y
        active = (y * residual < 0.0) & (cost > 0.0)
    else:
        cost = record["cost_positive"] * weight * np.ones(len(rows))
        residual = rows @ w - data.target
        active = (abs(residual) > record["epsilon"]) & (cost > 0.0)
        residual -= np.copysign(record["epsilon"], residual)
    objective = 0.5 * w @ w + np.sum(cost[active] * residual[active] ** 2)
    return objective, w + 2.0 * rows[active].T @ (cost[active] * residual[active]), active, cost


def _evaluate_logistic(rows, y, cost, w):
    margin = y * (rows @ w)
    p = np.exp(-np.logaddexp(0.0, margin))  # of the other class
    objective = 0.5 * w @ w + np.sum(cost * np.logaddexp(0.0, -margin))
    return objective, w - rows.T @ (cost * y * p), cost > 0.0, 0.5 * cost * p * (1.0 - p)


def _direction(rows, curvature, gradient, radius):
    """Conjugate gradients for H s = -g: the step, and the residual -g - H s."""
    step, residual = np.zeros_like(gradient), -gradient
    direction = residual
    n_products = 0
    while np.linalg.norm(residual) > RESIDUAL * np.linalg.norm(gradient) and n_products <= 10 * len(gradient):
        product = direction + 2.0 * rows.T @ (curvature * (rows @ direction))
        n_products += 1
        length = residual @ residual / (direction @ product)
        if np.linalg.norm(step + length * direction) > radius:
            length = _to_boundary(step, direction, radius)
            return step + length * direction, residual - length * product
        before = residual @ residual
        step, residual = step + length * direction, residual - length * product
        direction = residual + residual @ residual / before * direction
    return step, residual


def _to_boundary(step, direction, radius):
    """The positive root of |step + length direction| = radius, without cancellation."""
    room, across = radius**2 - step @ step, step @ direction
    root = np.sqrt(across**2 + direction @ direction * room)
    return room / (across + root) if across >= 0.0 else (root - across) / (direction @ direction)


def _next_radius(radius, length, actual, predicted, slope):
    excess = -actual - slope
    best = GROW if excess <= 0.0 else max(SHRINK, -0.5 * slope / excess)
    if actual < ACCEPTED * predicted:
        return min(max(best, SHRINK) * length, HALVE * radius)
    if actual < POOR * predicted:
        return max(SHRINK * radius, min(best * length, HALVE * radius))
    if actual < GOOD * predicted:
        return max(SHRINK * radius, min(best * length, GROW * radius))
    return max(radius, min(best * length, GROW * radius))
