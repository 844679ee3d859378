"""Ridge and RidgeClassifier: the optimum, found by every solver, beside scikit-learn's."""

import logging
import sys
import tracemalloc

import numpy as np
import pytest
import sklearn.linear_model
from fresh_interpreter import output_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris

import fastml
from fastml.kernels.glm_data import Data
from fastml.linear_model import Ridge, RidgeClassifier
from fastml.solvers import least_squares
from fastml.solvers.least_squares import Rows

N_ROWS, N_FEATURES = 120, 7
rng = np.random.default_rng(0)
X = rng.standard_normal((N_ROWS, N_FEATURES)) * np.array([1.0, 3.0, 0.3, 1.0, 1.0, 2.0, 1.0]) + 0.5
Y = X @ rng.standard_normal((N_FEATURES, 3)) + rng.standard_normal((N_ROWS, 3)) + 4.0
WEIGHT = rng.uniform(0.0, 2.0, N_ROWS)
WEIGHT[::9] = 0.0
ALPHAS = np.array([0.1, 1.0, 30.0])
WIDE = rng.standard_normal((9, 14)) + 2.0

# Tolerances that are met, where a solver has one.
TIGHT = {
    "svd": {},
    "cholesky": {},
    "lsqr": {"tol": 1e-12},
    "sparse_cg": {"tol": 1e-12},
    "sag": {"tol": 1e-10, "max_iter": 20_000, "random_state": 0},
    "saga": {"tol": 1e-10, "max_iter": 20_000, "random_state": 0},
    "gd": {"tol": 1e-9, "max_iter": 50_000},
    "agd": {"tol": 1e-9, "max_iter": 50_000},
}
each_solver = pytest.mark.parametrize("solver", TIGHT)


def gradient(model, X, y, weight=None, alpha=None):
    """Of half the objective, by coefficients and intercept, for each target; and the objective's halves."""
    alpha = model.alpha if alpha is None else alpha
    coef, y = np.atleast_2d(model.coef_), y.reshape(len(y), -1)
    weight = np.ones(len(X)) if weight is None else weight
    residual = (X @ coef.T + model.intercept_ - y) * weight[:, None]
    value = 0.5 * np.sum(residual * (X @ coef.T + model.intercept_ - y), axis=0)
    by_coef = residual.T @ X + np.reshape(alpha, (-1, 1)) * coef
    by_intercept = residual.sum(axis=0) if model.fit_intercept else np.zeros(len(coef))
    return by_coef, by_intercept, value + 0.5 * alpha * np.sum(coef**2, axis=1)


def assert_optimal(model, X, y, weight=None, off=1e-6):
    """No gradient is left, measured by that at zero."""
    start = Ridge(alpha=model.alpha, fit_intercept=model.fit_intercept)
    start.coef_, start.intercept_ = np.zeros((y.reshape(len(y), -1).shape[1], X.shape[1])), 0.0
    at_zero = np.abs(gradient(start, X, y, weight)[0]).max()
    by_coef, by_intercept, _ = gradient(model, X, y, weight)
    assert np.abs(by_coef).max() < off * at_zero
    assert np.abs(by_intercept).max() < off * at_zero


@each_solver
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_every_solver_finds_the_optimum(solver, fit_intercept, weight):
    settings = {"alpha": ALPHAS, "fit_intercept": fit_intercept}
    model = Ridge(**settings, solver=solver, **TIGHT[solver]).fit(X, Y, weight)
    wanted = sklearn.linear_model.Ridge(**settings, solver="svd").fit(X, Y, weight)
    assert_optimal(model, X, Y, weight)
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-5, atol=1e-6)
    assert_allclose(model.intercept_, wanted.intercept_, rtol=1e-5)
    assert_allclose(gradient(model, X, Y, weight)[2], gradient(wanted, X, Y, weight)[2], rtol=1e-6)
    assert model.solver_ == solver


@pytest.mark.parametrize("solver", ["svd", "cholesky", "lsqr", "sparse_cg", "agd"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_more_features_than_rows(solver, fit_intercept):
    y = Y[: len(WIDE), 0]
    settings = {"alpha": 0.5, "fit_intercept": fit_intercept}
    model = Ridge(**settings, solver=solver, **TIGHT[solver]).fit(WIDE, y, WEIGHT[1:10])
    wanted = sklearn.linear_model.Ridge(**settings, solver="svd").fit(WIDE, y, WEIGHT[1:10])
    assert_optimal(model, WIDE, y, WEIGHT[1:10])
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:Singular matrix")
@pytest.mark.parametrize("solver", ["cholesky", "svd"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_more_features_than_rows_of_many_sizes(solver, fit_intercept):
    """Without a penalty the rows are met, whatever their condition."""
    rng = np.random.default_rng(0)
    rows, y = rng.standard_normal((25, 28)) * 10.0 ** rng.integers(-6, 7, 28), rng.standard_normal(25)
    model = Ridge(0.0, solver=solver, fit_intercept=fit_intercept).fit(rows, y)
    assert_allclose(model.predict(rows), y, atol=1e-3)


@pytest.mark.parametrize("weight", [None, WEIGHT[1:31]], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize(
    ("scale", "alpha", "by_float32"),
    [(1.0, 1.0, True), (1.0, 1e-6, False), (1e-18, 1e-34, False), (1e19, 1e36, False)],
    ids=["as a rule", "ill-conditioned", "small", "large"],
)
def test_products_of_float32_rows(monkeypatch, weight, mean, scale, alpha, by_float32):
    """In float32, but where that has not the digits, or not the range."""
    rng = np.random.default_rng(0)
    of = monkeypatch.setattr
    taken = []
    dense = least_squares._products._of_dense
    of(least_squares._products, "_of_dense", lambda *given: taken.append(given[-1]) or dense(*given))
    rows = ((rng.standard_normal((30, 31)) + mean) * scale).astype(np.float32)
    y = rng.standard_normal(30)
    ours = Ridge(alpha, solver="cholesky").fit(rows, y, weight)
    theirs = sklearn.linear_model.Ridge(alpha / scale**2, solver="svd").fit(
        rows.astype(float) / scale, y, weight
    )
    assert_allclose(ours.coef_ * scale, theirs.coef_, rtol=1e-3, atol=1e-4 * np.abs(theirs.coef_).max())
    assert taken == [np.float32] if by_float32 else taken == [np.float32, np.float64]


@pytest.mark.parametrize("solver", ["lsqr", "sparse_cg", "sag", "gd", "cholesky", "saga"])
@pytest.mark.parametrize("n_rows", [N_ROWS, 5])
def test_sparse_rows(solver, n_rows):
    """Those solvers that scikit-learn has for sparse rows with intercept, and without."""
    fit_intercept = solver not in ("cholesky", "saga")
    rows = np.where(np.abs(X) < 0.5, 0.0, X)[:n_rows]
    model = Ridge(solver=solver, fit_intercept=fit_intercept, **TIGHT[solver])
    model.fit(sparse.csr_array(rows), Y[:n_rows], WEIGHT[:n_rows])
    assert_optimal(model, rows, Y[:n_rows], WEIGHT[:n_rows])


@pytest.mark.filterwarnings("ignore:The lbfgs solver did not converge")
def test_positive_coefficients_of_collinear_columns_stay_finite():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = (rng.standard_normal((40, 3)) @ rng.standard_normal((3, 9))).astype(np.float32)
        target = rng.standard_normal(40)
        model = Ridge(0.0, solver="lbfgs", positive=True, tol=0.0).fit(rows, target)
        residual = target - model.predict(rows)
        assert model.coef_.min() >= 0.0
        assert residual @ residual <= 1.001 * 40 * target.var()


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "gd", "agd"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_positive_coefficients(solver, storage):
    """At the optimum the gradient is zero for coefficients above zero, and not negative for those at zero."""
    model = Ridge(solver=solver, positive=True, tol=1e-10, max_iter=50_000).fit(storage(X), Y[:, 0])
    by_coef, by_intercept, _ = gradient(model, X, Y[:, 0])
    inside = model.coef_ > 0.0
    assert 0 < inside.sum() < N_FEATURES
    assert (model.coef_ >= 0.0).all()
    scale = np.abs(X.T @ Y[:, 0]).max()
    assert np.abs(by_coef[0, inside]).max() < 1e-6 * scale
    assert by_coef[0, ~inside].min() > -1e-6 * scale
    assert abs(by_intercept[0]) < 1e-6 * scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["cholesky", "svd", "sparse_cg", "lsqr"])
def test_means_a_thousand_times_the_spread(solver, dtype):
    """Float32 rows too lose no digits to their mean; the sample that is first centred on may mislead."""
    rows = rng.standard_normal((3000, 4))
    rows[::3] -= 3.0  # every third row is what a sample of them sees
    shifted = (rows + 5000.0).astype(dtype)
    exact = shifted.astype(np.float64) - 5000.0
    y = rows @ [1.0, -2.0, 0.5, 3.0] + rng.standard_normal(3000)
    model = Ridge(solver=solver, tol=1e-10).fit(shifted, y)
    wanted = sklearn.linear_model.Ridge().fit(exact, y)
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-5)


def test_a_sample_that_misleads_costs_a_pass_and_no_digits():
    """The rows of the sample are those with numbers divisible by 3: theirs is another mean altogether."""
    rows = rng.standard_normal((3000, 3)).astype(np.float32)
    rows[np.arange(3000) % 3 != 0] += 1e5
    y = rows[:, 0] + rng.standard_normal(3000)
    model = Ridge().fit(rows[np.arange(3000) % 3 != 0], y[np.arange(3000) % 3 != 0])
    kept = (rows[np.arange(3000) % 3 != 0]).astype(np.float64)
    wanted = sklearn.linear_model.Ridge().fit(kept, y[np.arange(3000) % 3 != 0])
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_collinear_and_constant_columns(dtype):
    """The normal equations are singular: singular values take over, and split the weight evenly."""
    rows = np.column_stack([X[:, :2], X[:, 0], np.full(N_ROWS, 7.0)]).astype(dtype)
    model = Ridge(alpha=0.0).fit(rows, Y[:, 0])
    assert model.solver_ == "svd"
    assert model.coef_[0] == pytest.approx(model.coef_[2], rel=1e-4)
    assert model.coef_[3] == pytest.approx(0.0, abs=1e-6)
    ordinary = sklearn.linear_model.LinearRegression().fit(X[:, :2], Y[:, 0])
    assert_allclose(model.predict(rows), ordinary.predict(X[:, :2]), rtol=1e-4)


@pytest.mark.parametrize("alpha", [1e-10, 1e10])
@pytest.mark.parametrize("solver", ["cholesky", "svd", "lsqr", "sparse_cg"])
def test_extreme_penalties(solver, alpha):
    model = Ridge(alpha=alpha, solver=solver, **TIGHT[solver]).fit(X, Y)
    wanted = sklearn.linear_model.Ridge(alpha=alpha, solver="svd").fit(X, Y)
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-6, atol=1e-15)


def test_several_threads_and_one_agree_and_repeat():
    rows = rng.standard_normal((20_000, 40)).astype(np.float32)
    y = rows[:, 0] - rows[:, 1]
    found = []
    for n_threads in (1, 2, 2):
        with fastml.config_context(n_threads=n_threads):
            found.append(Ridge().fit(rows, y).coef_)
    assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-7)
    assert_array_equal(found[1], found[2])


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_large_problems_go_to_the_kernel_in_pieces(storage, monkeypatch):
    from fastml.solvers.least_squares import _moments

    labels = Y.argmax(axis=1)
    wanted = [Ridge(fit_intercept=False, solver="cholesky").fit(storage(X), Y, WEIGHT).coef_]
    wanted += [RidgeClassifier(fit_intercept=False, solver="cholesky").fit(storage(X), labels).coef_]
    monkeypatch.setattr(_moments, "WORK_PER_CALL", 2000)
    found = [Ridge(fit_intercept=False, solver="cholesky").fit(storage(X), Y, WEIGHT).coef_]
    found += [RidgeClassifier(fit_intercept=False, solver="cholesky").fit(storage(X), labels).coef_]
    for coef, other in zip(found, wanted, strict=True):
        assert_allclose(coef, other, rtol=1e-10)


@pytest.mark.parametrize("solver", ["gd", "agd"])
def test_descent_records_its_losses(solver):
    model = Ridge(solver=solver, tol=1e-8, max_iter=5000).fit(X, Y[:, 0])
    assert model.loss_history_.shape == (model.n_iter_[0] + 1,)
    assert model.loss_history_[-1] == pytest.approx(gradient(model, X, Y[:, 0])[2][0] / N_ROWS)
    several = Ridge(solver=solver, tol=1e-8, max_iter=5000).fit(X, Y)
    assert [len(history) - 1 for history in several.loss_history_] == several.n_iter_.tolist()
    assert not hasattr(several.set_params(solver="cholesky").fit(X, Y), "loss_history_")


@pytest.mark.parametrize("solver", ["gd", "agd"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_descent_is_no_slower_for_a_mean(solver, storage):
    counts = [
        Ridge(solver=solver, tol=1e-6, max_iter=5000)
        .fit(storage(X - X.mean(axis=0) + mean), Y[:, 0])
        .n_iter_[0]
        for mean in (0.0, 30.0)
    ]
    assert counts[1] <= counts[0] + 5


def test_x_is_neither_written_to_nor_copied(monkeypatch):
    rows = X.copy()
    rows.flags.writeable = False
    Ridge().fit(rows, Y)
    assert_array_equal(rows, X)
    # The kernel reads the caller's array.
    from fastml.kernels.cpu import glm

    seen, moments = [], glm.moments
    monkeypatch.setattr(glm, "moments", lambda data, *rest: (seen.append(data.X), moments(data, *rest))[1])
    Ridge().fit(rows, Y)
    assert [np.shares_memory(given, rows) for given in seen] == [True]


@pytest.mark.parametrize("solver", ["sag", "saga"])
def test_large_rows_are_not_copied_by_stochastic_solvers(solver, monkeypatch):
    """The intercept is then one more weight; small rows are centred."""
    from fastml.linear_model import _ridge_fit

    monkeypatch.setattr(_ridge_fit, "SMALL_BYTES", 0)
    monkeypatch.setattr(_ridge_fit, "_centred_copy", None)
    assert_optimal(
        Ridge(alpha=ALPHAS, solver=solver, **TIGHT[solver]).fit(X, Y, WEIGHT), X, Y, WEIGHT, off=1e-5
    )


def test_copy_x_false_centres_in_place():
    rows = X.copy()
    model = Ridge(copy_X=False).fit(rows, Y, WEIGHT)
    assert_allclose(WEIGHT @ rows, 0.0, atol=1e-10)
    wanted = sklearn.linear_model.Ridge().fit(X, Y, WEIGHT)
    assert_allclose(model.coef_, wanted.coef_)
    assert_allclose(model.intercept_, wanted.intercept_)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_of_a_fit():
    """48 MB of rows; a copy of them would show."""
    code = """
import numpy as np
from pathlib import Path
from fastml.linear_model import LinearRegression, Ridge, RidgeCV
X = np.random.default_rng(0).standard_normal((120_000, 100), dtype="f")
y = X[:, 0].copy()
def peak():
    return [int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")][0]
for model in (Ridge(), RidgeCV(cv=3), RidgeCV(), LinearRegression(), Ridge(solver="agd")):
    model.fit(X[:1000], y[:1000])
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    model.fit(X, y)
    print((peak() - before) // 1024)
"""
    rises = [int(rise) for rise in output_of(code).split()]
    assert len(rises) == 5
    assert max(rises) < 40


IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize("solver", ["auto", "svd", "lsqr", "sparse_cg", "sag", "agd"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier(solver, class_weight, n_classes):
    rows, y = IRIS[0][: 50 * n_classes] - 3.0, np.array(["c", "a", "b"])[IRIS[1]][: 50 * n_classes]
    names = {"c": 3.0, "a": 1.0, "b": 0.5} if class_weight == {} else class_weight
    if isinstance(names, dict) and n_classes == 2:
        del names["b"]
    tight = TIGHT.get(solver, {})
    model = RidgeClassifier(solver=solver, class_weight=names, **tight).fit(
        rows, y, WEIGHT[:1].repeat(len(y)) + 1
    )
    wanted = sklearn.linear_model.RidgeClassifier(class_weight=names)
    wanted.fit(rows, y, WEIGHT[:1].repeat(len(y)) + 1)
    assert model.coef_.shape == wanted.coef_.shape
    assert_allclose(model.coef_, wanted.coef_, rtol=1e-4, atol=1e-5)
    assert_allclose(model.intercept_, wanted.intercept_, rtol=1e-4, atol=1e-5)
    assert_array_equal(model.predict(rows), wanted.predict(rows))
    assert_array_equal(model.classes_, wanted.classes_)


def test_classifier_of_several_labels():
    labels = (Y - Y.mean(axis=0) > 0).astype(int)
    model = RidgeClassifier().fit(X, labels)
    wanted = sklearn.linear_model.RidgeClassifier().fit(X, labels)
    assert_allclose(model.coef_, wanted.coef_)
    assert_array_equal(model.predict(X), wanted.predict(X))


def test_what_ran_is_logged(caplog):
    caplog.set_level(logging.INFO, logger="fastml")
    Ridge().fit(X, Y)
    assert [record.getMessage() for record in caplog.records] == ["Ridge.fit ran in fastml on cpu"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 20), (20, 300)], ids=["tall", "wide"])
def test_lsqr_of_few_rows_factorises_nothing(monkeypatch, shape, dtype):
    rows = (np.random.default_rng(1).standard_normal(shape) + 3.0).astype(dtype)
    y = rows[:, 0] + 0.5
    exact = Ridge(solver="svd").fit(rows.astype(float), y)
    monkeypatch.setattr("fastml.solvers.least_squares.factors", None)
    model = Ridge(solver="lsqr", tol=1e-12).fit(rows, y)
    assert_allclose(model.coef_, exact.coef_, rtol=1e-4, atol=1e-5)


@pytest.fixture
def many_rows(monkeypatch):
    """What LSQR would copy is what it goes over where it lies."""
    monkeypatch.setattr("fastml.solvers.least_squares._rows.FEW_BYTES", 0)
    monkeypatch.setattr("fastml.solvers.least_squares._lsqr_passes.PASS_BYTES", 2**12)
    monkeypatch.setattr("fastml.solvers.least_squares._lsqr_passes.FLOAT32_ROWS", 16)


@pytest.mark.parametrize("shape", [(200, 20), (20, 200)])
@pytest.mark.parametrize("mean", [0.0, 1.0, 1e4])
@pytest.mark.parametrize(
    ("dtype", "tol", "off"), [("f8", 1e-12, 1e-9), ("f4", 1e-10, 1e-6), ("f4", 1e-4, 1e-3)]
)
@pytest.mark.parametrize("weight", [None, np.linspace(0.0, 2.0, 200)], ids=["plain", "weighted"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_lsqr_over_rows_where_they_lie(many_rows, shape, mean, dtype, tol, off, weight, fit_intercept):
    rows = (np.random.default_rng(5).standard_normal(shape) + mean).astype(dtype)
    if not fit_intercept:
        rows -= np.dtype(dtype).type(mean)
    y = rows[:, 0].astype("f8") - mean + rows[:, 1:3].astype("f8").sum(axis=1) - 2 * mean + 3.0
    weight = None if weight is None else weight[: shape[0]]
    model = Ridge(solver="lsqr", tol=tol, fit_intercept=fit_intercept).fit(rows, y, weight)
    exact = Ridge(solver="svd", fit_intercept=fit_intercept).fit(rows.astype("f8"), y, weight)
    assert_allclose(model.coef_, exact.coef_, rtol=0, atol=off * abs(exact.coef_).max())
    predicted = exact.predict(rows)
    rounding = 10 * mean * np.finfo(dtype).eps
    assert_allclose(model.predict(rows), predicted, rtol=0, atol=10 * off * abs(predicted).max() + rounding)
    assert 1 <= model.n_iter_[0] <= 60


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("y", [np.zeros(50), np.arange(50.0)], ids=["constant", "slope"])
def test_lsqr_over_rows_that_are_not_finite(many_rows, value, dtype, fit_intercept, y):
    rows = np.random.default_rng(5).standard_normal((50, 4)).astype(dtype)
    rows[3, 2] = value
    with pytest.raises(ValueError, match="Input X contains"):
        Ridge(solver="lsqr", fit_intercept=fit_intercept).fit(rows, y)


@pytest.mark.parametrize("shape", [(100, 20), (20, 60)])
@pytest.mark.parametrize("n_targets", [1, 2, 9])
def test_lsqr_of_many_targets_gives_the_same_after_a_factorisation(many_rows, monkeypatch, shape, n_targets):
    factorised = []
    factors = least_squares.factors
    monkeypatch.setattr(least_squares, "factors", lambda rows: factorised.append(rows) or factors(rows))
    rows = np.random.default_rng(4).standard_normal(shape)
    y = rows[:, :n_targets] + rows[:, -1:] ** 2
    many = Ridge(solver="lsqr", tol=1e-12).fit(rows, y)
    assert bool(factorised) == (n_targets > 1)
    for k in range(n_targets):
        one = Ridge(solver="lsqr", tol=1e-12).fit(rows, y[:, k])
        assert_allclose(np.atleast_2d(many.coef_)[k], one.coef_, rtol=1e-8, atol=1e-9)


def test_a_centred_block_is_one_allocation():
    rows = Rows(Data(np.ones((200, 1000), np.float32), np.zeros((1, 200))), 1, True, "cpu")
    mean, size = np.ones(1000), 8 * 200 * 1000
    for centred in (lambda: next(rows.columns(mean))[1], lambda: rows.block(slice(None), mean)):
        tracemalloc.start()
        assert not centred().any()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.5 * size
