"""Errors of the ridge estimators and LinearRegression: scikit-learn's, and nothing left behind."""

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_array_equal
from scipy import sparse

import fastml
from fastml.linear_model import LinearRegression, Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV

rng = np.random.default_rng(0)
X = rng.standard_normal((30, 4))
Y = X[:, 0] + rng.standard_normal(30)
LABELS = (Y > 0).astype(int)
REGRESSORS = (LinearRegression(), Ridge(), RidgeCV())
CLASSIFIERS = (RidgeClassifier(), RidgeClassifierCV(), RidgeClassifierCV(cv=3))


def their_error(estimator, *arguments):
    twin = getattr(sklearn.linear_model, type(estimator).__name__)(**estimator.get_params())
    with pytest.raises((ValueError, TypeError)) as caught:
        twin.fit(*arguments)
    # scikit-learn's RidgeCV leaves its input to a class of another name.
    return type(caught.value), str(caught.value).partition("\n")[0].replace("_RidgeGCV", "RidgeCV")


def assert_same_error(estimator, *arguments):
    with pytest.raises((ValueError, TypeError)) as caught:
        estimator.fit(*arguments)
    assert (type(caught.value), str(caught.value).partition("\n")[0]) == their_error(estimator, *arguments)
    assert not [name for name in vars(estimator) if name.endswith("_")]


NAN = np.where(X > 1.5, np.nan, X)
INF = np.where(X > 1.5, np.inf, X)
SPARSE_NAN = sparse.csr_array(NAN)
NAN_ROWS = np.isnan(NAN).any(axis=1)


@pytest.mark.parametrize("estimator", [*REGRESSORS, *CLASSIFIERS], ids=repr)
@pytest.mark.parametrize(
    ("rows", "change"),
    [
        (X, lambda y: y[:-1]),
        (X[:0], lambda y: y[:0]),
        (X[0], lambda y: y),
        (X, lambda y: None),
        (X, lambda y: np.where(y > 0, np.nan, y)),
        (NAN, lambda y: y),
        (INF, lambda y: y),
        (X.astype(complex), lambda y: y),
    ],
    ids=["short y", "no rows", "1-d", "no y", "nan in y", "nan", "inf", "complex"],
)
def test_errors_are_scikit_learns(estimator, rows, change):
    y = Y if estimator in REGRESSORS else LABELS
    assert_same_error(estimator, rows, change(y))


@pytest.mark.parametrize(
    "rows", [X[:0], X[0], NAN, INF, X[:-1]], ids=["no rows", "1-d", "nan", "inf", "short"]
)
def test_errors_with_folds(rows):
    """scikit-learn's are those of its grid search, which names the fits that have failed."""
    model = RidgeCV(cv=3)
    with pytest.raises(ValueError):
        sklearn.linear_model.RidgeCV(cv=3).fit(rows, Y)
    with pytest.raises(ValueError, match=r"NaN|infinity|inconsistent|minimum of 1|Expected 2D"):
        model.fit(rows, Y)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("solver", ["svd", "cholesky", "lsqr", "sparse_cg", "sag", "saga", "gd", "agd"])
@pytest.mark.parametrize(
    "rows", [NAN, INF, NAN[NAN_ROWS][:3], SPARSE_NAN], ids=["nan", "inf", "wide", "sparse"]
)
def test_every_solver_notices_what_is_not_finite(solver, rows):
    if sparse.issparse(rows) and solver in ("svd", "cholesky", "saga"):
        solver = "lsqr"
    model = Ridge(solver=solver)
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        model.fit(rows, Y[: rows.shape[0]])
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    "weight",
    [np.ones(29), np.full(30, np.nan), np.ones((30, 2)), np.zeros(30)],
    ids=["short", "nan", "2-d", "zero"],
)
@pytest.mark.parametrize("estimator", [Ridge(), RidgeClassifier(), LinearRegression(), RidgeCV()], ids=repr)
def test_bad_weights(estimator, weight):
    assert_same_error(estimator, X, LABELS.astype(float), weight)


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        ({"solver": "lbfgs"}, X),
        ({"solver": "svd", "positive": True}, X),
        ({"solver": "svd"}, sparse.csr_array(X)),
        ({"solver": "svd", "fit_intercept": False}, sparse.csr_array(X)),
        ({"solver": "saga"}, sparse.csr_array(X)),
        ({"solver": "no such"}, X),
        ({"alpha": -1.0}, X),
        ({"alpha": [1.0, 2.0]}, X),
        ({"tol": -1.0}, X),
        ({"max_iter": 0}, X),
    ],
    ids=str,
)
def test_bad_parameters(parameters, rows):
    model = Ridge(**parameters)
    with pytest.raises((ValueError, TypeError)) as caught:
        model.fit(rows, Y)
    kind, message = their_error(model, rows, Y)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(message[:40])


@pytest.mark.parametrize("estimator", [LinearRegression(), RidgeClassifier(), RidgeClassifierCV()], ids=repr)
@pytest.mark.parametrize("dtype", ["U32", "S32"])
def test_strings_of_numbers_are_refused_where_scikit_learn_does(estimator, dtype):
    assert_same_error(estimator, X.astype(dtype), LABELS)


@pytest.mark.parametrize("estimator", [Ridge(), RidgeCV()], ids=repr)
def test_strings_of_numbers_are_taken_where_scikit_learn_does(estimator):
    coef = estimator.fit(X.astype("U32"), Y).coef_
    assert_array_equal(coef, estimator.fit(X, Y).coef_)


@pytest.mark.parametrize(
    "convert", [lambda x: (4 * x).astype(int), np.float16, np.longdouble, np.ndarray.tolist]
)
@pytest.mark.parametrize("estimator", [LinearRegression(), RidgeClassifier(), RidgeClassifierCV()], ids=repr)
def test_other_numbers_become_float64(estimator, convert):
    rows = convert(X)
    coef = estimator.fit(rows, LABELS).coef_
    assert coef.dtype == np.float64
    assert_array_equal(coef, estimator.fit(np.array(rows, dtype=np.float64), LABELS).coef_)


@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.coo_matrix])
def test_sparse_targets(estimator, container):
    assert_same_error(estimator, X, container(Y[:, None]))


@pytest.mark.parametrize("solver", ["cholesky", "svd", "lsqr", "lbfgs"])
def test_a_penalty_of_nan(solver):
    with pytest.raises(ValueError, match="alpha must not be NaN"):
        Ridge([np.nan, 1.0], solver=solver, positive=solver == "lbfgs").fit(X, np.c_[X[:, 0], X[:, 0]])


@pytest.mark.parametrize("alphas", [[], (), np.empty(0)], ids=repr)
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("kind", [RidgeCV, RidgeClassifierCV])
def test_no_penalties(kind, cv, alphas):
    with pytest.raises(ValueError, match="alphas must hold one penalty at least"):
        kind(alphas=alphas, cv=cv).fit(X, LABELS)


@pytest.mark.parametrize("kind", [RidgeClassifier, RidgeClassifierCV])
def test_labels_are_no_wider_than_the_longest(kind):
    y = np.where(LABELS, "yes", "no").astype("U30")
    ours, theirs = (each.fit(X, y) for each in (kind(), getattr(sklearn.linear_model, kind.__name__)()))
    assert ours.classes_.dtype == theirs.classes_.dtype == ours.predict(X).dtype == "U3"


@pytest.mark.parametrize("labels", [np.linspace(0.1, 2.3, 30), np.full((30, 2), 3) + np.arange(30)[:, None]])
def test_no_labels(labels):
    assert_same_error(RidgeClassifier(), X, labels)


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = Ridge().fit(X, Y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(NAN[:, :3], Y)
    assert vars(model) == before


@pytest.mark.parametrize("estimator", [Ridge(solver="lsqr"), LinearRegression(), RidgeCV()], ids=repr)
def test_what_has_no_gpu_kernel_is_not_quietly_run_elsewhere(estimator, monkeypatch):
    from fastml import _config

    monkeypatch.setattr(_config, "require_cuda", lambda: None)
    with fastml.config_context(device="cuda"), pytest.raises(RuntimeError, match="runs on the CPU only"):
        estimator.fit(X, Y)


@pytest.mark.parametrize("estimator", [*REGRESSORS, RidgeCV(cv=3), *CLASSIFIERS], ids=repr)
def test_weights_below_zero(estimator):
    weight = np.where(np.arange(len(X)) == 3, -1.0, 1.0)
    with pytest.raises(ValueError, match="Negative values"):
        estimator.fit(X, LABELS, sample_weight=weight)
    assert not [name for name in vars(estimator) if name.endswith("_")]
