"""Coordinate descent for linear support vector machines: one dual variable at a time, or with an l1 penalty one weight.

``svc`` (Hsieh et al., algorithm 3) and ``svr`` (Ho and Lin, algorithm 4) keep w = sum_i dual_i x_i (classification:
dual_i y_i x_i) beside the dual, so that the slope along a coordinate is one inner product with a row, and a step one
addition of it. ``crammer_singer`` (Keerthi et al., section 3) solves a row's sub-problem over all classes at once.
``l1`` (Yuan et al., section 4) takes one-dimensional Newton steps with line search along the columns of X.

A sweep visits the active coordinates in an order drawn anew. One that sits at a bound, where the last sweep's
violations make it look as if it stayed there, is shrunk: put behind the active ones. When the active ones have
converged, all are looked at again, and only then does the method stop.

A model that is not done is advanced by a call of any of these functions, from wherever it was left.

References
----------
C.-J. Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008.
C.-H. Ho, C.-J. Lin, "Large-scale Linear Support Vector Regression", JMLR 13, 2012.
S. S. Keerthi et al., "A Sequential Dual Method for Large Scale Multi-Class Linear SVMs", KDD 2008.
G.-X. Yuan et al., "A Comparison of Optimization Methods and Software for Large-scale L1-regularized Linear
Classification", JMLR 11, 2010.
"""

import numpy as np
from scipy import sparse

from fastml._csr import CSR

__all__ = ["crammer_singer", "l1", "sq_norms", "svc", "svr", "transposed"]

LEFT_OUT = {
    "cuda": "each step needs the weights that the step before it has changed: a chain of inner products of some tens "
    "of elements, which a GPU's thousands of threads could only wait for"
}

SHORTEST_STEP = 1e-12
MAX_SWEEPS_CRAMMER_SINGER = 100_000  # scikit-learn's: max_iter does not reach its solver
SUFFICIENT_DECREASE = 0.01
SMALLEST_CURVATURE = 1e-12
MAX_HALVINGS = 20


def svc(data, models, squared, work):
    """Advance models of the hinge loss's dual.

    min 1/2 |sum_i a_i y_i x_i|^2 + sum_i d_i/2 a_i^2 - a_i, 0 <= a_i <= C_i.

    For the squared loss d_i = 1 / (2 C_i), and there is no upper bound; otherwise d_i = 0.

    Parameters
    ----------
    data : fastml.kernels.linear_data.Data
        With ``sq_norm``.
    models : list of fastml.kernels.dual_cd_state.Dual
        Updated in place; none may be done.
    squared : bool
    work : float
        Multiply-adds after which each model may be left as it is; the reference goes on until it is done.
    """
    for model in models:
        record = model.record[0]
        while not record["done"]:
            _svc_sweep(data, model, record, squared)


def _svc_sweep(data, model, record, squared):
    _shuffle(model.order, record)
    record["largest"], record["smallest"] = -np.inf, np.inf
    s = 0
    while s < record["n_active"]:
        i = model.order[s]
        x, y, a = _row(data, i), _target(data, record, i), model.dual[i]
        cost = _cost(data, record, i, y)
        upper, diagonal = (np.inf, 0.5 / cost) if squared else (cost, 0.0)
        gradient = y * _margin(data, model, record, x) - 1.0 + diagonal * a
        projected = gradient
        if a == 0.0:
            if gradient > record["bound_above"]:
                _drop(model.order, record, s)
                continue
            projected = min(gradient, 0.0)
        elif a == upper:
            if gradient < record["bound_below"]:
                _drop(model.order, record, s)
                continue
            projected = max(gradient, 0.0)
        record["largest"] = max(record["largest"], projected)
        record["smallest"] = min(record["smallest"], projected)
        if abs(projected) > SHORTEST_STEP:
            moved = np.clip(a - gradient / (data.sq_norm[i] + diagonal), 0.0, upper)
            _step(data, model, record, x, (moved - a) * y)
            model.dual[i] = moved
        s += 1
    record["n_iter"] += 1
    record["violation"] = record["largest"] - record["smallest"]
    record["bound_above"] = record["largest"] if record["largest"] > 0.0 else np.inf
    record["bound_below"] = record["smallest"] if record["smallest"] < 0.0 else -np.inf
    if record["violation"] <= record["tol"]:
        record["done"] = record["n_active"] == record["n_coordinates"]
        record["n_active"] = record["n_coordinates"]
        record["bound_above"], record["bound_below"] = np.inf, -np.inf
    record["done"] |= record["n_iter"] >= record["max_iter"]


def svr(data, models, squared, work):
    """Advance models of the epsilon-insensitive loss's dual.

    min 1/2 |sum_i b_i x_i|^2 + sum_i d_i/2 b_i^2 - y_i b_i + epsilon |b_i|, -C_i <= b_i <= C_i; d_i, and the bounds of
    the squared loss, as for ``svc``.

    Parameters
    ----------
    data : fastml.kernels.linear_data.Data
        With ``sq_norm`` and float64 targets.
    models : list of fastml.kernels.dual_cd_state.Dual
    squared : bool
    work : float
    """
    for model in models:
        record = model.record[0]
        while not record["done"]:
            _svr_sweep(data, model, record, squared)


def _svr_sweep(data, model, record, squared):
    _shuffle(model.order, record)
    record["largest"] = record["smallest"] = 0.0
    bound, s = record["bound_above"], 0
    while s < record["n_active"]:
        i = model.order[s]
        x, b, cost = _row(data, i), model.dual[i], _cost(data, record, i, 1.0)
        upper, diagonal = (np.inf, 0.5 / cost) if squared else (cost, 0.0)
        gradient = _margin(data, model, record, x) - data.target[i] + diagonal * b
        above, below = gradient + record["epsilon"], gradient - record["epsilon"]
        if b == 0.0:
            violation, stays = max(-above, below, 0.0), above > bound and below < -bound
        elif b >= upper:
            violation, stays = max(above, 0.0), above < -bound
        elif b <= -upper:
            violation, stays = max(-below, 0.0), below > bound
        else:
            violation, stays = abs(above if b > 0.0 else below), False
        if stays:
            _drop(model.order, record, s)
            continue
        record["largest"] = max(record["largest"], violation)
        record["smallest"] += violation
        curvature = data.sq_norm[i] + diagonal
        moved = np.clip(max(0.0, b - above / curvature) + min(0.0, b - below / curvature), -upper, upper)
        if abs(moved - b) >= SHORTEST_STEP:
            _step(data, model, record, x, moved - b)
            model.dual[i] = moved
        s += 1
    _end_sweep_by_sum(record)


def crammer_singer(data, model, work):
    """Advance a model of Crammer and Singer's machine.

    min 1/2 sum_m |sum_i a_im x_i|^2 + sum_i sum_m [m != y_i] a_im, subject to sum_m a_im = 0, a_im <= [m = y_i] C_i.

    Parameters
    ----------
    data : fastml.kernels.linear_data.Data
        With ``sq_norm`` and labels.
    model : fastml.kernels.dual_cd_state.MultiClassDual
        ``record["bound_below"]`` is the violation under which all rows are looked at again, and is halved each time;
        ``record["first"]`` is 1 while they are.
    work : float
    """
    record = model.record[0]
    while not record["done"]:
        _crammer_singer_sweep(data, model, record)


def _crammer_singer_sweep(data, model, record):
    _shuffle(model.order, record)
    record["largest"], s = -np.inf, 0
    while s < record["n_active"]:
        i = model.order[s]
        x, own, alpha = _with_bias(data, _row(data, i)), data.target[i], model.dual[i]
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
            _drop(model.order, record, s)
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
    _end_sweep_crammer_singer(model, record)


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


def _end_sweep_crammer_singer(model, record):
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
    record["done"] |= record["n_iter"] >= MAX_SWEEPS_CRAMMER_SINGER


def l1(X_transposed, models, work):
    """Advance models of min |w|_1 + sum_i C_i max(0, 1 - y_i w.x_i)^2.

    Parameters
    ----------
    X_transposed : array or CSR of shape (n_features, n_samples)
        What ``transposed`` gives.
    models : list of fastml.kernels.dual_cd_state.L1Primal
    work : float
    """
    for model in models:
        record = model.record[0]
        while not record["done"]:
            _l1_sweep(X_transposed, model, record)


def _l1_sweep(X_transposed, model, record):
    _shuffle(model.order, record)
    record["largest"] = record["smallest"] = 0.0
    n_samples = X_transposed.shape[1]
    bound, s = record["bound_above"] / n_samples, 0
    residual, signed_cost = model.residual[:n_samples], model.signed_cost[:n_samples]
    while s < record["n_active"]:
        j = model.order[s]
        x, w = _dense_row(X_transposed, j), model.coef[j]
        cost = np.where(signed_cost * residual > 0.0, abs(signed_cost), 0.0)
        gradient = -2.0 * np.sum(cost * x * residual)
        curvature = max(2.0 * np.sum(cost * x**2), SMALLEST_CURVATURE)
        above, below = gradient + 1.0, gradient - 1.0
        if w == 0.0 and above > bound and below < -bound:
            _drop(model.order, record, s)
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
    _end_sweep_by_sum(record)


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


def sq_norms(X, bias):
    """Squared norm of every row.

    Parameters
    ----------
    X : array or CSR of shape (n_rows, n_features)
    bias : float
        Value of one more feature.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
    """
    return np.array([np.sum(_dense_row(X, i) ** 2) + bias**2 for i in range(X.shape[0])])


def transposed(X, bias):
    """Copy of X by features, of X's dtype, with one more row for the bias where that is not 0.

    Parameters
    ----------
    X : array or CSR of shape (n_rows, n_features)
    bias : float

    Returns
    -------
    array or CSR of shape (n_features + (bias != 0), n_rows)
        Indices of X's type, or int64 where the entries are too many for it.
    """
    if not isinstance(X, CSR):
        return np.ascontiguousarray(np.vstack([X.T, *[np.full((1, len(X)), bias, X.dtype)] * (bias != 0.0)]))
    by_feature = sparse.csr_matrix((X.data, X.indices, X.indptr), X.shape).T.tocsr()
    if bias:
        by_feature = sparse.vstack([by_feature, np.full((1, X.shape[0]), bias, X.dtype)], format="csr")
    return CSR(
        by_feature.data,
        by_feature.indices.astype(X.indices.dtype),
        by_feature.indptr.astype(X.indices.dtype),
        by_feature.shape,
    )


def _shuffle(order, record):
    """Fisher-Yates over the active coordinates, by the high bits of a 32-bit xorshift."""
    state, n = int(record["seed"]), record["n_active"]
    for i in range(n - 1):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        j = i + ((state * (int(n) - i)) >> 32)
        order[i], order[j] = order[j], order[i]
    record["seed"] = state


def _drop(order, record, s):
    """Shrink the coordinate at s: the last active one takes its place."""
    record["n_active"] -= 1
    last = record["n_active"]
    order[s], order[last] = order[last], order[s]


def _end_sweep_by_sum(record):
    """Stop when the violations' sum has come down to a share of the first sweep's."""
    if record["n_iter"] == 0:
        record["first"] = record["smallest"]
    record["n_iter"] += 1
    record["violation"] = record["smallest"] / record["first"] if record["first"] > 0.0 else 0.0
    record["bound_above"] = record["largest"]
    if record["smallest"] <= record["tol"] * record["first"]:
        record["done"] = record["n_active"] == record["n_coordinates"]
        record["n_active"] = record["n_coordinates"]
        record["bound_above"] = np.inf
    record["done"] |= record["n_iter"] >= record["max_iter"]


def _dense_row(X, i):
    if not isinstance(X, CSR):
        return X[i].astype(np.float64)
    x = np.zeros(X.shape[1])
    entries = slice(X.indptr[i], X.indptr[i + 1])
    x[X.indices[entries]] = X.data[entries]
    return x


def _row(data, i):
    return _dense_row(data.X, i)


def _with_bias(data, x):
    return np.append(x, data.bias)


def _target(data, record, i):
    return 1.0 if data.target[i] == record["positive_class"] else -1.0


def _cost(data, record, i, y):
    cost = record["cost_positive"] if y > 0.0 else record["cost_negative"]
    return cost * (1.0 if data.sample_weight is None else data.sample_weight[i])


def _margin(data, model, record, x):
    return x @ model.coef[: len(x)] + data.bias * record["intercept"]


def _step(data, model, record, x, length):
    model.coef[: len(x)] += length * x
    record["intercept"] += length * data.bias
