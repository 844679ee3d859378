"""Coordinate descent for linear support vector machines and logistic regression: one dual variable at a time, or with
an l1 penalty one weight.

``svc`` (Hsieh et al., algorithm 3) and ``svr`` (Ho and Lin, algorithm 4) keep w = sum_i dual_i x_i (classification:
dual_i y_i x_i) beside the dual, so that the slope along a coordinate is one inner product with a row, and a step one
addition of it. ``crammer_singer`` (Keerthi et al., section 3) solves a row's sub-problem over all classes at once.
``l1`` (Yuan et al., section 4) takes one-dimensional Newton steps with line search along the columns of X.
``logistic_dual`` (Yu, Huang and Lin, algorithm 5) solves a row's problem by Newton's method; its variables stay off
their bounds, so that nothing is shrunk. ``logistic_l1`` (Yuan, Ho and Lin, "newGLMNET") minimises quadratic models of
the loss.

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
H.-F. Yu, F.-L. Huang, C.-J. Lin, "Dual Coordinate Descent Methods for Logistic Regression and Maximum Entropy Models",
Machine Learning 85, 2011.
G.-X. Yuan, C.-H. Ho, C.-J. Lin, "An Improved GLMNET for L1-regularized Logistic Regression", JMLR 13, 2012.
"""

import numpy as np
from scipy import sparse

from fastml._csr import CSR
from fastml.kernels.reference._dense_row import dense_row
from fastml.kernels.reference._dual_cd_crammer_singer import sweep_crammer_singer
from fastml.kernels.reference._dual_cd_l1 import sweep_l1
from fastml.kernels.reference._dual_cd_logistic import newton_step_l1, start_dual, sweep_dual
from fastml.kernels.reference._dual_cd_sweep import SHORTEST_STEP, drop, end_sweep_by_sum, shuffle

__all__ = ["crammer_singer", "l1", "logistic_dual", "logistic_l1", "sq_norms", "svc", "svr", "transposed"]

LEFT_OUT = {
    "cuda": "each step needs the weights that the step before it has changed: a chain of inner products of some tens "
    "of elements, which a GPU's thousands of threads could only wait for"
}


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
    shuffle(model.order, record)
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
                drop(model.order, record, s)
                continue
            projected = min(gradient, 0.0)
        elif a == upper:
            if gradient < record["bound_below"]:
                drop(model.order, record, s)
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
    shuffle(model.order, record)
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
            drop(model.order, record, s)
            continue
        record["largest"] = max(record["largest"], violation)
        record["smallest"] += violation
        curvature = data.sq_norm[i] + diagonal
        minimum = max(0.0, b - above / curvature) + min(0.0, b - below / curvature)
        moved = np.clip(minimum, -upper, upper)
        # Of whatever length: a variable that lies a rounding error from its bound would violate for ever, else.
        if abs(minimum - b) >= SHORTEST_STEP and moved != b:
            _step(data, model, record, x, moved - b)
            model.dual[i] = moved
        s += 1
    end_sweep_by_sum(record)


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
        sweep_crammer_singer(data, model, record)


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
            sweep_l1(X_transposed, model, record)


def logistic_dual(data, models, work):
    """Advance models of the logistic loss's dual.

    min 1/2 |sum_i a_i y_i x_i|^2 + sum_i a_i log a_i + (C_i - a_i) log(C_i - a_i), 0 < a_i < C_i.

    Parameters
    ----------
    data : fastml.kernels.linear_data.Data
        With ``sq_norm`` and labels.
    models : list of fastml.kernels.dual_cd_state.Dual
        ``tol`` is of the largest slope along a coordinate in a sweep.
    work : float
    """
    for model in models:
        record = model.record[0]
        y = np.where(data.target == record["positive_class"], 1.0, -1.0)
        cost = np.array([_cost(data, record, i, y[i]) for i in range(len(y))])
        if record["phase"] == 0 and not record["done"]:
            start_dual(data, model, record, y, cost)
        while not record["done"]:
            sweep_dual(data, model, record, y, cost)


def logistic_l1(X_transposed, models, work):
    """Advance models of min |w|_1 + sum_i C_i log(1 + exp(-y_i w.x_i)).

    Parameters
    ----------
    X_transposed : array or CSR of shape (n_features, n_samples)
        What ``transposed`` gives.
    models : list of fastml.kernels.dual_cd_state.LogisticL1
        ``n_iter`` counts Newton steps; ``tol`` is of the sum of violations at a point, relative to the first one's.
    work : float
    """
    for model in models:
        record = model.record[0]
        while not record["done"]:
            newton_step_l1(X_transposed, model, record)


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
    return np.array([np.sum(dense_row(X, i) ** 2) + bias**2 for i in range(X.shape[0])])


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


def _row(data, i):
    return dense_row(data.X, i)


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
