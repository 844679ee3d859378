"""LogisticRegression(solver="liblinear") beside scikit-learn's LIBLINEAR: l2 in the primal and the dual, and l1."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import fastml
from fastml.linear_model import LogisticRegression, LogisticRegressionCV

rng = np.random.default_rng(3)
X = rng.standard_normal((150, 9)) * 10.0 ** rng.uniform(-1, 1, 9)
X[rng.random(X.shape) < 0.4] = 0.0
Y = np.where(X @ rng.standard_normal(9) + 2.0 * rng.standard_normal(150) > 1.0, "yes", "no")
WEIGHTS = rng.uniform(0.2, 3.0, 150) * (rng.random(150) < 0.8)

METHODS = {
    "primal": {"l1_ratio": 0.0},
    "dual": {"l1_ratio": 0.0, "dual": True},
    "l1": {"l1_ratio": 1.0},
}
TIGHT = {"solver": "liblinear", "tol": 1e-10, "max_iter": 100_000, "random_state": 0}
each_method = pytest.mark.parametrize("method", METHODS)


def pair(method, **parameters):
    """Ours and scikit-learn's."""
    given = {"solver": "liblinear", **METHODS[method], **parameters}
    return LogisticRegression(**given), sklearn.linear_model.LogisticRegression(**given)


def objective(model, weight=1.0):
    """What LIBLINEAR minimises, with the intercept's weight among the penalised ones, and its slopes without l1's."""
    scaling = model.intercept_scaling
    rows = np.column_stack([X, np.full(len(X), scaling if model.fit_intercept else 0.0)])
    w = np.append(model.coef_, model.intercept_ / scaling)
    y = np.where(model.classes_[1] == Y, 1.0, -1.0)
    margin, cost = y * (rows @ w), model.C * weight
    slopes = -rows.T @ (cost * y / (1.0 + np.exp(margin)))
    losses = np.sum(cost * np.logaddexp(0.0, -margin))
    if model.l1_ratio == 1.0:
        return losses + np.abs(w).sum(), slopes, w
    return losses + 0.5 * w @ w, slopes + w, w


@each_method
@pytest.mark.parametrize("C", [1e-2, 1.0, 1e2])
@pytest.mark.parametrize("intercept", [{}, {"intercept_scaling": 5.0}, {"fit_intercept": False}])
def test_the_optimum_is_scikit_learns(method, C, intercept):
    ours, theirs = pair(method, C=C, **intercept, **TIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of theirs: tol is beyond rounding for some
        theirs.fit(X, Y)
    ours.fit(X, Y)
    value, slopes, w = objective(ours)
    assert value == pytest.approx(objective(theirs)[0], rel=1e-6)
    scale = max(1.0, C) * np.abs(X).sum(axis=0).max()
    if method == "l1":
        assert_allclose(slopes[w != 0.0], -np.sign(w[w != 0.0]), atol=1e-7 * scale)
        assert (np.abs(slopes[w == 0.0]) <= 1.0 + 1e-7 * scale).all()
    else:
        assert np.abs(slopes).max() <= 1e-7 * scale
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-4)
    for name in ("coef_", "intercept_", "n_iter_", "classes_"):
        mine, their = np.asarray(getattr(ours, name)), np.asarray(getattr(theirs, name))
        assert (mine.dtype, mine.shape) == (their.dtype, their.shape), name


@each_method
def test_weights_of_rows_and_classes(method):
    ours, theirs = pair(method, class_weight={"no": 0.3, "yes": 2.0}, **TIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X, Y, WEIGHTS)
    ours.fit(X, Y, WEIGHTS)
    weight = WEIGHTS * np.where(Y == "yes", 2.0, 0.3)
    assert objective(ours, weight)[0] == pytest.approx(objective(theirs, weight)[0], rel=1e-6)
    left = WEIGHTS > 0.0
    without = pair(method, class_weight={"no": 0.3, "yes": 2.0}, **TIGHT)[0].fit(
        X[left], Y[left], WEIGHTS[left]
    )
    assert_allclose(ours.coef_, without.coef_, rtol=1e-5, atol=1e-7)


@each_method
def test_newton_steps_are_as_many_as_scikit_learns(method):
    ours, theirs = (model.fit(X, Y) for model in pair(method, random_state=0, max_iter=1000))
    if method == "primal":
        assert_array_equal(ours.n_iter_, theirs.n_iter_)
    else:  # coordinates are drawn in another order
        assert ours.n_iter_[0] <= 2 * theirs.n_iter_[0] + 5
    assert objective(ours)[0] == pytest.approx(objective(theirs)[0], rel=2e-3)


@each_method
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_storage_gives_the_same(method, dtype):
    given = {"solver": "liblinear", "tol": 1e-8, "max_iter": 100_000, "random_state": 0, **METHODS[method]}
    dense = LogisticRegression(**given).fit(X.astype(dtype), Y)
    stored = LogisticRegression(**given).fit(sparse.csr_array(X.astype(dtype)), Y)
    assert dense.coef_.dtype == stored.coef_.dtype == np.float64
    assert_allclose(stored.coef_, dense.coef_, rtol=1e-4, atol=1e-6)
    assert_allclose(dense.coef_, LogisticRegression(**given).fit(X, Y).coef_, rtol=1e-3, atol=1e-4)


@each_method
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_fit_repeats_bit_for_bit(method, n_threads):
    with fastml.config_context(n_threads=n_threads):
        first, second = (pair(method, random_state=7)[0].fit(X, Y) for _ in range(2))
    assert_array_equal(first.coef_, second.coef_)


@each_method
def test_max_iter_warns_in_scikit_learns_words(method):
    messages = []
    for model in pair(method, max_iter=1, tol=1e-12, random_state=0):
        with pytest.warns(ConvergenceWarning) as caught:
            model.fit(X, Y)
        assert model.n_iter_[0] == 1
        messages.append([str(warning.message) for warning in caught])
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("parameters", "data", "message"),
    [
        ({}, (X, np.arange(150) % 3), "does not support multiclass"),
        ({}, (X, np.zeros(150)), "does not support multiclass"),
        ({}, (X * 1e31, Y), "frozen fit"),
        ({"intercept_scaling": 0.0}, (X, Y), "'intercept_scaling' parameter"),
        ({"dual": True, "l1_ratio": 1.0}, (X, Y), "Unsupported set of arguments"),
        ({"l1_ratio": 0.5}, (X, Y), "elasticnet"),
        ({"C": np.inf}, (X, Y), "not supported for the liblinear solver"),
        ({}, (X, Y, np.zeros(150)), r"zero|Invalid"),
    ],
)
def test_bad_input_raises_as_in_scikit_learn(parameters, data, message):
    for family in (fastml.linear_model, sklearn.linear_model):
        with pytest.raises(ValueError, match=message):
            family.LogisticRegression(solver="liblinear", **parameters).fit(*data)


@each_method
def test_missing_values_are_found(method):
    holed = X.copy()
    holed[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        pair(method)[0].fit(holed, Y)


@each_method
@pytest.mark.parametrize("C", [1e-10, 1e10])
def test_separable_rows_and_columns_that_say_nothing(method, C):
    rows = np.column_stack([X[:, :2], np.ones(150), np.zeros(150), X[:, 0]])
    y = rows[:, 0] + rows[:, 1] > 0.1
    model = pair(method, C=C, max_iter=200, random_state=0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, y)
    assert np.isfinite(model.coef_).all()
    assert C < 1.0 or model.score(rows, y) > 0.98


@each_method
def test_cross_validation_finds_what_scikit_learns_does(method):
    given = {
        "solver": "liblinear",
        "Cs": [0.01, 1.0, 10.0],
        "cv": 3,
        "scoring": "neg_log_loss",
        "use_legacy_attributes": False,
        "l1_ratios": (METHODS[method]["l1_ratio"],),
        "dual": method == "dual",
        "tol": 1e-8,
        "max_iter": 100_000,
        "random_state": 0,
    }
    ours = LogisticRegressionCV(**given).fit(X, Y, WEIGHTS)
    theirs = sklearn.linear_model.LogisticRegressionCV(**given).fit(X, Y, WEIGHTS)
    assert ours.C_ == theirs.C_
    assert_allclose(ours.scores_, theirs.scores_, rtol=1e-4)
    assert_allclose(ours.coefs_paths_, theirs.coefs_paths_, rtol=1e-3, atol=1e-4)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-4)
    assert ours.n_iter_.shape == theirs.n_iter_.shape


def test_a_fold_without_one_of_the_classes():
    y = np.r_[np.zeros(100), np.ones(50)]
    folds = [(np.arange(100), np.arange(100, 150))]
    for family in (fastml.linear_model, sklearn.linear_model):
        model = family.LogisticRegressionCV(
            solver="liblinear", cv=folds, l1_ratios=(0.0,), scoring="accuracy", use_legacy_attributes=False
        )
        with pytest.raises(ValueError, match="at least 2 classes"):
            model.fit(X, y)


def test_cuda_is_not_quietly_overruled(monkeypatch):
    monkeypatch.setattr("fastml._config.require_cuda", lambda: None)
    with fastml.config_context(device="cuda"), pytest.raises(RuntimeError, match="runs on the CPU only"):
        LogisticRegression(solver="liblinear").fit(X, Y)
