"""SAG and SAGA find the optimum, stop as they say, and can be interrupted."""

import os
import signal
import threading
from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse
from scipy.special import logsumexp, softmax

import fastml
from fastml._csr import CSR
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.solvers import sag

METHODS = ("sag", "saga")


@njit
def cosh_loss(y, z):
    return np.log(np.cosh(z - y))


@njit
def cosh_derivative(y, z):
    return np.tanh(z - y)


LOG_COSH = fastml.Loss(cosh_loss, cosh_derivative, lipschitz=1.0)


def as_csr(X, index=np.int32):
    matrix = sparse.csr_matrix(X)
    return CSR(matrix.data, matrix.indices.astype(index), matrix.indptr.astype(index), matrix.shape)


def made_up(loss, rng, n_rows=300, n_features=12, n_columns=1):
    """Rows, some zeros among them, and a target that they explain in part."""
    X = rng.standard_normal((n_rows, n_features))
    X[rng.random(X.shape) < 0.5] = 0.0
    z = X @ rng.standard_normal((n_features, n_columns)) + 0.5 + rng.standard_normal((n_rows, n_columns))
    if loss == "multinomial":
        return X, z.argmax(axis=1).astype(np.int32)
    if loss in ("log_loss", "squared_hinge", "modified_huber"):
        return X, (z[:, 0] > 0.0).astype(np.int32)
    return X, z.T.copy()


def losses(loss, target, z):
    """Each row's, from margins of shape (n_rows, n_columns)."""
    if loss == "multinomial":
        return logsumexp(z, axis=1) - z[np.arange(len(z)), target]
    z = z[:, 0]
    if target.dtype == np.int32:
        slack = 1.0 - (2.0 * target - 1.0) * z
        return {
            "log_loss": np.logaddexp(0.0, slack - 1.0),
            "squared_hinge": np.maximum(slack, 0.0) ** 2,
            "modified_huber": np.where(slack > 2.0, 4.0 * (slack - 1.0), np.maximum(slack, 0.0) ** 2),
        }[loss]
    residual = z - target[0]
    excess = np.maximum(abs(residual) - 0.1, 0.0)
    if loss is LOG_COSH:
        return np.log(np.cosh(residual))
    return {
        "squared_error": 0.5 * residual**2,
        "huber": np.where(excess > 0.0, 0.1 * (abs(residual) - 0.05), 0.5 * residual**2),
        "squared_epsilon_insensitive": excess**2,
    }[loss]


def objective(weights, X, target, loss, alpha, beta, weight=1.0):
    """Of one model."""
    coef = weights[:, :-1]
    total = np.mean(weight * losses(loss, target, X @ coef.T + weights[:, -1]))
    return total + 0.5 * alpha * np.sum(coef**2) + beta * np.sum(np.abs(coef))


def smooth_optimum(X, target, loss, alpha, n_columns, weight=1.0):
    """By L-BFGS with numerical derivatives: small, slow, and none of our code."""
    shape = (n_columns, X.shape[1] + 1)
    found = optimize.minimize(
        lambda w: objective(w.reshape(shape), X, target, loss, alpha, 0.0, weight),
        np.zeros(shape[0] * shape[1]),
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9},
    )
    return found.fun


def fit(X, target, rule, alpha, beta=0.0, *, method="saga", max_iter=20_000, tol=1e-10, seed=0, **data):
    weights = np.zeros((rule.n_columns, X.shape[1] + 1))
    settings = sag.Settings(method, np.array([alpha]), np.array([beta]), True, max_iter, tol)
    models = new_models(1)
    if "weight" in data:
        models["weighting"] = 0
    solution = sag.solve(Data(X, target, **data), rule, models, settings, weights, seed=seed)
    return weights, solution


SMOOTH = ["log_loss", "squared_error", "squared_hinge", "modified_huber", "huber", "multinomial",
          "squared_epsilon_insensitive", LOG_COSH]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", SMOOTH, ids=str)
def test_the_optimum(loss, method):
    rng = np.random.default_rng(0)
    n_columns = 3 if loss == "multinomial" else 1
    X, target = made_up(loss, rng, n_rows=150, n_features=6, n_columns=n_columns)
    weight = rng.uniform(0.0, 3.0, (1, len(X))) * (rng.random(len(X)) < 0.8)
    wanted = smooth_optimum(X, target, loss, 0.01, n_columns, weight[0])
    for rows in (X, as_csr(X), as_csr(X, np.int64)):
        weights, solution = fit(rows, target, Rule(loss, n_columns), 0.01, method=method, weight=weight)
        assert solution.converged.all()
        assert objective(weights, X, target, loss, 0.01, 0.0, weight[0]) <= wanted * (1.0 + 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "multinomial"])
@pytest.mark.parametrize("alpha", [0.0, 0.02])
def test_kkt_of_an_l1_penalty(loss, is_sparse, dtype, alpha):
    """Slopes are -beta sign(w) where w is not zero, and within beta where it is."""
    rng = np.random.default_rng(1)
    n_columns, beta = (3 if loss == "multinomial" else 1), 0.03
    X, target = made_up(loss, rng, n_columns=n_columns)
    X[:, 3] = 0.0
    X = X.astype(dtype)
    weights, solution = fit(as_csr(X) if is_sparse else X, target, Rule(loss, n_columns), alpha, beta)
    assert solution.converged.all()
    coef, z = weights[:, :-1], X.astype(float) @ weights[:, :-1].T + weights[:, -1]
    if loss == "multinomial":
        slope = softmax(z, axis=1) - np.eye(n_columns)[target]
    elif loss == "log_loss":
        sign = 2.0 * target[:, None] - 1.0
        slope = -sign / (1.0 + np.exp(sign * z))
    else:
        slope = z - target.T
    gradient = slope.T @ X / len(X) + alpha * coef
    assert_allclose(slope.mean(axis=0), 0.0, atol=1e-7)
    assert_allclose(gradient[coef != 0.0], -beta * np.sign(coef[coef != 0.0]), atol=1e-7)
    assert (abs(gradient[coef == 0.0]) <= beta + 1e-7).all()
    assert 0 < np.count_nonzero(coef) < coef.size
    assert (coef[:, 3] == 0.0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("C", [1e-10, 1e-4, 1.0, 1e4, 1e10])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_any_C_with_constant_columns(C, method, is_sparse):
    rng = np.random.default_rng(2)
    X, target = made_up("log_loss", rng, n_rows=200, n_features=4)
    X = np.column_stack([X, np.full(len(X), 2.0), np.zeros(len(X)), X[:, 0]])
    alpha = 1.0 / (C * len(X))
    rows = as_csr(X) if is_sparse else X
    weights, solution = fit(rows, target, Rule("log_loss"), alpha, method=method, tol=1e-9)
    assert solution.converged.all() or C >= 1e4  # nearly flat along what columns share
    wanted = smooth_optimum(X, target, "log_loss", alpha, 1)
    assert objective(weights, X, target, "log_loss", alpha, 0.0) <= wanted * (1.0 + 1e-6)


def test_separable_rows_without_penalty_do_not_converge_and_stay_finite():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    weights, solution = fit(
        X, np.array([0, 0, 1, 1], np.int32), Rule("log_loss"), 0.0, max_iter=2000, tol=1e-12
    )
    assert not solution.converged.any()
    assert solution.n_iter == 2000
    assert np.isfinite(weights).all()
    assert weights[0, 0] > 3.0


@pytest.mark.parametrize("method", METHODS)
def test_models_do_not_depend_on_their_company_nor_on_threads(method):
    rng = np.random.default_rng(3)
    X, target = made_up("multinomial", rng, n_columns=3)
    weight = (rng.random((3, len(X))) < 0.7).astype(float)
    data, rule = Data(as_csr(X), target, weight), Rule("log_loss")
    models = new_models(9)
    models["positive_class"], models["weighting"] = np.repeat(range(3), 3), np.tile(range(3), 3)
    models["active"][4] = 0
    alpha = np.geomspace(1e-4, 1.0, 9)

    def run(n_threads, seed=7):
        settings = sag.Settings(method, alpha, np.zeros(9), True, 30, 1e-6)
        weights = np.full((9, X.shape[1] + 1), 0.25)
        with fastml.config_context(n_threads=n_threads):
            solution = sag.solve(data, rule, models, settings, weights, seed=seed)
        return weights, solution

    weights, solution = run(1)
    again, _ = run(2)
    assert_array_equal(weights, again)
    assert (weights[4] == 0.25).all()
    assert solution.n_iter[4] == 0
    assert (np.delete(solution.n_iter, 4) > 0).all()
    others, _ = run(1, seed=8)
    assert (np.delete(others, 4, axis=0) != np.delete(weights, 4, axis=0)).any(axis=1).all()


def test_a_fold_is_a_fit_of_its_rows():
    """Rows of weight 0 have no part in it, NaN included; alpha stays beside the number of all rows."""
    rng = np.random.default_rng(4)
    X, target = made_up("squared_error", rng)
    inside = rng.random(len(X)) < 0.6
    wanted, _ = fit(
        X[inside], target[:, inside].copy(), Rule("squared_error"), 0.1 * len(X) / inside.sum(), tol=1e-12
    )
    X[~inside] = np.nan
    got, _ = fit(X, target, Rule("squared_error"), 0.1, tol=1e-12, weight=inside[None].astype(float))
    assert_allclose(got, wanted, atol=1e-8)


def test_a_start_is_taken_and_an_offset_kept():
    rng = np.random.default_rng(5)
    X, target = made_up("squared_error", rng)
    weights, _ = fit(X, target, Rule("squared_error"), 0.01, tol=1e-12)
    settings = sag.Settings("saga", np.array([0.01]), np.zeros(1), True, 100, 1e-6)
    warm = weights.copy()
    solution = sag.solve(Data(X, target), Rule("squared_error"), new_models(1), settings, warm, seed=0)
    assert solution.n_iter <= 2  # the first epoch's change is that from zero weights
    assert_allclose(warm, weights, rtol=1e-5)
    offset = weights.copy()
    sag.solve(Data(X, target), Rule("squared_error"), new_models(1),
              settings._replace(fit_intercept=False, tol=1e-12, max_iter=5000), offset, seed=1)  # fmt: skip
    assert_allclose(offset, weights, atol=1e-7)
    assert offset[0, -1] == weights[0, -1]


def test_the_stopping_criterion():
    rng = np.random.default_rng(6)
    X, target = made_up("squared_error", rng)
    rule, tol = Rule("squared_error"), 1e-3
    _, solution = fit(X, target, rule, 0.01, tol=tol)
    n_iter = int(solution.n_iter[0])
    paths = [fit(X, target, rule, 0.01, tol=0.0, max_iter=m)[0][0, :-1] for m in range(n_iter + 1)]
    changes = [abs(b - a).max() / abs(b).max() for a, b in pairwise(paths)]
    assert changes[-1] <= tol
    assert min(changes[:-1]) > tol


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "multinomial", "squared_error"])
def test_where_no_weight_leaves_0_the_intercepts_decide(loss, is_sparse):
    X, target = made_up(loss, np.random.default_rng(6), n_columns=3 if loss == "multinomial" else 1)
    rule = Rule(loss, 3 if loss == "multinomial" else 1)
    weights, solution = fit(as_csr(X) if is_sparse else X, target, rule, 0.0, beta=1e6, tol=1e-8)
    shares = np.bincount(target) / len(target) if loss != "squared_error" else None
    margins = weights[:, -1]
    match loss:
        case "log_loss":
            assert_allclose(1.0 / (1.0 + np.exp(-margins)), shares[1], rtol=1e-5)
        case "multinomial":
            assert_allclose(softmax(margins), shares, rtol=1e-5)
        case "squared_error":
            assert_allclose(margins, target.mean(), rtol=1e-4)
    assert not weights[:, :-1].any()
    assert solution.converged
    settings = sag.Settings("saga", np.zeros(1), np.array([1e6]), False, 10, 1e-6)
    assert sag.solve(Data(X, target), rule, new_models(1), settings, 0.0 * weights, seed=0).n_iter == 1


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        (Rule("poisson"), {}, "Lipschitz"),
        (Rule(fastml.Loss(cosh_loss, cosh_derivative)), {}, "lipschitz"),
        (Rule("squared_error"), {"method": "sag", "beta": np.ones(1)}, "'saga'"),
        (Rule("squared_error"), {"method": "sagx"}, "method"),
    ],
)
def test_what_a_method_cannot_do_is_an_error_that_says_so(rule, settings, message):
    data = Data(np.ones((3, 2)), np.ones((1, 3)))
    given = sag.Settings("saga", np.ones(1), np.zeros(1), True, 10, 1e-4)._replace(**settings)
    with pytest.raises(ValueError, match=message):
        sag.solve(data, rule, new_models(1), given, np.zeros((1, 3)), seed=0)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_rows_that_are_not_finite_are_an_error_and_leave_the_weights(is_sparse):
    X = np.ones((5, 3))
    X[2, 1] = np.nan
    weights = np.full((1, 4), 0.5)
    settings = sag.Settings("saga", np.ones(1), np.zeros(1), True, 10, 1e-4)
    data = Data(as_csr(X) if is_sparse else X, np.ones((1, 5)))
    with pytest.raises(ValueError, match="epoch #1"):
        sag.solve(data, Rule("squared_error"), new_models(1), settings, weights, seed=0)
    assert (weights == 0.5).all()


def test_ctrl_c_is_heard_within_a_second():
    rng = np.random.default_rng(7)
    X, target = made_up("log_loss", rng, n_rows=20_000, n_features=50)
    weights = np.full((1, 51), 0.5)
    settings = sag.Settings("saga", np.full(1, 1e-9), np.zeros(1), True, 10**9, 0.0)
    sent = []

    def interrupt():
        sent.append(os.times().elapsed)
        os.kill(os.getpid(), signal.SIGINT)

    # A job in the background inherits that the signal is ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.5, interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            sag.solve(Data(X, target), Rule("log_loss"), new_models(1), settings, weights, seed=0)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert os.times().elapsed - sent[0] < 1.0
    assert (weights == 0.5).all()
