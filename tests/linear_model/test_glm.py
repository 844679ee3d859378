"""GeneralizedLinearRegressor and GeneralizedLinearClassifier: every loss with every penalty by every solver."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from fastml import Loss
from fastml.linear_model import GeneralizedLinearClassifier, GeneralizedLinearRegressor

N_ROWS, N_FEATURES = 120, 6
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
MARGINS = X @ _rng.standard_normal((N_FEATURES, 3)) + _rng.standard_normal((N_ROWS, 3))
Y = MARGINS[:, 0]
COUNTS = _rng.poisson(np.exp(0.3 * MARGINS[:, 0])).astype(float)
LABELS = {2: (MARGINS[:, 0] > 0.2).astype(int), 3: MARGINS.argmax(axis=1)}
WEIGHTS = _rng.uniform(0.2, 3.0, N_ROWS)

TIGHT = {"tol": 1e-8, "max_iter": 20_000}
REGRESSION = ("squared_error", "huber", "squared_epsilon_insensitive", "poisson")
BINARY = ("log_loss", "squared_hinge", "modified_huber")
SMOOTH = ("lbfgs", "newton-cg", "newton-cholesky", "gd", "agd")


@njit
def log_cosh(y, margin):
    return np.log(np.cosh(margin - y))


@njit
def log_cosh_slope(y, margin):
    return np.tanh(margin - y)


@njit
def log_cosh_curvature(y, margin):
    return 1.0 / np.cosh(margin - y) ** 2


def values(loss, y, z):
    """A loss' values and slopes, written anew."""
    residual, yz, epsilon = z - y, y * z, 0.1
    slack, distance = np.maximum(0.0, 1.0 - yz), abs(residual)
    excess = np.maximum(0.0, distance - epsilon)
    inside = distance <= epsilon
    return {
        "squared_error": lambda: (0.5 * residual**2, residual),
        "huber": lambda: (
            np.where(inside, 0.5 * residual**2, epsilon * (distance - 0.5 * epsilon)),
            np.clip(residual, -epsilon, epsilon),
        ),
        "squared_epsilon_insensitive": lambda: (excess**2, 2.0 * excess * np.sign(residual)),
        "poisson": lambda: (np.exp(z) - yz, np.exp(z) - y),
        "log_loss": lambda: (np.logaddexp(0.0, -yz), -y / (1.0 + np.exp(yz))),
        "squared_hinge": lambda: (slack**2, -2.0 * y * slack),
        "modified_huber": lambda: (
            np.where(yz >= -1.0, slack**2, -4.0 * yz),
            np.where(yz >= -1.0, -2.0 * y * slack, -4.0 * y),
        ),
    }[loss]()


def smooth_part(loss, y, point, l2, weight=None):
    z = X @ point[:-1] + point[-1]
    value, slope = values(loss, y, z)
    weight = np.ones(len(y)) / len(y) if weight is None else weight / weight.sum()
    gradient = np.append(X.T @ (weight * slope) + l2 * point[:-1], weight @ slope)
    return weight @ value + 0.5 * l2 * point[:-1] @ point[:-1], gradient


def target_of(loss):
    if loss in BINARY:
        return 2.0 * LABELS[2] - 1.0
    return COUNTS if loss == "poisson" else Y


def estimator_of(loss, **parameters):
    cls = GeneralizedLinearClassifier if loss in BINARY else GeneralizedLinearRegressor
    return cls(loss=loss, **parameters)


def point_of(model):
    return np.append(model.coef_.ravel(), model.intercept_)


@pytest.mark.parametrize("solver", SMOOTH)
@pytest.mark.parametrize("loss", REGRESSION + BINARY)
def test_the_minimum_with_an_l2_penalty(loss, solver):
    y = target_of(loss)
    model = estimator_of(loss, alpha=0.1, solver=solver, **TIGHT).fit(X, y, WEIGHTS)
    value, gradient = smooth_part(loss, y, point_of(model), 0.1, WEIGHTS)
    found = minimize(
        lambda w: smooth_part(loss, y, w, 0.1, WEIGHTS), np.zeros(N_FEATURES + 1), jac=True, tol=1e-10
    )
    assert model.solver_ == solver
    assert value == pytest.approx(found.fun, rel=1e-8)
    assert abs(gradient).max() <= 1e-7
    (history,) = model.loss_history_
    assert len(history) == model.n_iter_ + 1
    assert history[-1] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("line_search", [True, False])
@pytest.mark.parametrize("solver", ["gd", "agd"])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_loss", "squared_hinge"])
def test_the_minimum_with_l1_and_bounds(loss, solver, line_search):
    y, l1, l2 = target_of(loss), 0.03, 0.02
    model = estimator_of(
        loss,
        penalty="elasticnet",
        alpha=l1 + l2,
        l1_ratio=l1 / (l1 + l2),
        bounds=(-0.3, np.full(N_FEATURES, 0.4)),
        solver=solver,
        line_search=line_search,
        **TIGHT,
    ).fit(X, y)
    coef = model.coef_.ravel()
    _, gradient = smooth_part(loss, y, point_of(model), l2)
    slope = gradient[:-1] + l1 * np.sign(coef)
    inside = (coef != 0.0) & (coef > -0.3) & (coef < 0.4)
    assert abs(gradient[-1]) < 1e-6
    assert abs(slope[inside]).max(initial=0.0) < 1e-6
    assert (slope[coef == -0.3] >= -1e-6).all()
    assert (slope[coef == 0.4] <= 1e-6).all()
    assert (abs(gradient[:-1][coef == 0.0]) <= l1 + 1e-6).all()
    assert (coef >= -0.3).all()
    assert (coef <= 0.4).all()


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        (
            GeneralizedLinearRegressor(alpha=0.3, **TIGHT),
            sklearn.linear_model.Ridge(alpha=0.3 * N_ROWS, tol=1e-10),
        ),
        (
            GeneralizedLinearRegressor(penalty="l1", alpha=0.1, **TIGHT),
            sklearn.linear_model.Lasso(alpha=0.1, tol=1e-10),
        ),
        (
            GeneralizedLinearRegressor(penalty="elasticnet", alpha=0.1, l1_ratio=0.4, solver="gd", **TIGHT),
            sklearn.linear_model.ElasticNet(alpha=0.1, l1_ratio=0.4, tol=1e-10),
        ),
        (
            GeneralizedLinearRegressor(alpha=0.0, bounds=(0.0, None), **TIGHT),
            sklearn.linear_model.LinearRegression(positive=True),
        ),
    ],
    ids=["ridge", "lasso", "elastic net", "non-negative"],
)
def test_regressors_that_scikit_learn_has(model, theirs):
    model.fit(X, Y)
    theirs.fit(X, Y)
    assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
    assert_allclose(model.intercept_, theirs.intercept_, atol=1e-6)
    assert_allclose(model.predict(X), theirs.predict(X), atol=1e-5)


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs", "agd"])
def test_a_start_where_the_loss_is_straight(solver):
    # Of every row: huber's second derivative is 0 there.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((39, 6)) + 3.0
    y = rng.uniform(0.5, 3.0, 39) * np.where(np.arange(39) % 2, 1.0, -1.0)
    parameters = {"loss": "huber", "penalty": None, "fit_intercept": False, "tol": 1e-6}
    model = GeneralizedLinearRegressor(solver=solver, **parameters).fit(X, y)
    gradient = np.clip(X @ model.coef_ - y, -0.1, 0.1) @ X / len(X)
    assert model.n_iter_ > 0
    assert_allclose(gradient, 0.0, atol=2e-6)


def test_poisson_predicts_means():
    model = GeneralizedLinearRegressor("poisson", alpha=0.1, **TIGHT).fit(X, COUNTS)
    theirs = sklearn.linear_model.PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=5000).fit(X, COUNTS)
    assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
    assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-5)
    with pytest.raises(ValueError, match="not negative"):
        model.fit(X, Y)


@pytest.mark.parametrize("solver", SMOOTH)
def test_the_multinomial_classifier_is_logistic_regression(solver):
    y, alpha = LABELS[3], 0.05
    model = GeneralizedLinearClassifier("multinomial", alpha=alpha, solver=solver, **TIGHT).fit(X, y)
    theirs = sklearn.linear_model.LogisticRegression(C=1.0 / (alpha * N_ROWS), tol=1e-10, max_iter=5000).fit(
        X, y
    )
    assert_allclose(model.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    assert_array_equal(model.predict(X), theirs.predict(X))


def test_the_multinomial_classifier_of_two_classes_has_one_decision_function():
    y = LABELS[2]
    model = GeneralizedLinearClassifier("multinomial", alpha=0.1, warm_start=True, **TIGHT).fit(X, y)
    # Two weight vectors, each of half the difference: half the penalty.
    binary = GeneralizedLinearClassifier("log_loss", alpha=0.05, **TIGHT).fit(X, y)
    assert model.coef_.shape == (1, N_FEATURES)
    assert_allclose(model.coef_, binary.coef_, atol=1e-5)
    assert_allclose(model.predict_proba(X), binary.predict_proba(X), atol=1e-5)
    assert model.fit(X, y).n_iter_ == 0


@pytest.mark.parametrize("loss", BINARY)
def test_several_classes_are_each_against_the_rest(loss):
    y = np.array(["c", "a", "b"])[LABELS[3]]
    model = GeneralizedLinearClassifier(loss, alpha=0.05, **TIGHT).fit(X, y)
    assert_array_equal(model.classes_, ["a", "b", "c"])
    for k, label in enumerate(model.classes_):
        alone = GeneralizedLinearClassifier(loss, alpha=0.05, **TIGHT).fit(X, y == label)
        assert_allclose(model.coef_[k], alone.coef_[0], atol=1e-6)
    assert len(model.loss_history_) == 3
    assert set(model.predict(X)) == {"a", "b", "c"}
    if loss == "squared_hinge":
        assert not hasattr(model, "predict_proba")
    else:
        assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
        assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_the_squared_hinge_is_linear_svc():
    y, C = LABELS[2], 0.2
    model = GeneralizedLinearClassifier(
        "squared_hinge", alpha=1.0 / (C * N_ROWS), fit_intercept=False, **TIGHT
    ).fit(X, y)
    theirs = LinearSVC(C=C, fit_intercept=False, tol=1e-10, max_iter=100_000).fit(X, y)
    assert_allclose(model.coef_, theirs.coef_ * 1.0, atol=1e-5)


@pytest.mark.parametrize("solver", SMOOTH)
def test_a_loss_of_ones_own(solver):
    loss = Loss(log_cosh, log_cosh_slope, second_derivative=log_cosh_curvature, lipschitz=1.0)
    model = GeneralizedLinearRegressor(loss, alpha=0.1, solver=solver, **TIGHT).fit(X, Y)
    residual = X @ model.coef_ + model.intercept_ - Y
    assert_allclose(X.T @ np.tanh(residual) / N_ROWS + 0.1 * model.coef_, 0.0, atol=1e-7)
    assert abs(np.tanh(residual).mean()) < 1e-7
    assert_array_equal(clone(model).fit(X, Y).coef_, model.coef_)


@njit
def raises(y, margin):
    if margin < 5.0:
        raise ValueError("never so low")
    return 0.0


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky", "gd", "agd", "saga"])
def test_a_loss_that_raises_is_no_loss_of_zero(solver):
    loss = Loss(log_cosh, log_cosh_slope, second_derivative=log_cosh_curvature, lipschitz=1.0)
    functions = {"derivative": raises} if solver == "saga" else {"value": raises}
    broken = Loss(
        functions.get("value", loss.value), functions.get("derivative", loss.derivative),
        second_derivative=log_cosh_curvature, lipschitz=1.0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"Or Loss\(.*\) has given NaN, or raised an exception"):
        GeneralizedLinearRegressor(broken, solver=solver).fit(X, Y)


@njit
def opposite_slope(y, margin):
    return -log_cosh_slope(y, margin)


def test_functions_that_are_not_each_others_derivative():
    with pytest.raises(
        ValueError, match=r"^derivative is not the derivative of value: at y=.*, and the difference"
    ):
        GeneralizedLinearRegressor(Loss(log_cosh, opposite_slope)).fit(X, Y)
    with pytest.raises(ValueError, match=r"^second_derivative is not the derivative of derivative"):
        GeneralizedLinearRegressor(Loss(log_cosh, log_cosh_slope, second_derivative=log_cosh)).fit(X, Y)


@pytest.mark.parametrize("estimator", [GeneralizedLinearRegressor(), GeneralizedLinearClassifier()], ids=repr)
def test_weights_below_zero(estimator):
    weight = np.ones(N_ROWS)
    weight[3] = -1.0
    with pytest.raises(ValueError, match="Negative values"):
        estimator.fit(X, LABELS[2], sample_weight=weight)


class GroupLasso:
    """A penalty of one's own: the norm of pairs of coefficients."""

    def __init__(self, strength):
        self.strength = strength

    def __repr__(self):
        return f"GroupLasso({self.strength})"

    def value(self, coef):
        return self.strength * np.linalg.norm(coef.reshape(-1, 2), axis=1).sum()

    def nearest(self, coef, step):
        pairs = coef.reshape(-1, 2)
        norms = np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-300)
        return (pairs * np.maximum(1.0 - step * self.strength / norms, 0.0)).reshape(coef.shape)


@pytest.mark.parametrize("solver", ["auto", "gd", "agd"])
def test_a_penalty_of_ones_own(solver):
    model = GeneralizedLinearRegressor(penalty=GroupLasso(0.6), solver=solver, **TIGHT).fit(X, Y)
    norms = np.linalg.norm(model.coef_.reshape(-1, 2), axis=1)
    slopes = (X.T @ (X @ model.coef_ + model.intercept_ - Y) / N_ROWS).reshape(-1, 2)
    assert (norms == 0.0).any()
    assert (norms > 0.0).any()
    assert (np.linalg.norm(slopes[norms == 0.0], axis=1) <= 0.6 + 1e-6).all()
    direction = model.coef_.reshape(-1, 2)[norms > 0.0] / norms[norms > 0.0, None]
    assert_allclose(slopes[norms > 0.0], -0.6 * direction, atol=1e-6)


BARE = Loss(log_cosh, log_cosh_slope)


@pytest.mark.parametrize(
    ("parameters", "reason", "able"),
    [
        ({"solver": "lbfgs", "penalty": "l1"}, "without kinks", "'gd', 'agd', 'saga'"),
        ({"solver": "sag", "penalty": "elasticnet", "l1_ratio": 0.5}, "without kinks", "'gd', 'agd', 'saga'"),
        ({"solver": "newton-cg", "bounds": (0.0, None)}, "bounds", "'gd', 'agd'"),
        ({"solver": "saga", "bounds": (0.0, None)}, "proximal step", "'gd', 'agd'"),
        ({"solver": "saga", "penalty": GroupLasso(1.0)}, "proximal step", "'gd', 'agd'"),
        ({"solver": "newton-cholesky", "loss": BARE}, "second derivative", "'lbfgs', 'gd', 'agd'"),
        ({"solver": "saga", "loss": BARE}, "Lipschitz", "'lbfgs', 'gd', 'agd'"),
        (
            {"solver": "sag", "loss": "poisson"},
            "Lipschitz",
            "'lbfgs', 'newton-cg', 'newton-cholesky', 'gd', 'agd'",
        ),
        (
            {"solver": "gd", "loss": "poisson", "line_search": False},
            "fixed step",
            "'lbfgs', 'newton-cg', 'newton-cholesky'",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_a_solver_that_cannot_names_those_that_can(parameters, reason, able):
    with pytest.raises(ValueError, match=reason) as caught:
        GeneralizedLinearRegressor(**parameters).fit(X, COUNTS)
    assert str(caught.value).endswith(f"Solvers that can: {able}.")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"solver": "lbfgs", "penalty": "l1"}, "; got l1. Solvers"),
        ({"solver": "saga", "penalty": "l1", "bounds": (0.0, None)}, "; got l1 and bounds. Solvers"),
        ({"solver": "sag", "penalty": GroupLasso(1.0)}, "; got a penalty of your own. Solvers"),
        (
            {"penalty": "l1", "loss": "poisson", "line_search": False},
            "No solver can without a line search or a",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_the_error_names_what_the_solver_cannot_do_with(parameters, message):
    with pytest.raises(ValueError, match=message):
        GeneralizedLinearRegressor(**parameters).fit(X, COUNTS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bounds": 3}, "bounds"),
        ({"bounds": (1.0, 0.0)}, "must not exceed"),
        ({"bounds": (0.0, np.ones(5))}, "length n_features=6"),
        ({"bounds": (np.nan, 1.0)}, "without NaN"),
        ({"bounds": (0.0, 1.0, 2.0)}, "pair"),
        ({"alpha": -1.0}, "alpha"),
        ({"l1_ratio": 2.0}, "l1_ratio"),
        ({"loss": "log_loss"}, "loss"),
        ({"penalty": "l0"}, "penalty"),
        ({"solver": "magic"}, "solver"),
        ({"step_size": 0.0}, "step_size"),
        ({"max_iter": 0}, "max_iter"),
    ],
    ids=str,
)
def test_parameters_that_nobody_takes(parameters, message):
    with pytest.raises(ValueError, match=message):
        GeneralizedLinearRegressor(**parameters).fit(X, Y)


@pytest.mark.parametrize("solver", ["gd", "agd"])
def test_a_step_too_long_warns_and_keeps_the_best_weights(solver):
    model = GeneralizedLinearRegressor(solver=solver, step_size=100.0, line_search=False, max_iter=100_000)
    with pytest.warns(ConvergenceWarning, match="smaller step_size, or line_search=True"):
        model.fit(X, Y)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["gd", "agd"])
def test_a_step_of_the_users_own_is_taken(solver):
    model = GeneralizedLinearRegressor(solver=solver, step_size=0.1, line_search=False, **TIGHT).fit(X, Y)
    auto = GeneralizedLinearRegressor(solver=solver, line_search=False, **TIGHT).fit(X, Y)
    assert_allclose(model.coef_, auto.coef_, atol=1e-6)
    assert model.n_iter_ != auto.n_iter_


@pytest.mark.parametrize(
    "storage", [sparse.csr_matrix, sparse.csc_array, np.asfortranarray, np.ndarray.tolist]
)
def test_storages(storage):
    for estimator, y in ((GeneralizedLinearRegressor(), Y), (GeneralizedLinearClassifier(), LABELS[3])):
        dense = clone(estimator).fit(X, y)
        stored = clone(estimator).fit(storage(X), y)
        assert_allclose(stored.coef_, dense.coef_, atol=1e-6)
        assert_array_equal(stored.predict(storage(X)).shape, dense.predict(X).shape)


def test_float32_stays_float32():
    X32 = X.astype(np.float32)
    for estimator, y in ((GeneralizedLinearRegressor(), Y), (GeneralizedLinearClassifier(), LABELS[3])):
        model = estimator.fit(X32, y)
        assert model.coef_.dtype == np.float32
        assert_allclose(model.coef_, clone(estimator).fit(X, y).coef_, atol=1e-3)


@pytest.mark.parametrize("solver", SMOOTH)
def test_a_warm_start_begins_at_the_end(solver):
    model = GeneralizedLinearClassifier(solver=solver, warm_start=True, alpha=0.01, **TIGHT).fit(X, LABELS[3])
    coef = model.coef_
    model.set_params(tol=1e-5).fit(X, LABELS[3])
    assert model.n_iter_ <= 1
    assert_allclose(model.coef_, coef, atol=1e-4)
    with pytest.raises(ValueError, match="to start there"):
        model.fit(X[:, 1:], LABELS[3])


def test_nan_is_an_error_and_leaves_nothing():
    broken = X.copy()
    broken[3, 3] = np.nan
    for estimator, y in ((GeneralizedLinearRegressor(), Y), (GeneralizedLinearClassifier(), LABELS[2])):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            estimator.fit(broken, y)
        assert not hasattr(estimator, "n_features_in_")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [GeneralizedLinearRegressor(), GeneralizedLinearClassifier()], ids=repr)
def test_scikit_learns_checks(estimator):
    failed = [
        (check["check_name"], check["exception"])
        for check in check_estimator(estimator, on_skip=None, on_fail=None)
        if check["status"] == "failed"
    ]
    assert failed == []


def test_a_fit_that_converges_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in (*REGRESSION, *BINARY):
            estimator_of(loss).fit(X, target_of(loss))
