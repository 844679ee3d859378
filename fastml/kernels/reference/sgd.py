"""Stochastic gradient descent on linear models, one row after another.

For each row x with target y, of each model, in order:

1. margin p = w.x + b;
2. learning rate: constant eta0; "optimal" 1 / (alpha (t_0 + t - 1)) (Bottou); "invscaling" eta0 / t^power_t;
   "adaptive" keeps ``progress["eta"]``, which the solver lowers; "pa1" and "pa2" as in Crammer et al., eqs. 3 and 7;
3. shrink w by max(0, 1 - (1 - l1_ratio) eta alpha);
4. w += update x, with update = -eta dloss/dp (clipped to 1e12) times class and sample weight; b likewise, times the
   intercept decay;
5. average w and b, from step ``rule.average`` on (Polyak; Xu's ASGD);
6. l1: the cumulative penalty, clipped at zero, on the features present in x (Tsuruoka et al., fig. 2).

A model's row is seen by its next row: nothing here is delayed or batched.

References
----------
L. Bottou, "Stochastic Gradient Descent Tricks", Neural Networks: Tricks of the Trade, 2012.
Y. Tsuruoka, J. Tsujii, S. Ananiadou, "Stochastic Gradient Descent Training for L1-regularized Log-linear Models with
Cumulative Penalty", ACL 2009.
K. Crammer et al., "Online Passive-Aggressive Algorithms", JMLR 7, 2006.
W. Xu, "Towards Optimal One Pass Large Scale Learning with Averaged Stochastic Gradient Descent", 2011.
"""

import numpy as np

from fastml._csr import CSR
from fastml.kernels.sgd_state import MAX_DLOSS, WSCALE_FLOOR

__all__ = ["epoch", "epochs", "fold", "rows_per_call", "shuffle"]


def loss_value(loss, y, p, epsilon):
    """Loss at target ``y`` and margin ``p``.

    Parameters
    ----------
    loss : str or fastml.Loss
    y, p : float
        y is in {-1, +1} for the losses of classification.
    epsilon : float
        Of huber and the epsilon-insensitive losses.

    Returns
    -------
    float
    """
    z = y * p
    residual = abs(y - p)
    match loss:
        case "hinge":
            return max(0.0, 1.0 - z)
        case "perceptron":
            return max(0.0, -z)
        case "squared_hinge":
            return max(0.0, 1.0 - z) ** 2
        case "log_loss":
            return np.logaddexp(0.0, -z)
        case "modified_huber":
            return max(0.0, 1.0 - z) ** 2 if z >= -1.0 else -4.0 * z
        case "squared_error":
            return 0.5 * residual**2
        case "huber":
            return 0.5 * residual**2 if residual <= epsilon else epsilon * (residual - 0.5 * epsilon)
        case "epsilon_insensitive":
            return max(0.0, residual - epsilon)
        case "squared_epsilon_insensitive":
            return max(0.0, residual - epsilon) ** 2
    return loss.value.py_func(y, p)


def loss_derivative(loss, y, p, epsilon):
    """Derivative of the loss by the margin; arguments as for ``loss_value``.

    At a kink it is scikit-learn's choice: hinge and perceptron count the kink as a violation.
    """
    z = y * p
    residual = p - y
    match loss:
        case "hinge":
            return -y if z <= 1.0 else 0.0
        case "perceptron":
            return -y if z <= 0.0 else 0.0
        case "squared_hinge":
            return -2.0 * y * max(0.0, 1.0 - z)
        case "log_loss":
            return -y * np.exp(-np.logaddexp(0.0, z))
        case "modified_huber":
            return -2.0 * y * max(0.0, 1.0 - z) if z >= -1.0 else -4.0 * y
        case "squared_error":
            return residual
        case "huber":
            return residual if abs(residual) <= epsilon else epsilon * np.sign(residual)
        case "epsilon_insensitive":
            return float(np.sign(residual)) if abs(residual) > epsilon else 0.0
        case "squared_epsilon_insensitive":
            return 2.0 * np.sign(residual) * max(0.0, abs(residual) - epsilon)
    return loss.derivative.py_func(y, p)


def epoch(X, target, sample_weight, order, state, rule):
    """Take one step per row of ``order``, for every active model. ``state`` is updated in place.

    Parameters
    ----------
    X : array of shape (n_samples, n_features), C order, or CSR; float32 or float64
        Not written to; may be read-only.
    target : array of shape (n_samples,)
        int32 class labels, of which a model's ``positive_class`` is its +1 and any other its -1; or float64 values.
    sample_weight : array of shape (n_samples,), float64, or None
        None stands for all ones.
    order : array of int32
        The rows to visit, in this order.
    state : fastml.kernels.sgd_state.State
        No two of its arrays, nor X, overlap.
    rule : fastml.kernels.sgd_state.Rule
    """
    for row in order:
        x, present = _row(X, row)
        for k in state.active:
            model, progress = state.models[k], state.progress[k]
            if target.dtype == np.int32:
                y = 1.0 if target[row] == model["positive_class"] else -1.0
            else:
                y = float(target[row])
            weight = (model["weight_pos"] if y > 0 else model["weight_neg"]) * (
                1.0 if sample_weight is None else sample_weight[row]
            )
            _step(x, present, y, weight, k, model, progress, state, rule)


def epochs(X, target, sample_weight, order, state, rule, n_epochs, seed, watch):
    """Take epochs, at most ``n_epochs``, up to one after which the solver has something to decide.

    That is when a weight, an intercept, a margin or an objective is not finite, or an active model's
    ``n_iter_no_change`` epochs in a row have not improved on its best objective. Of the epochs before the last one
    taken, which is the solver's to look at, ``watch`` is brought up to date. Short epochs are many: deciding outside
    costs more than some of them.

    Parameters
    ----------
    X, target, sample_weight, state, rule
        As for ``epoch``. ``progress["loss"]`` and ``["objective"]`` are set to zero between two epochs.
    order : array of int32
        Shuffled in place before each epoch, if there is a seed.
    n_epochs : int
        At least 1.
    seed : int or None
    watch : fastml.kernels.sgd_state.Watch
        Its arrays lie in host memory.

    Returns
    -------
    int
        How many epochs were taken: at least 1. A backend may take fewer than it could.
    """
    for taken in range(1, n_epochs + 1):
        if seed is not None:
            shuffle(order, seed)
        epoch(X, target, sample_weight, order, state, rule)
        if taken == n_epochs or not _all_finite(state):
            return taken
        k = state.active
        figures = state.progress["objective"][k] / len(order)
        no_improvement = np.where(figures > watch.best[k] - watch.tol, watch.no_improvement[k] + 1, 0)
        if np.any(no_improvement >= watch.n_iter_no_change):
            return taken
        watch.no_improvement[k] = no_improvement
        watch.best[k] = np.minimum(watch.best[k], figures)
        state.progress["loss"] = state.progress["objective"] = 0.0
    return n_epochs


def _all_finite(state):
    scalars = (state.progress[name] for name in ("intercept", "finite", "objective"))
    return all(np.isfinite(values).all() for values in (*scalars, state.coef))


def rows_per_call(X, n_models, rule):
    """How many rows to pass to one call of ``epoch``, for it to last some tenths of a second at most.

    Between two calls the solver hears Ctrl-C and moves the progress bar.

    Parameters
    ----------
    X : array or CSR
    n_models : int
    rule : fastml.kernels.sgd_state.Rule

    Returns
    -------
    int
        At least 1.
    """
    return 1


def _row(X, row):
    """Dense float64 copy of a row, and the features present in it."""
    if not isinstance(X, CSR):
        return X[row].astype(np.float64), np.arange(X.shape[1])
    entries = slice(X.indptr[row], X.indptr[row + 1])
    x = np.zeros(X.shape[1])
    x[X.indices[entries]] = X.data[entries]
    return x, X.indices[entries]


def _step(x, present, y, weight, k, model, progress, state, rule):
    coef = state.coef[k]
    alpha, l1_ratio = model["alpha"], model["l1_ratio"]
    p = progress["wscale"] * (coef @ x) + progress["intercept"]
    progress["finite"] += p - p

    if rule.schedule == "optimal":
        progress["eta"] = 1.0 / (alpha * (model["optimal_init"] + progress["t"] - 1.0))
    elif rule.schedule == "invscaling":
        progress["eta"] = model["eta0"] / progress["t"] ** model["power_t"]
    eta = progress["eta"]

    if rule.record:
        loss = loss_value(rule.loss, y, p, model["epsilon"])
        progress["loss"] += loss
        progress["objective"] += loss + _regularisation(progress, model, rule)

    if rule.schedule == "pa1" and not x.any():
        return
    update = weight * _update(x, y, p, eta, model, rule)

    if rule.penalty != "none":
        shrink = max(0.0, 1.0 - (1.0 - l1_ratio) * eta * alpha)
        progress["wscale"] *= shrink
        progress["sq_norm"] *= shrink**2
        progress["l1_norm"] *= shrink
        if progress["wscale"] < WSCALE_FLOOR[coef.dtype]:
            _fold(state, k)
    wscale = progress["wscale"]

    if update != 0.0:
        coef += update / wscale * x
        # Only the features of this row: what scikit-learn's objective counts, for sparse rows too.
        progress["sq_norm"] = np.sum((wscale * coef[present]) ** 2)
        progress["l1_norm"] = np.sum(np.abs(wscale * coef[present]))
    if rule.fit_intercept:
        regularised = eta * alpha if rule.one_class else 0.0
        progress["intercept"] += (update - regularised) * rule.intercept_decay

    if 0 < rule.average <= progress["t"]:
        _average(x, update, state.average_coef[k], progress, progress["t"] - rule.average + 1.0)

    if rule.penalty in ("l1", "elasticnet"):
        progress["cumulative_l1"] += l1_ratio * eta * alpha
        _truncate(coef, present, wscale, progress["cumulative_l1"], state.applied_l1[k])
    progress["t"] += 1.0


def _update(x, y, p, eta, model, rule):
    """Step length along x, before class and sample weights."""
    if rule.schedule not in ("pa1", "pa2"):
        return -eta * np.clip(loss_derivative(rule.loss, y, p, model["epsilon"]), -MAX_DLOSS, MAX_DLOSS)
    loss = loss_value(rule.loss, y, p, model["epsilon"])
    if rule.schedule == "pa1":
        length = min(model["eta0"], loss / (x @ x))
    else:
        length = loss / (x @ x + 0.5 / model["eta0"])
    if rule.loss == "hinge":
        return length * y
    return -length if y - p < 0.0 else length


def _average(x, update, average_coef, progress, n_averaged):
    """Take the weights into their average, in Xu's lazy form: only x is added, the rest is in two scalars."""
    average_coef += progress["average_a"] * (-update / progress["wscale"]) * x
    if n_averaged > 1.0:
        progress["average_b"] /= 1.0 - 1.0 / n_averaged
    progress["average_a"] += progress["average_b"] * progress["wscale"] / n_averaged
    progress["average_intercept"] += (progress["intercept"] - progress["average_intercept"]) / n_averaged


def _regularisation(progress, model, rule):
    """What the objective adds to the loss; the passive-aggressive schedules stop by the loss alone."""
    if rule.schedule in ("pa1", "pa2"):
        return 0.0
    total = 0.0
    if rule.penalty != "none":
        l1_ratio = model["l1_ratio"]
        total += model["alpha"] * (
            (1.0 - l1_ratio) * 0.5 * progress["sq_norm"] + l1_ratio * progress["l1_norm"]
        )
    if rule.one_class:
        total += progress["intercept"] * model["alpha"]
    return total


def _truncate(coef, present, wscale, cumulative_l1, applied_l1):
    """Bring the present weights towards zero by the penalty that they have missed so far."""
    before = wscale * coef[present]
    after = np.where(
        before > 0.0,
        np.maximum(0.0, before - (cumulative_l1 + applied_l1[present])),
        np.where(before < 0.0, np.minimum(0.0, before + (cumulative_l1 - applied_l1[present])), before),
    )
    coef[present] = after / wscale
    applied_l1[present] += after - before


def fold(state):
    """Fold the scalars into the arrays: afterwards coef and average_coef are the weights themselves.

    ``wscale`` becomes 1, ``average_a`` 0 and ``average_b`` 1, for every model.

    Parameters
    ----------
    state : fastml.kernels.sgd_state.State
    """
    for k in range(len(state.progress)):
        _fold(state, k)


def _fold(state, k):
    progress = state.progress[k]
    if state.average_coef is not None:
        state.average_coef[k] += progress["average_a"] * state.coef[k]
        state.average_coef[k] /= progress["average_b"]
    state.coef[k] *= progress["wscale"]
    progress["wscale"], progress["average_a"], progress["average_b"] = 1.0, 0.0, 1.0


def shuffle(order, seed):
    """Permute ``order`` in place by Fisher and Yates, drawing from a 32-bit xorshift.

    The same draws as scikit-learn's data sets: one seed gives one permutation in both libraries.

    Parameters
    ----------
    order : ndarray of int32, in host memory on every device
    seed : int
        In [0, 2**32); 0 stands for 1.

    References
    ----------
    G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003.
    """
    state = seed or 1
    n = len(order)
    for i in range(n - 1):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        j = i + (state & 0x7FFFFFFF) % (n - i)
        order[i], order[j] = order[j], order[i]
