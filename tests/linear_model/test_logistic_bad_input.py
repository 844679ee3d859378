"""LogisticRegression's and LogisticRegressionCV's errors, and problems without a well-behaved optimum."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastml.linear_model import LogisticRegression, LogisticRegressionCV

rng = np.random.default_rng(1)
X = rng.standard_normal((60, 4))
Y = (X[:, 0] + rng.standard_normal(60) > 0).astype(int)
Y3 = (X[:, :3] + rng.standard_normal((60, 3))).argmax(axis=1)

SMOOTH = ("lbfgs", "newton-cg", "newton-cholesky", "gd", "agd")
each_solver = pytest.mark.parametrize("solver", SMOOTH)
CV = {"Cs": 2, "cv": 2, "l1_ratios": (0,), "scoring": "accuracy", "use_legacy_attributes": False}


def both(**parameters):
    return LogisticRegression(**parameters), LogisticRegressionCV(**CV, **parameters)


def their_error(estimator, *arguments):
    """The twin's error: its type and message."""
    twin = getattr(sklearn.linear_model, type(estimator).__name__)(**estimator.get_params())
    with pytest.raises((ValueError, TypeError)) as caught:
        twin.fit(*arguments)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (X, Y[:-1]),
        (X[:0], Y[:0]),
        (X, np.zeros(60)),
        (X, np.linspace(0.1, 2.3, 60)),
        (X[0], Y),
        (X, None),
        (np.where(X > 2.0, np.nan, X), Y),
        (np.where(X > 2.0, np.inf, X), Y),
        (sparse.csr_array(np.where(X > 2.0, np.nan, X)), Y),
        (X, np.where(Y, np.nan, 0.0)),
        (X, Y, np.ones(59)),
        (X, Y, np.full(60, np.nan)),
        (X, Y, np.zeros(60)),
    ],
    ids=[
        "short y",
        "no rows",
        "one class",
        "values for classes",
        "1-d X",
        "no y",
        "nan",
        "inf",
        "sparse nan",
        "nan in y",
        "short weights",
        "nan weights",
        "no weights",
    ],
)
def test_errors_are_scikit_learns(arguments):
    (estimator, _) = both()
    with pytest.raises((ValueError, TypeError)) as caught:
        estimator.fit(*arguments)
    assert (type(caught.value), str(caught.value)) == their_error(estimator, *arguments)
    assert not hasattr(estimator, "coef_")
    assert not hasattr(estimator, "n_features_in_")


@each_solver
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_found_by_every_solver(solver, value):
    broken = X.copy()
    broken[17, 2] = value
    for estimator in both(solver=solver):
        with pytest.raises(ValueError, match="Input X contains"):
            estimator.fit(broken, Y)
        assert not hasattr(estimator, "coef_")


def test_what_is_not_finite_is_found_in_rows_without_weight():
    broken, weight = X.copy(), np.ones(60)
    broken[17, 2], weight[17] = np.nan, 0.0
    for estimator in both():
        with pytest.raises(ValueError, match="Input X contains NaN"):
            estimator.fit(broken, Y, sample_weight=weight)


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "nothing"},
        {"C": 0.0},
        {"C": -1.0},
        {"tol": -1.0},
        {"max_iter": -1},
        {"l1_ratio": 1.5},
        {"class_weight": "even"},
        {"solver": "lbfgs", "l1_ratio": 1.0},
        {"solver": "newton-cg", "l1_ratio": 0.5},
        {"solver": "lbfgs", "dual": True},
        {"solver": "gd", "dual": True},
        {"solver": "agd", "l1_ratio": 1.0, "dual": True},
    ],
    ids=str,
)
def test_parameters_that_nobody_takes(parameters):
    with pytest.raises(ValueError, match=r"parameter of LogisticRegression|supports only"):
        LogisticRegression(**parameters).fit(X, Y)


def test_a_failed_fit_leaves_the_last_one():
    model = LogisticRegression().fit(X, Y)
    before = {name: np.copy(value) for name, value in vars(model).items() if name.endswith("_")}
    with pytest.raises(ValueError):
        model.fit(np.full((10, 3), np.nan), Y[:10])
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert_array_equal(after[name], value)


@each_solver
@pytest.mark.parametrize("C", [1e-10, 1e10])
def test_extreme_penalties(solver, C):
    """A right answer, or a warning that says what to change."""
    model = LogisticRegression(C=C, solver=solver, max_iter=2000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y3)
    assert np.isfinite(model.coef_).all()
    for warning in caught:
        assert issubclass(warning.category, (ConvergenceWarning, LinAlgWarning))
        assert "Increase" in str(warning.message) or "scale" in str(warning.message)
    if caught:
        return
    if C == 1e-10:
        assert abs(model.coef_).max() < 1e-6
        frequency = np.bincount(Y3) / len(Y3)
        assert_allclose(model.predict_proba(X[:1])[0], frequency, atol=2e-3)
    else:
        reference = sklearn.linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(X, Y3)
        assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=2e-2)


@pytest.mark.parametrize("C", [1e-308, 1e-300, 1e-100, 1e-50, 1e-30])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("y", [Y, Y3], ids=["two classes", "three"])
def test_penalties_next_to_which_a_step_is_nothing(C, dtype, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(C=C).fit(X.astype(dtype), y)
    assert abs(model.coef_).max() < 100 * C + np.finfo(dtype).smallest_subnormal


@pytest.mark.parametrize("C", [1e-308, 1e-300])
def test_a_penalty_whose_products_leave_the_range_is_warned_of_by_the_search_alone(C):
    rows = np.random.default_rng(0).integers(-5, 6, (39, 5)).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=C, solver="newton-cg", tol=1e-8).fit(rows, rows[:, 0] > 0.0)
    assert abs(model.coef_).max() < 100 * C


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
def test_a_penalty_that_is_not_finite_is_an_overflow(solver):
    """5e-324's inverse."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="under-/overflow"):
            LogisticRegression(C=5e-324, solver=solver).fit(X, Y)


@pytest.mark.parametrize("parameters", [{"Cs": []}, {"l1_ratios": [], "solver": "saga"}], ids=str)
def test_a_grid_of_nothing(parameters):
    (name,) = set(parameters) - {"solver"}
    with pytest.raises(ValueError, match=f"{name} must hold one value at least; got \\[\\]"):
        LogisticRegressionCV(**{**CV, **parameters}).fit(X, Y)


@pytest.mark.parametrize("Cs", [["a"], [1.0, np.nan], [0.0], [1.0, -1.0], [[1.0, 2.0]]], ids=str)
def test_a_grid_of_what_is_no_penalty(Cs):
    with pytest.raises(ValueError, match="Cs must be an int, or an array-like of numbers above 0; got"):
        LogisticRegressionCV(**{**CV, "Cs": Cs}).fit(X, Y)


@pytest.mark.parametrize("solver", [*SMOOTH, "sag", "saga", "liblinear"])
@pytest.mark.parametrize(("y", "lost"), [(Y, 0), (Y, 1), (Y3, 0), (Y3, 2)])
def test_balanced_classes_of_which_one_weighs_nothing(solver, y, lost):
    """Those that are left are balanced."""
    if solver == "liblinear" and y is Y3:
        pytest.skip("liblinear refuses more than two classes, as scikit-learn does")
    weight = np.where(y == lost, 0.0, 1.0 + X[:, 0] ** 2)
    n_classes = y.max() + 1
    of_class = {k: weight.sum() / (n_classes * weight[y == k].sum()) for k in range(n_classes) if k != lost}
    for estimator in both(solver=solver, random_state=0, max_iter=50, tol=1e-2):
        balanced = clone(estimator).set_params(class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            balanced.fit(X, y, sample_weight=weight)
            estimator.set_params(class_weight=of_class).fit(X, y, sample_weight=weight)
        assert_allclose(balanced.coef_, estimator.coef_, rtol=1e-6, atol=1e-9)


@each_solver
def test_separable_classes(solver):
    separable = (X[:, 0] > 0).astype(int)
    model = LogisticRegression(solver=solver, C=1e4, max_iter=200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, separable)
    assert model.score(X, separable) == 1.0
    assert all("ncrease" in str(warning.message) for warning in caught)


@each_solver
def test_constant_and_repeated_columns(solver):
    wide = np.column_stack([X, np.ones(60), np.zeros(60), X[:, 0], 3.0 * X[:, 1]])
    shared = {"C": 0.5, "tol": 1e-8}
    model = LogisticRegression(solver=solver, max_iter=20_000, **shared).fit(wide, Y)
    reference = sklearn.linear_model.LogisticRegression(max_iter=5000, **shared).fit(wide, Y)
    assert_allclose(model.coef_, reference.coef_, atol=1e-5)
    assert model.coef_[0, 5] == 0.0


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky", "agd"])
def test_features_of_very_different_scales(solver):
    scaled = X * [1e-6, 1.0, 1e3, 1e6]
    model = LogisticRegression(solver=solver, max_iter=500)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(scaled, Y)
    assert np.isfinite(model.coef_).all()
    assert model.score(scaled, Y) >= 0.4 or caught


def test_sums_beyond_float32():
    """An error, or a warning that says what to change."""
    huge = (X * 1e37).astype(np.float32)
    model, error = LogisticRegression(), ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(huge, Y)
        except ValueError as raised:
            error = str(raised)
    assert bool(error) != hasattr(model, "coef_")
    messages = [error, *(str(warning.message) for warning in caught)]
    assert any("Scaling input data" in message or "scale the data" in message for message in messages)


def test_a_sparse_matrix_with_indices_outside_is_refused():
    broken = sparse.csr_matrix(X)
    broken.indices[5] = 1000
    for estimator in both():
        with pytest.raises(ValueError, match=r"X\.indices"):
            estimator.fit(broken, Y)
