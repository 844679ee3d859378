"""L-BFGS, the two Newton methods and the two gradient descents find minima, alone and together."""

import warnings

import numpy as np
import pytest
from glm_problems import classification, evaluated, objective_of, rule_of, solved, together
from scipy.linalg import LinAlgWarning
from scipy.optimize import minimize

from fastml.kernels.glm_data import Data, Rule
from fastml.solvers import _passes, gradient_descent, lbfgs, newton_cg, newton_cholesky
from fastml.solvers.lbfgs._memory import Memory

SMOOTH = {
    "lbfgs": lbfgs.search,
    "newton-cg": newton_cg.search,
    "newton-cholesky": newton_cholesky.search,
    "gd": gradient_descent.plain,
    "agd": gradient_descent.accelerated,
}
each_solver = pytest.mark.parametrize("name", SMOOTH)


def minimum(data, rule, objective):
    """Value at the minimum, by SciPy's BFGS."""

    def f(point):
        return evaluated(data, rule, objective, point.reshape(objective.shape))

    found = minimize(f, np.zeros(objective.shape).ravel(), jac=True, options={"gtol": 1e-8})
    return found.fun


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 4])
@each_solver
def test_the_gradient_vanishes_at_the_minimum(name, n_classes, fit_intercept):
    data, rule = classification(n_classes), rule_of(n_classes)
    objective = objective_of(data, rule, 0.05, fit_intercept)
    start = np.zeros(objective.shape)
    outcome = solved(data, rule, SMOOTH[name](objective, start, tol=1e-7, max_iter=2000))
    value, gradient = evaluated(data, rule, objective, outcome.weights)
    assert outcome.converged
    assert abs(gradient).max() <= 1e-7
    assert value == pytest.approx(minimum(data, rule, objective), rel=1e-9)
    assert outcome.value == pytest.approx(value, rel=1e-12)
    assert fit_intercept or not outcome.weights[:, -1].any()
    assert len(outcome.loss_history) == outcome.n_iter + 1
    assert outcome.loss_history[-1] == pytest.approx(outcome.value, rel=1e-12)
    assert not start.any()


@each_solver
def test_models_together_go_as_they_go_alone(name):
    n_classes = 3
    data, rule = classification(n_classes), rule_of(n_classes)
    folds = (np.arange(3)[:, None] != np.arange(len(data.X)) % 3).astype(float)
    data = data._replace(weight=folds)
    settings = [(fold, l2) for fold in range(3) for l2 in (1e-2, 1.0)]

    def model(fold, l2):
        objective = objective_of(data, rule, l2, scale=1.0 / folds[fold].sum())
        return _passes.Model(
            lambda: SMOOTH[name](objective, np.zeros(objective.shape), tol=1e-5, max_iter=300), weighting=fold
        )

    jointly = together(data, rule, [model(*setting) for setting in settings])
    in_turn = together(data, rule, [model(*setting) for setting in settings], bytes_per_search=10**9)
    for setting, outcome, other in zip(settings, jointly, in_turn, strict=True):
        (alone,) = together(data, rule, [model(*setting)])
        assert outcome.n_iter == alone.n_iter == other.n_iter
        np.testing.assert_allclose(outcome.weights, alone.weights, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(outcome.weights, other.weights, rtol=1e-10, atol=1e-12)


def test_lbfgs_goes_the_way_of_scipys():
    data, rule = classification(4), rule_of(4)
    objective = objective_of(data, rule, 1e-3)
    start = np.zeros(objective.shape)
    outcome = solved(data, rule, lbfgs.search(objective, start, tol=1e-6, max_iter=500))
    theirs = minimize(
        lambda point: evaluated(data, rule, objective, point.reshape(objective.shape)),
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxls": 50, "gtol": 1e-6, "ftol": 64 * np.finfo(float).eps, "maxiter": 500},
    )
    assert outcome.n_iter == theirs.nit
    np.testing.assert_allclose(outcome.weights.ravel(), theirs.x, rtol=1e-7, atol=1e-10)


def test_the_compact_inverse_hessian_is_that_of_the_recursion():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((12, 12))
    curvature = root @ root.T + np.eye(12)
    memory, pairs = Memory(12, 5), []
    gradient = rng.standard_normal(12)
    np.testing.assert_array_equal(memory.direction(gradient), -gradient)
    for k in range(12):  # more than it keeps
        step = rng.standard_normal(12)
        change = curvature @ step
        gradient = gradient + change
        if k % 5 != 3:  # a step that is not taken into the memory
            memory.add(step, change, step @ change, gradient)
            pairs = [*pairs, (step, change)][-5:]
        np.testing.assert_allclose(memory.direction(gradient), -two_loops(pairs, gradient), rtol=1e-9)
    memory.forget()
    np.testing.assert_array_equal(memory.direction(gradient), -gradient)


def two_loops(pairs, gradient):
    """Nocedal and Wright, algorithm 7.4."""
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (y @ s))
        q -= alphas[-1] * y
    s, y = pairs[-1]
    q *= s @ y / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        q += s * (alpha - y @ q / (y @ s))
    return q


@each_solver
def test_running_out_of_iterations_says_what_to_do(name):
    data, rule = classification(2), rule_of(2)
    objective = objective_of(data, rule, 1e-3)
    outcome = solved(data, rule, SMOOTH[name](objective, np.zeros(objective.shape), tol=0.0, max_iter=1))
    assert (outcome.n_iter, outcome.converged) == (1, False)
    assert "after 1 iteration" in outcome.message or "Increase the number of iterations" in outcome.message


@each_solver
def test_a_nan_in_X_is_an_error(name):
    data, rule = classification(2), rule_of(2)
    data.X[3, 1] = np.nan
    objective = objective_of(data, rule, 1e-3)
    with pytest.raises(ValueError, match="overflow"):
        solved(data, rule, SMOOTH[name](objective, np.zeros(objective.shape), tol=1e-4, max_iter=10))


@pytest.mark.parametrize("descend", [gradient_descent.plain, gradient_descent.accelerated])
@pytest.mark.parametrize("line_search", [True, False])
def test_the_l1_penalty_satisfies_its_optimality_conditions(descend, line_search):
    data, rule = classification(2, n_features=10), rule_of(2)
    objective, strength = objective_of(data, rule, 0.01), 0.05
    search = descend(
        objective,
        np.zeros(objective.shape),
        tol=1e-9,
        max_iter=5000,
        penalty=gradient_descent.L1(strength),
        step_size=0.5,
        line_search=line_search,
    )
    outcome = solved(data, rule, search)
    _, gradient = evaluated(data, rule, objective, outcome.weights)
    coef, slope = outcome.weights[0, :-1], gradient[:-1]
    assert outcome.converged
    assert abs(gradient[-1]) < 1e-7
    assert 0 < (coef != 0.0).sum() < len(coef)
    np.testing.assert_allclose(slope[coef != 0.0], -strength * np.sign(coef[coef != 0.0]), atol=1e-7)
    assert (abs(slope[coef == 0.0]) <= strength + 1e-7).all()


@pytest.mark.parametrize("descend", [gradient_descent.plain, gradient_descent.accelerated])
def test_bounds_hold_and_the_gradient_points_out_of_them(descend):
    data, rule = classification(2), rule_of(2)
    objective = objective_of(data, rule, 0.0)
    search = descend(
        objective,
        np.full(objective.shape, 3.0),
        tol=1e-8,
        max_iter=5000,
        penalty=gradient_descent.Box(0.0, 0.2),
    )
    outcome = solved(data, rule, search)
    coef = outcome.weights[0, :-1]
    slope = evaluated(data, rule, objective, outcome.weights)[1][:-1]
    assert outcome.converged
    inside = (coef > 0.0) & (coef < 0.2)
    assert ((coef >= 0.0) & (coef <= 0.2)).all()
    assert (slope[coef == 0.0] >= -1e-7).all()
    assert (slope[coef == 0.2] <= 1e-7).all()
    assert (abs(slope[inside]) < 1e-7).all()


def test_momentum_needs_fewer_iterations_where_features_differ_in_scale():
    data, rule = classification(2), rule_of(2)
    X = np.ascontiguousarray(data.X * [1.0, 0.1, 1.0, 0.05, 1.0, 0.3])
    data = data._replace(X=X)
    objective = objective_of(data, rule, 1e-4)
    n_iter = {
        name: solved(
            data, rule, SMOOTH[name](objective, np.zeros(objective.shape), tol=1e-6, max_iter=20_000)
        ).n_iter
        for name in ("gd", "agd")
    }
    assert n_iter["agd"] < 0.3 * n_iter["gd"]


@pytest.mark.parametrize("name", ["gd", "agd"])
def test_a_step_too_long_diverges_and_says_so(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3))
    data, rule = Data(X, np.ascontiguousarray((X @ [1.0, 2.0, 3.0])[None])), Rule("squared_error")
    objective = objective_of(data, rule, 0.0)
    start = np.zeros(objective.shape)
    search = SMOOTH[name](objective, start, tol=1e-8, max_iter=100_000, step_size=50.0, line_search=False)
    outcome = solved(data, rule, search)
    assert not outcome.converged
    assert f"{name} diverged" in outcome.message
    assert "smaller step_size" in outcome.message
    assert outcome.value <= outcome.loss_history[0]


def test_a_singular_hessian_is_handed_to_lbfgs():
    data, rule = classification(2, n_features=4), rule_of(2)
    data = data._replace(X=np.ascontiguousarray(data.X[:, [0, 1, 2, 2]]))
    objective = objective_of(data, rule, 0.0)
    with pytest.warns(LinAlgWarning, match="resort to lbfgs"):
        outcome = solved(
            data, rule, newton_cholesky.search(objective, np.zeros(objective.shape), tol=1e-6, max_iter=100)
        )
    assert outcome.converged
    assert abs(evaluated(data, rule, objective, outcome.weights)[1]).max() <= 1e-6


def test_a_multinomial_model_without_penalty_is_centred():
    data, rule = classification(3), rule_of(3)
    objective = objective_of(data, rule, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = solved(
            data, rule, newton_cholesky.search(objective, np.zeros(objective.shape), tol=1e-10, max_iter=50)
        )
    assert outcome.converged
    assert outcome.n_iter < 15
    np.testing.assert_allclose(outcome.weights.sum(axis=0), 0.0, atol=1e-12)


def test_newtons_error_is_squared_near_the_solution():
    data, rule = classification(2), rule_of(2)
    objective = objective_of(data, rule, 1e-3)
    outcome = solved(
        data, rule, newton_cholesky.search(objective, np.zeros(objective.shape), tol=1e-12, max_iter=50)
    )
    assert outcome.converged
    assert outcome.n_iter <= 8
