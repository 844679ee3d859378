"""One pass over the rows of X for generalised linear models: margins, losses, gradients, Hessian products.

A model's margin of a row x is z = w.x + b; its objective is sum_i weight_i loss(y_i, z_i), without mean and penalty,
which are the solver's. The gradient by (w, b) is sum_i weight_i loss'(y_i, z_i) (x_i, 1), the product of the Hessian
with (v, c) is sum_i weight_i loss''(y_i, z_i) (v.x_i + c) (x_i, 1) (McCullagh and Nelder, ch. 2.5). "multinomial" has
a column of weights for each class; with p = softmax(z), the gradient by z is p - e_y, the Hessian diag(p) - p p'
(Böhning, eqs. 2.3 and 2.5). The losses are

=============================  ==========================================================
squared_error                  1/2 (z - y)^2
huber                          1/2 r^2 for r = |z - y| <= epsilon, else epsilon (r - epsilon / 2)
squared_epsilon_insensitive    max(0, |z - y| - epsilon)^2
poisson                        exp(z) - y z
log_loss                       log(1 + exp(-y z))
squared_hinge                  max(0, 1 - y z)^2
modified_huber                 max(0, 1 - y z)^2 for y z >= -1, else -4 y z (Zhang)
multinomial                    log sum_k exp(z_k) - z_y
fastml.Loss                    value(y, z), derivative(y, z), second_derivative(y, z)
=============================  ==========================================================

squared_hinge, modified_huber, huber and squared_epsilon_insensitive have no second derivative at their kinks: there,
and beside them, the Hessian is the generalised one of Mangasarian, as of the piece that has the row.

**Arithmetic.** Products are taken in the dtype of X; for float32, weights are rounded to float32 once per call. Rows
are summed in blocks of some hundreds at most, the blocks in float64. Which rows make a block, and the order of blocks,
depend on the shapes and on ``n_threads``, never on which thread had which block: results repeat bit for bit.

**Not finite.** A margin that is not finite, of a row of weight other than 0, makes the model's value NaN, whatever its
loss would be (0, for the right side of a margin); X is not searched beforehand.

References
----------
P. McCullagh, J. A. Nelder, "Generalized Linear Models", 2nd edition, Chapman and Hall, 1989.
D. Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical Mathematics 44, 1992.
T. Zhang, "Solving Large Scale Linear Prediction Problems Using Stochastic Gradient Descent Algorithms", ICML 2004.
O. L. Mangasarian, "A Finite Newton Method for Classification", Optimization Methods and Software 17, 2002.
"""

import numpy as np

from fastml._csr import CSR

__all__ = ["evaluate", "hessian", "hessian_product", "margins", "moments", "prediction_like"]


def evaluate(data, rule, models, weights, value, gradient, prediction=None):
    """Sum losses and gradients over all rows, for every active model, in one pass over X.

    Parameters
    ----------
    data : fastml.kernels.glm_data.Data
    rule : fastml.kernels.glm_data.Rule
    models : structured array of shape (n_models,), ``fastml.kernels.glm_data.MODEL``
        In host memory on every device.
    weights : array of float64, shape (n_models * n_columns, n_features + 1), C order
        Each row a weight vector, its intercept last (0 for a model without one); a model's classes are adjacent.
    value : array of float64, shape (n_models,)
        Receives sum_i weight_i loss_i.
    gradient : array like weights, or None
        Receives the gradient, the intercept's last. None: only losses are wanted, for half the work.
    prediction : array as of ``prediction_like``, or None
        Receives what ``hessian_product`` and ``hessian`` need of these weights: margins, or for "multinomial" the
        probabilities of the classes. Of rows of weight 0 it is anything.

    No two arrays overlap, but for ``data``'s, which are only read. What belongs to a model that is not active is
    neither read nor written.
    """
    rows = _rows_with_one(data.X)
    for k, model, block in _active(models, rule):
        w, counts = _weights_of_rows(data, model)
        z = rows @ weights[block].T  # (n_rows, n_columns)
        y = _target(data, rule, model)
        with np.errstate(over="ignore", invalid="ignore"):
            loss, slope = _loss(rule, y, z)
            total = np.sum(w[counts] * loss[counts]) + np.sum(z[counts] - z[counts])
            value[k] = total
            if gradient is not None:
                gradient[block] = (w[counts, None] * slope[counts]).T @ rows[counts]
            if prediction is not None:
                prediction[block] = (_softmax(z) if rule.loss == "multinomial" else z).T


def prediction_like(data, rule, n_models):
    """An array for ``evaluate``'s ``prediction``.

    Parameters
    ----------
    data : fastml.kernels.glm_data.Data
    rule : fastml.kernels.glm_data.Rule
    n_models : int

    Returns
    -------
    array of shape (n_models * n_columns, n_rows), C order, dtype of X, on the device of X
        Not initialised.
    """
    return np.empty((n_models * rule.n_columns, data.X.shape[0]), dtype=data.X.dtype)


def hessian_product(data, rule, models, prediction, vectors, out):
    """Multiply each active model's Hessian, at the weights that made ``prediction``, with a vector.

    Parameters
    ----------
    data, rule, models
        As for ``evaluate``; a ``fastml.Loss`` has its ``second_derivative``.
    prediction : array as ``evaluate`` fills it, or None for "squared_error", whose Hessian depends on no weights
    vectors : array of float64, shape (n_models * n_columns, n_features + 1), C order
        Laid out as weights are.
    out : array like vectors
        Receives the products; does not overlap ``vectors``.
    """
    rows = _rows_with_one(data.X)
    for _, model, block in _active(models, rule):
        w, counts = _weights_of_rows(data, model)
        with np.errstate(over="ignore", invalid="ignore"):
            change = rows[counts] @ vectors[block].T
            if rule.loss == "multinomial":
                p = prediction[block].T[counts].astype(np.float64)
                change = p * (change - np.sum(p * change, axis=1, keepdims=True))
            else:
                z = None if prediction is None else prediction[block].T[counts].astype(np.float64)
                change = _curvature(rule, _target(data, rule, model)[counts, None], z) * change
            out[block] = (w[counts, None] * change).T @ rows[counts]


def hessian(data, rule, models, prediction, out):
    """The whole Hessian of one model.

    Parameters
    ----------
    data, rule, prediction
        As for ``hessian_product``.
    models : structured array of shape (1,), ``fastml.kernels.glm_data.MODEL``
    out : array of float64, shape (m, m), C order, with m = n_columns * (n_features + 1)
        Receives the matrix, both triangles of it, ordered as ``weights.ravel()``: by classes, in each the features and
        at last the intercept. For "squared_error" it is sum_i weight_i (x_i, 1) (x_i, 1)'.
    """
    rows = _rows_with_one(data.X)
    w, counts = _weights_of_rows(data, models[0])
    rows, w, n = rows[counts], w[counts], rows.shape[1]
    for a in range(rule.n_columns):
        for b in range(rule.n_columns):
            if rule.loss == "multinomial":
                p_a, p_b = prediction[[a, b]][:, counts].astype(np.float64)
                curvature = p_a * ((a == b) - p_b)
            else:
                z = None if prediction is None else prediction[0, counts].astype(np.float64)
                curvature = _curvature(rule, _target(data, rule, models[0])[counts], z)
            with np.errstate(over="ignore", invalid="ignore"):
                out[a * n : (a + 1) * n, b * n : (b + 1) * n] = rows.T @ ((w * curvature)[:, None] * rows)


def margins(X, weights, out):
    """Margins of all rows: X W' and the intercepts.

    Parameters
    ----------
    X : array of shape (n_rows, n_features), C order, or CSR; float32 or float64
    weights : array of float64, shape (n, n_features + 1), C order
        The intercept last in each row.
    out : array of shape (n_rows, n), C order, dtype of X
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = _rows_with_one(X) @ weights.T


def moments(data, shift, out, weighting=-1, rows=None, exact=False):
    """Sum the products of features, 1 and targets over the rows, in one pass over X.

    With z = (x - shift, 1) of a row's features and t = y - shift of its targets, sum_i weight_i z_i z_i', and below it
    sum_i weight_i t_i z_i': all that a least-squares solution depends on. The moments about any other point follow;
    about the mean they do without loss of digits where ``shift`` is not far from it.

    Parameters
    ----------
    data : fastml.kernels.glm_data.Data
        Codes stand for +1 and -1: those of class 1 for one target, of class k for the k-th of several.
    shift : array of float64, shape (n_features + n_targets,)
        In host memory on every device; that of features as X's dtype holds it.
    out : array of float64, shape (n_features + 1 + n_targets, n_features + 1), C order
        Receives the sums; where targets are codes, its shape tells how many there are.
    weighting : int, default=-1
        The row of ``Data.weight``; -1: every row weighs 1.
    rows : array of int64, shape (n,), optional
        Numbers of the rows to take, each as often as it is there; in host memory on every device.
    exact : bool, default=False
        Whether products are taken and summed in float64 whatever X is, and features' shifts may be any; else blocks
        of some hundred rows are in X's own precision.
    """
    n_features = data.X.shape[1]
    n_targets = len(out) - n_features - 1
    z, weight = _rows_with_one(data.X), np.ones(data.X.shape[0])
    z[:, :-1] -= shift[:n_features]
    if data.target.dtype == np.int32:
        classes = np.arange(n_targets) if n_targets > 1 else np.ones(n_targets)
        target = np.where(data.target == classes[:, None], 1.0, -1.0)
    else:
        target = data.target
    if weighting >= 0:
        weight = data.weight[weighting]
    taken = np.arange(len(z)) if rows is None else rows
    taken = taken[weight[taken] != 0.0]
    columns = np.column_stack([z, target.T - shift[n_features:]])[taken]
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = columns.T @ (weight[taken, None] * z[taken])


def _rows_with_one(X):
    """Dense float64 copy of X, with a column of ones."""
    rows = np.zeros((X.shape[0], X.shape[1] + 1))
    rows[:, -1] = 1.0
    if isinstance(X, CSR):
        for i in range(X.shape[0]):
            entries = slice(X.indptr[i], X.indptr[i + 1])
            rows[i, X.indices[entries]] = X.data[entries]
    else:
        rows[:, :-1] = X
    return rows


def _active(models, rule):
    """Number, record, and rows of the weights, of each active model."""
    for k in np.flatnonzero(models["active"]):
        yield k, models[k], slice(k * rule.n_columns, (k + 1) * rule.n_columns)


def _weights_of_rows(data, model):
    """Each row's weight, and whether it counts at all."""
    if model["weighting"] < 0:
        return np.ones(data.X.shape[0]), np.ones(data.X.shape[0], dtype=bool)
    weight = data.weight[model["weighting"]]
    return weight, weight != 0.0


def _target(data, rule, model):
    if data.target.dtype != np.int32:
        return data.target[model["target"]]
    if rule.loss == "multinomial":
        return data.target
    return np.where(data.target == model["positive_class"], 1.0, -1.0)


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _loss(rule, y, z):
    """Losses (n_rows,) and their derivatives by the margins (n_rows, n_columns)."""
    if rule.loss == "multinomial":
        highest = z.max(axis=1)
        own = z[np.arange(len(y)), y]
        slope = _softmax(z)
        slope[np.arange(len(y)), y] -= 1.0
        return highest + np.log(np.exp(z - highest[:, None]).sum(axis=1)) - own, slope
    value, slope = _one_column(rule, y, z[:, 0])
    return value, slope[:, None]


def _one_column(rule, y, z):
    yz, residual, epsilon = y * z, z - y, rule.epsilon
    slack, distance = np.maximum(0.0, 1.0 - yz), abs(residual)
    match rule.loss:
        case "squared_error":
            return 0.5 * residual**2, residual
        case "huber":
            beyond = epsilon * (distance - 0.5 * epsilon)
            value = np.where(distance <= epsilon, 0.5 * residual**2, beyond)
            return value, np.clip(residual, -epsilon, epsilon)
        case "squared_epsilon_insensitive":
            excess = np.maximum(0.0, distance - epsilon)
            return excess**2, 2.0 * np.sign(residual) * excess
        case "poisson":
            return np.exp(z) - y * z, np.exp(z) - y
        case "log_loss":
            return np.logaddexp(0.0, -yz), -y * np.exp(-np.logaddexp(0.0, yz))
        case "squared_hinge":
            return slack**2, -2.0 * y * slack
        case "modified_huber":
            return np.where(yz >= -1.0, slack**2, -4.0 * yz), np.where(yz >= -1.0, -2.0 * y * slack, -4.0 * y)
    return _each(rule.loss.value, y, z), _each(rule.loss.derivative, y, z)


def _curvature(rule, y, z):
    """Second derivatives by the margin."""
    if rule.loss == "squared_error":
        return np.ones(y.shape)
    yz, residual = y * z, z - y
    match rule.loss:
        case "huber":
            return np.where(abs(residual) <= rule.epsilon, 1.0, 0.0)
        case "squared_epsilon_insensitive":
            return np.where(abs(residual) > rule.epsilon, 2.0, 0.0)
        case "poisson":
            return np.exp(z)
        case "log_loss":
            return np.exp(-np.logaddexp(0.0, z) - np.logaddexp(0.0, -z))
        case "squared_hinge":
            return np.where(yz < 1.0, 2.0, 0.0)
        case "modified_huber":
            return np.where((yz < 1.0) & (yz >= -1.0), 2.0, 0.0)
    return _each(rule.loss.second_derivative, y, z)


def _each(function, y, z):
    """The user's function of each target and margin."""
    results = [function.py_func(a, b) for a, b in zip(y.ravel(), z.ravel(), strict=True)]
    return np.array(results, dtype=np.float64).reshape(z.shape)
