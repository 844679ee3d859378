"""Stochastic average gradient: SAG, and SAGA with its proximal step.

Of each row the gradient of its loss is kept as it was when the row was last drawn (for a linear model, one number per
margin), and the sum over all rows beside it. A step draws a row i and puts its gradient at the weights of now in the
table's place; with d what that gradient has changed by and G the new sum over the table's n gradients,

    SAG     w <- (w - s G / n) / (1 + s alpha)
    SAGA    w <- S(w - s (1 - 1/n) d x_i - s G / n, s beta) / (1 + s alpha),  S(u, t) = sign(u) max(|u| - t, 0)

for the objective  mean_i weight_i loss_i + alpha / 2 |w|^2 + beta |w|_1  and the step size s. The penalties take
proximal steps, the l2 penalty too: so s need not know how large alpha is, and the intercept, which has no penalty,
gets on however strong it is. SAGA's is Defazio et
al.'s step (their eq. 1, G / n = the mean before + d x_i / n), unbiased, hence fit for a proximal step; its table begins
with the gradients at the starting weights. SAG's (Schmidt et al., section 4) begins empty, and n counts the rows seen
so far (their section 4.2). The intercept takes the step of one more feature, always 1, without penalty.

Both converge linearly where the objective is strongly convex: with condition number L / alpha, the distance to the
optimum falls by the factor 1 - min(1 / (4 n), alpha / (3 L)) a step for SAGA with s = 1 / (3 L) (Defazio et al.,
theorem 1), by 1 - min(1 / (8 n), alpha / (16 L)) for SAG with s = 1 / (16 L) (Schmidt et al., theorem 1; s = 1 / L is
what works in practice, their section 5); elsewhere as 1 / (number of steps).

Rows are drawn uniformly with replacement, by SplitMix64 (Steele et al.).

References
----------
M. Schmidt, N. Le Roux, F. Bach, "Minimizing Finite Sums with the Stochastic Average Gradient", 2013, arXiv:1309.2388.
A. Defazio, F. Bach, S. Lacoste-Julien, "SAGA: A Fast Incremental Gradient Method With Support for Non-Strongly Convex
Composite Objectives", NIPS 2014.
G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
"""

import numpy as np
from scipy.special import softmax

from fastml._csr import CSR

__all__ = ["advance"]

LEFT_OUT = {
    "cuda": "each step needs the weights that the step before it has changed: a chain of inner products with single "
    "rows, which a GPU's thousands of threads could only wait for"
}

_MASK = 2**64 - 1


def advance(data, rule, models, work):
    """Advance models: draw rows and take steps, and stop by scikit-learn's criterion.

    At the end of an epoch, as many steps as there are rows to draw from, a model is done where the largest change of a
    weight since the last epoch's end is at most ``tol`` times the largest weight (intercepts apart), where
    ``max_iter`` epochs are done, or where a weight is not finite. Where all weights are and were 0, as with a strong l1
    penalty, an intercept's step is at most ``tol`` times its size and that of the gradients that the step sums.

    Parameters
    ----------
    data : fastml.kernels.glm_data.Data
    rule : fastml.kernels.glm_data.Rule
        Any loss but "poisson".
    models : list of fastml.kernels.sag_state.Model
        Updated in place; none may be done, and each draws from one row at least.
    work : float
        Multiply-adds after which each model may be left as it is; the reference goes on until it is done.
    """
    for model in models:
        record = model.record[0]
        if record["saga"]:
            _begin(data, rule, model, record)
        while not record["done"]:
            for _ in range(record["n_draws"]):
                _step(data, rule, model, record, _draw(model, record))
            _end_epoch(model, record)


def _begin(data, rule, model, record):
    """Fill the table with the gradients at the starting weights."""
    for i in range(data.X.shape[0]) if model.rows is None else model.rows:
        x, p = _row(data.X, i), data.X.shape[1]
        gradient = _gradient(data, rule, record, i, model.coef[:, :p] @ x + model.intercept)
        model.memory[i] = gradient
        model.gradient_sum[:, :p] += np.outer(gradient, x)
        model.intercept_gradient += gradient
    record["n_begun"] = record["n_seen"] = record["n_draws"]


def _draw(model, record):
    state = (int(record["seed"]) + 0x9E3779B97F4A7C15) & _MASK
    record["seed"] = state
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    z ^= z >> 31
    drawn = ((z >> 32) * int(record["n_draws"])) >> 32
    return drawn if model.rows is None else model.rows[drawn]


def _step(data, rule, model, record, i):
    x, p = _row(data.X, i), data.X.shape[1]
    gradient = _gradient(data, rule, record, i, model.coef[:, :p] @ x + model.intercept)
    unseen = np.isnan(model.memory[i, 0])
    change = gradient - (0.0 if unseen else model.memory[i])
    model.memory[i] = gradient
    model.gradient_sum[:, :p] += np.outer(change, x)
    record["n_seen"] += unseen

    s = record["step_size"]
    shared = s / record["n_seen"]
    own = s - shared if record["saga"] else 0.0
    moved = model.coef[:, :p] - own * np.outer(change, x) - shared * model.gradient_sum[:, :p]
    thresholded = np.sign(moved) * np.maximum(np.abs(moved) - s * record["beta"], 0.0)
    model.coef[:, :p] = thresholded / (1.0 + s * record["alpha"])
    if record["fit_intercept"]:
        model.intercept_gradient += change
        model.intercept -= own * change + shared * model.intercept_gradient


def _end_epoch(model, record):
    largest, change = np.abs(model.coef).max(), np.abs(model.coef - model.previous).max()
    model.previous[...] = model.coef
    record["n_iter"] += 1
    if largest > 0.0:
        record["change"] = change / largest
    else:
        record["change"] = np.inf if change > 0.0 else _intercept_change(model, record)
    record["finite"] = np.isfinite(model.coef).all() and np.isfinite(model.intercept).all()
    record["converged"] = record["finite"] and record["change"] <= record["tol"]
    record["done"] = record["converged"] or not record["finite"] or record["n_iter"] >= record["max_iter"]


def _intercept_change(model, record):
    if not record["fit_intercept"]:
        return 0.0
    step = record["step_size"]
    size = np.abs(model.intercept) + step * np.nansum(np.abs(model.memory), axis=0)
    moved = step * np.abs(model.intercept_gradient)
    return np.divide(moved, size, out=np.zeros_like(moved), where=moved > 0.0).max()


def _gradient(data, rule, record, i, z):
    """Of the row's weighted loss by its margins z."""
    weight = 1.0 if record["weighting"] < 0 else data.weight[record["weighting"], i]
    if rule.loss == "multinomial":
        return weight * (softmax(z) - (np.arange(rule.n_columns) == data.target[i]))
    if data.target.dtype == np.int32:
        y = 1.0 if data.target[i] == record["positive_class"] else -1.0
    else:
        y = data.target[record["target"], i]
    with np.errstate(over="ignore"):
        return weight * np.array([_derivative(rule, y, z[0])])


def _derivative(rule, y, z):
    """See ``fastml.kernels.reference.glm`` for the losses."""
    slack, residual = 1.0 - y * z, z - y
    match rule.loss:
        case "squared_error":
            return residual
        case "huber":
            return np.clip(residual, -rule.epsilon, rule.epsilon)
        case "squared_epsilon_insensitive":
            return 2.0 * np.sign(residual) * max(abs(residual) - rule.epsilon, 0.0)
        case "log_loss":
            return -y / (1.0 + np.exp(y * z))
        case "squared_hinge":
            return -2.0 * y * max(slack, 0.0)
        case "modified_huber":
            return -4.0 * y if slack > 2.0 else -2.0 * y * max(slack, 0.0)
        case custom:
            return custom.derivative(y, z)


def _row(X, i):
    if not isinstance(X, CSR):
        return X[i].astype(np.float64)
    x = np.zeros(X.shape[1])
    entries = slice(X.indptr[i], X.indptr[i + 1])
    x[X.indices[entries]] = X.data[entries]
    return x
