"""LogisticRegression beside scikit-learn's: objectives, gradients, kinds of input, what is stored."""

import logging
import warnings

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

import fastml
from fastml.linear_model import LogisticRegression

N_ROWS, N_FEATURES = 200, 10
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
X[_rng.random(X.shape) < 0.4] = 0.0
SCORES = X @ _rng.standard_normal((N_FEATURES, 3)) + 1.5 * _rng.standard_normal((N_ROWS, 3))
CLASSES = {2: (SCORES[:, 0] > 0.3).astype(int), 3: SCORES.argmax(axis=1)}
WEIGHTS = _rng.uniform(0.2, 3.0, N_ROWS) * (_rng.random(N_ROWS) < 0.8)

SOLVERS = {
    "lbfgs": {"tol": 1e-9, "max_iter": 5000},
    "newton-cg": {"tol": 1e-9, "max_iter": 500},
    "newton-cholesky": {"tol": 1e-9, "max_iter": 100},
    "gd": {"tol": 1e-7, "max_iter": 50_000},
    "agd": {"tol": 1e-7, "max_iter": 50_000},
}
STORAGES = {
    "dense": np.asarray,
    "columns": np.asfortranarray,
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "int64 csr": lambda X: with_int64_indices(sparse.csr_array(X)),
}
each_solver = pytest.mark.parametrize("solver", SOLVERS)
each_n_classes = pytest.mark.parametrize("n_classes", CLASSES)


def with_int64_indices(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def objective(model, X, y, weight=None, l1_ratio=0.0):
    """C sum_i weight_i loss_i + penalty, and its gradient by (coef, intercept) but for l1's part."""
    weight = np.ones(len(y)) if weight is None else weight
    coef, intercept = model.coef_.astype(float), model.intercept_.astype(float)
    margins = X @ coef.T + intercept
    if len(coef) == 1:
        margins = np.column_stack([np.zeros(len(y)), margins])
    codes = np.searchsorted(model.classes_, y)
    losses = logsumexp(margins, axis=1) - margins[np.arange(len(y)), codes]
    penalty = 0.5 * (1.0 - l1_ratio) * (coef**2).sum() + l1_ratio * abs(coef).sum()
    slope = np.exp(margins - logsumexp(margins, axis=1)[:, None])
    slope[np.arange(len(y)), codes] -= 1.0
    slope = (slope * weight[:, None])[:, -len(coef) :]
    C = 1.0 if model.C is None else model.C
    inverse = 0.0 if np.isinf(C) else 1.0 / C
    gradient = np.column_stack([slope.T @ X + inverse * (1.0 - l1_ratio) * coef, slope.sum(axis=0)])
    return weight @ losses + inverse * penalty, gradient / weight.sum()


def theirs(**parameters):
    return sklearn.linear_model.LogisticRegression(tol=1e-11, max_iter=20_000, **parameters)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
@each_n_classes
@each_solver
def test_the_optimum_is_scikit_learns(solver, n_classes, C, fit_intercept):
    y = CLASSES[n_classes]
    shared = {"C": C, "fit_intercept": fit_intercept}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = LogisticRegression(solver=solver, **shared, **SOLVERS[solver]).fit(X, y)
    reference = theirs(solver="newton-cholesky", **shared).fit(X, y)
    value, gradient = objective(ours, X, y)
    assert value == pytest.approx(objective(reference, X, y)[0], rel=1e-6)
    gradient = gradient if fit_intercept else gradient[:, :-1]
    assert abs(gradient).max() <= 10 * SOLVERS[solver]["tol"]
    assert ours.coef_.shape == reference.coef_.shape
    assert ours.intercept_.shape == reference.intercept_.shape
    assert_array_equal(ours.classes_, reference.classes_)
    assert (ours.n_iter_.dtype, ours.n_iter_.shape) == (np.int32, (1,))


@each_n_classes
@each_solver
def test_weights_of_rows_and_classes(solver, n_classes):
    y = CLASSES[n_classes]
    shared = {"C": 0.7, "class_weight": "balanced"}
    ours = LogisticRegression(solver=solver, **shared, **SOLVERS[solver]).fit(X, y, WEIGHTS)
    reference = theirs(solver="newton-cholesky", **shared).fit(X, y, WEIGHTS)
    assert_allclose(ours.coef_, reference.coef_, rtol=1e-4, atol=1e-5)
    assert_allclose(ours.intercept_, reference.intercept_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
@each_n_classes
@each_solver
def test_every_storage_gives_the_same(solver, n_classes, storage):
    y = CLASSES[n_classes]
    dense = LogisticRegression(solver=solver, **SOLVERS[solver]).fit(X, y)
    stored = LogisticRegression(solver=solver, **SOLVERS[solver]).fit(STORAGES[storage](X), y)
    assert_allclose(stored.coef_, dense.coef_, rtol=1e-5, atol=1e-6)
    assert_allclose(stored.predict_proba(STORAGES[storage](X)), dense.predict_proba(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@each_n_classes
@each_solver
def test_float32_stays_float32(solver, n_classes, storage):
    y = CLASSES[n_classes]
    X32 = STORAGES[storage](X.astype(np.float32))
    model = LogisticRegression(solver=solver, max_iter=5000).fit(X32, y)
    reference = LogisticRegression(solver=solver, max_iter=5000).fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    assert_allclose(model.coef_, reference.coef_, atol=5e-3)
    assert model.predict_proba(X32).dtype == np.float32


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("seed", range(5))
def test_intercepts_of_float32_classes_do_not_drift_together(seed, C):
    """The multinomial loss does not change where they do, so that rounding alone would move them."""
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((100, 3)) + 1.0).astype(np.float32)
    model = LogisticRegression(C=C, solver="newton-cg", tol=1e-8, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(rows, rng.integers(0, 3, 100))
    assert abs(model.intercept_.mean()) < 1e-5
    assert_allclose(model.coef_.mean(axis=0), 0.0, atol=1e-5)


@each_n_classes
def test_lbfgs_takes_as_many_iterations_as_scikit_learns(n_classes):
    y = CLASSES[n_classes]
    for C in (1e-2, 1.0, 1e2):
        ours = LogisticRegression(C=C).fit(X, y)
        reference = sklearn.linear_model.LogisticRegression(C=C).fit(X, y)
        assert_array_equal(ours.n_iter_, reference.n_iter_)
        assert_allclose(ours.coef_, reference.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("solver", ["sag", "saga"])
@each_n_classes
def test_sag_and_saga_reach_the_optimum(solver, n_classes, storage):
    y = CLASSES[n_classes]
    model = LogisticRegression(solver=solver, C=0.3, tol=1e-9, max_iter=10_000, random_state=0)
    model.fit(STORAGES[storage](X), y, WEIGHTS)
    reference = theirs(solver="newton-cholesky", C=0.3).fit(X, y, WEIGHTS)
    value, gradient = objective(model, X, y, WEIGHTS)
    assert value == pytest.approx(objective(reference, X, y, WEIGHTS)[0], rel=1e-8)
    assert abs(gradient).max() < 1e-5


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("solver", ["gd", "agd", "saga"])
@each_n_classes
def test_solvers_that_take_an_l1_penalty(solver, n_classes, l1_ratio):
    y = CLASSES[n_classes]
    shared = {"C": 0.1, "l1_ratio": l1_ratio}
    stopping = SOLVERS.get(solver, {"tol": 1e-11, "max_iter": 20_000, "random_state": 0})
    ours = LogisticRegression(solver=solver, **shared, **stopping).fit(X, y)
    reference = theirs(solver="saga", random_state=0, **shared).fit(X, y)
    expected, _ = objective(reference, X, y, l1_ratio=l1_ratio)
    assert objective(ours, X, y, l1_ratio=l1_ratio)[0] == pytest.approx(expected, rel=1e-6)
    assert_array_equal(ours.coef_ == 0.0, abs(reference.coef_) < 1e-9)
    assert (ours.coef_ == 0.0).any()


@each_n_classes
@each_solver
def test_a_warm_start_begins_at_the_end(solver, n_classes):
    y = CLASSES[n_classes]
    model = LogisticRegression(solver=solver, warm_start=True, **SOLVERS[solver]).fit(X, y)
    coef = model.coef_.copy()
    model.set_params(tol=1e-4).fit(X, y)
    assert model.n_iter_[0] <= 1
    assert_allclose(model.coef_, coef, atol=1e-6)
    with pytest.raises(ValueError, match="Initialization coef is of shape"):
        model.fit(X[:, :-1], y)
    assert_array_equal(model.coef_.shape, coef.shape)


@each_n_classes
def test_labels_of_any_kind(n_classes):
    y = CLASSES[n_classes]
    names = np.array(["pear", "apple", "fig"])[:n_classes]
    by_code = LogisticRegression().fit(X, y)
    by_name = LogisticRegression().fit(X, names[y])
    assert_array_equal(by_name.classes_, np.sort(names))
    order = np.argsort(names)
    proba = by_code.predict_proba(X)[:, order]
    assert_allclose(by_name.predict_proba(X), proba, atol=1e-4)
    assert set(by_name.predict(X)) <= set(names)
    if n_classes == 2:
        assert_array_equal(LogisticRegression().fit(X, y == 1).coef_, by_code.coef_)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_fit_repeats_bit_for_bit(n_threads):
    with fastml.config_context(n_threads=n_threads):
        first, second = (LogisticRegression().fit(X, CLASSES[3]) for _ in range(2))
    assert_array_equal(first.coef_, second.coef_)
    assert_array_equal(first.intercept_, second.intercept_)


@pytest.mark.parametrize(
    "solver",
    [*SOLVERS, "sag", "saga", "liblinear"],
)
def test_what_ran_where_is_logged(solver, caplog):
    with caplog.at_level(logging.INFO, logger="fastml"):
        LogisticRegression(solver=solver, max_iter=5000).fit(X, CLASSES[2])
    assert [record.message for record in caplog.records] == ["LogisticRegression.fit ran in fastml on cpu"]


def test_no_solver_calls_scikit_learns_fit(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("scikit-learn's solver was called")

    for name in ("_logistic_regression_path", "_fit_liblinear", "sag_solver"):
        monkeypatch.setattr(f"sklearn.linear_model._logistic.{name}", refuse)
    for solver in (*SOLVERS, "sag", "saga", "liblinear"):
        LogisticRegression(solver=solver, max_iter=5000).fit(X, CLASSES[2])


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "gd", "agd"])
def test_progress_is_shown_if_asked_for(solver, capsys):
    LogisticRegression(solver=solver, verbose=1, max_iter=5000).fit(X, CLASSES[2])
    assert "LogisticRegression" in capsys.readouterr().err
    LogisticRegression(solver=solver, max_iter=5000).fit(X, CLASSES[2])
    assert capsys.readouterr().err == ""


@each_solver
def test_max_iter_warns_and_keeps_what_there_is(solver):
    model = LogisticRegression(solver=solver, max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="1 iteration|Increase the number of iterations"):
        model.fit(X, CLASSES[3])
    assert model.n_iter_[0] == 1
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["gd", "agd"])
def test_descent_records_the_objective(solver):
    y = CLASSES[3]
    model = LogisticRegression(solver=solver, **SOLVERS[solver]).fit(X, y)
    assert model.loss_history_.shape == (model.n_iter_[0] + 1,)
    assert model.loss_history_[0] == pytest.approx(np.log(3.0))
    assert model.loss_history_[-1] == pytest.approx(objective(model, X, y)[0] / N_ROWS)
    assert model.loss_history_[-1] == pytest.approx(model.loss_history_.min())
    if solver == "gd":
        assert (np.diff(model.loss_history_) < 1e-12).all()
    assert not hasattr(model.set_params(solver="lbfgs").fit(X, y), "loss_history_")


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0}])
def test_sample_weight_may_be_a_number(class_weight):
    settings = {"class_weight": class_weight, "tol": 1e-9, "max_iter": 1000}
    ours = LogisticRegression(**settings).fit(X, CLASSES[3], 2.5)
    theirs = sklearn.linear_model.LogisticRegression(**settings).fit(X, CLASSES[3], 2.5)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n_classes", [2, 3])
def test_newton_cg_ends_where_float32_does(seed, n_classes):
    """Few rows in float32 have no gradient as small as tol."""
    draw = np.random.default_rng(seed)
    rows, y = draw.standard_normal((12, 3)), np.arange(12) % n_classes
    exact = LogisticRegression(solver="newton-cg", tol=1e-12).fit(rows, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(solver="newton-cg", tol=1e-10).fit(rows.astype(np.float32), y)
    assert model.n_iter_[0] <= 12
    assert_allclose(model.coef_, exact.coef_, atol=1e-6)


@pytest.mark.parametrize("solver", ["sag", "saga"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_columns_without_entries_change_nothing(solver, n_classes):
    """They have no weights, and are left out where they are many; weights that they begin with shrink away."""
    draw = np.random.default_rng(0)
    dense = draw.standard_normal((60, 5)) * (draw.random((60, 5)) < 0.5)
    y = np.arange(60) % n_classes
    wide, places = np.zeros((60, 40)), np.array([3, 4, 17, 30, 38])
    wide[:, places] = dense
    settings = {"solver": solver, "random_state": 0, "max_iter": 500, "tol": 1e-9}
    narrow = LogisticRegression(**settings).fit(sparse.csr_array(dense), y)
    model = LogisticRegression(**settings, warm_start=True).fit(sparse.csr_array(wide), y)
    assert_array_equal(model.coef_[:, places], narrow.coef_)
    assert_array_equal(np.delete(model.coef_, places, axis=1), 0.0)
    assert_array_equal(model.n_iter_, narrow.n_iter_)
    model.coef_[:, [0, 5]] = 1.0
    model.fit(sparse.csr_array(wide), y)
    assert_allclose(model.coef_[:, places], narrow.coef_, atol=1e-6)
    assert_allclose(np.delete(model.coef_, places, axis=1), 0.0, atol=1e-6)
