"""RidgeCV and RidgeClassifierCV: penalties, scores and coefficients beside scikit-learn's."""

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import KFold, LeaveOneOut, ShuffleSplit, cross_val_predict

from fastml.kernels.cpu import glm
from fastml.linear_model import Ridge, RidgeClassifierCV, RidgeCV

rng = np.random.default_rng(0)
TALL, WIDE = rng.standard_normal((20, 5)) + 3.0, rng.standard_normal((9, 14)) + 3.0
ALPHAS = (0.01, 1.0, 7.0)
IRIS = load_iris(return_X_y=True)


def problem(X, n_targets):
    y = rng.standard_normal((len(X), n_targets or 1)) + X[:, :1]
    return (y[:, 0] if n_targets is None else y), rng.uniform(0.1, 2.0, len(X))


def assert_alike(ours, theirs):
    assert_array_equal(ours.alpha_, theirs.alpha_)
    assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-8)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-10)
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-7, atol=1e-9)
    assert np.shape(ours.coef_) == np.shape(theirs.coef_)


@pytest.mark.parametrize("X", [TALL, WIDE, TALL[:5]], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("n_targets", [None, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("gcv_mode", ["eigen", "svd"])
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_leave_one_out(X, n_targets, fit_intercept, gcv_mode, scoring):
    y, weight = problem(X, n_targets)
    settings = {"alphas": ALPHAS, "gcv_mode": gcv_mode, "fit_intercept": fit_intercept, "scoring": scoring}
    settings |= {"store_cv_results": True, "alpha_per_target": n_targets is not None}
    ours = RidgeCV(**settings).fit(X, y, weight)
    theirs = sklearn.linear_model.RidgeCV(**settings).fit(X, y, weight)
    assert_alike(ours, theirs)
    assert_allclose(ours.cv_results_, theirs.cv_results_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("X", [TALL, WIDE], ids=["tall", "wide"])
def test_errors_of_leave_one_out_are_those_of_leaving_out(X):
    """Without scikit-learn's formula: a fit for each row."""
    y, _ = problem(X, None)
    model = RidgeCV(alphas=[0.3], scoring="neg_mean_squared_error", store_cv_results=True).fit(X, y)
    assert_allclose(
        model.cv_results_[:, 0], cross_val_predict(Ridge(alpha=0.3), X, y, cv=LeaveOneOut()), rtol=1e-7
    )


@pytest.mark.parametrize("X", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize("gcv_mode", ["eigen", "svd"])
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_leave_one_out_whatever_the_size_of_rows(X, gcv_mode, scale):
    y, _ = problem(X, None)
    plain, scaled = (
        RidgeCV(alphas=size**2 * np.array(ALPHAS), gcv_mode=gcv_mode, store_cv_results=True).fit(size * X, y)
        for size in (1.0, scale)
    )
    assert_allclose(scaled.cv_results_, plain.cv_results_, rtol=1e-9)
    assert_allclose(scaled.coef_ * scale, plain.coef_, rtol=1e-9)


@pytest.mark.parametrize("X", [TALL, WIDE], ids=["tall", "wide"])
@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "cv", [3, LeaveOneOut(), ShuffleSplit(3, random_state=0), KFold(4, shuffle=True, random_state=1)], ids=str
)
@pytest.mark.parametrize(
    "scoring", ["neg_mean_squared_error", make_scorer(mean_absolute_error)], ids=["mse", "own"]
)
def test_folds(X, n_targets, fit_intercept, cv, scoring):
    y, weight = problem(X, n_targets)
    settings = {"alphas": ALPHAS, "cv": cv, "fit_intercept": fit_intercept, "scoring": scoring}
    ours = RidgeCV(**settings).fit(X, y, weight)
    theirs = sklearn.linear_model.RidgeCV(**settings).fit(X, y, weight)
    assert_alike(ours, theirs)


def test_a_scorer_of_the_users_is_given_a_model_and_rows():
    def few_large_coefficients(model, X, y):
        assert X.shape == (len(y), model.coef_.shape[0])
        return -np.abs(model.coef_).max() - np.mean((model.predict(X) - y) ** 2)

    for X in (TALL, WIDE):
        y, _ = problem(X, None)
        settings = {"alphas": ALPHAS, "cv": 3, "scoring": few_large_coefficients}
        assert_alike(RidgeCV(**settings).fit(X, y), sklearn.linear_model.RidgeCV(**settings).fit(X, y))


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("X", [TALL, WIDE], ids=["tall", "wide"])
def test_sparse_rows(X, cv):
    rows = np.where(X > 3.5, X, 0.0)
    y, weight = problem(X, None)
    ours = RidgeCV(alphas=ALPHAS, cv=cv).fit(sparse.csr_array(rows), y, weight)
    theirs = sklearn.linear_model.RidgeCV(alphas=ALPHAS, cv=cv).fit(rows, y, weight)
    assert_alike(ours, theirs)


def test_sparse_rows_of_many_features_go_through_shared_passes(monkeypatch):
    rows = sparse.random_array((60, 2500), density=0.01, rng=0, format="csr")
    y = rng.standard_normal(60)
    calls, product = [], glm.hessian_product
    monkeypatch.setattr(
        glm,
        "hessian_product",
        lambda data, rule, models, *rest: (
            calls.append(int(models["active"].sum())),
            product(data, rule, models, *rest),
        ),
    )
    ours = RidgeCV(alphas=ALPHAS, cv=4).fit(rows, y)
    theirs = sklearn.linear_model.RidgeCV(alphas=ALPHAS, cv=4).fit(rows.toarray(), y)
    assert max(calls) == 12  # four folds, three penalties
    assert ours.alpha_ == theirs.alpha_
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)


def test_x_is_read_once_for_all_penalties_and_folds(monkeypatch):
    y, _ = problem(TALL, None)
    taken, moments = [], glm.moments
    monkeypatch.setattr(
        glm,
        "moments",
        lambda data, shift, out, weighting=-1, rows=None, exact=False: (
            taken.extend(range(len(TALL)) if rows is None else rows),
            moments(data, shift, out, weighting, rows, exact),
        ),
    )
    RidgeCV(alphas=np.logspace(-3, 3, 10), cv=5).fit(TALL, y)
    assert sorted(taken) == list(range(len(TALL)))


@pytest.mark.parametrize("cv", [None, 5])
@pytest.mark.parametrize("scoring", [None, "accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("class_weight", [None, {0: 2.0, 1: 1.0, 2: 0.2}])
def test_classifier(cv, scoring, class_weight):
    settings = {"alphas": ALPHAS, "cv": cv, "scoring": scoring, "class_weight": class_weight}
    ours = RidgeClassifierCV(**settings).fit(*IRIS)
    theirs = sklearn.linear_model.RidgeClassifierCV(**settings).fit(*IRIS)
    assert_alike(ours, theirs)
    assert_array_equal(ours.predict(IRIS[0]), theirs.predict(IRIS[0]))


@pytest.mark.parametrize("cv", [None, 3])
def test_one_class_without_an_intercept_is_scored(cv):
    model = RidgeClassifierCV(ALPHAS, fit_intercept=False, scoring="accuracy", cv=cv).fit(
        -TALL, ["a"] * len(TALL)
    )
    expected = sklearn.linear_model.RidgeClassifierCV(ALPHAS, fit_intercept=False).fit(
        -TALL, ["a"] * len(TALL)
    )
    assert model.best_score_ == 1.0
    assert model.coef_.shape == expected.coef_.shape


def test_two_classes_are_scored_by_their_own_labels():
    """scikit-learn's leave-one-out takes every row for class 0, and every prediction for right."""
    X, y = IRIS[0][50:], np.array(["a", "b"])[IRIS[1][50:] - 1]
    model = RidgeClassifierCV(scoring="accuracy").fit(X, y)
    assert 0.9 < model.best_score_ < 1.0
    assert RidgeClassifierCV(scoring="roc_auc", cv=5).fit(X, y).best_score_ > 0.95


@pytest.mark.parametrize("cv", [None, 3])
def test_classifier_of_several_labels(cv):
    labels = np.column_stack([IRIS[1] == 0, IRIS[1] == 2]).astype(int)
    shuffled = rng.permutation(150)
    settings = {"alphas": ALPHAS, "cv": cv}
    ours = RidgeClassifierCV(**settings).fit(IRIS[0][shuffled], labels[shuffled])
    theirs = sklearn.linear_model.RidgeClassifierCV(**settings).fit(IRIS[0][shuffled], labels[shuffled])
    assert_alike(ours, theirs)
    assert_array_equal(ours.predict(IRIS[0]), theirs.predict(IRIS[0]))


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("estimator", [RidgeCV, RidgeClassifierCV])
def test_one_weight_for_all_rows(estimator, cv):
    X, y = IRIS
    given = estimator(ALPHAS, cv=cv).fit(X, y, 2.0)
    spelled_out = estimator(ALPHAS, cv=cv).fit(X, y, np.full(len(X), 2.0))
    assert given.alpha_ == spelled_out.alpha_
    assert_array_equal(given.coef_, spelled_out.coef_)


@pytest.mark.parametrize("n_targets", [None, 1, 2])
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
@pytest.mark.parametrize("alpha_per_target", [True, False])
def test_best_score_is_of_scikit_learns_type_and_shape(n_targets, scoring, alpha_per_target):
    if n_targets is None and scoring and alpha_per_target:
        pytest.skip("scikit-learn raises IndexError")
    y, _ = problem(TALL, n_targets)
    settings = {"scoring": scoring, "alpha_per_target": alpha_per_target}
    ours = RidgeCV(**settings).fit(TALL, y)
    theirs = sklearn.linear_model.RidgeCV(**settings).fit(TALL, y)
    assert type(ours.best_score_) is type(theirs.best_score_)
    assert np.shape(ours.best_score_) == np.shape(theirs.best_score_)
    assert_alike(ours, theirs)


@pytest.mark.parametrize("gcv_mode", ["auto", "eigen"])
@pytest.mark.parametrize(
    "X",
    [TALL + 1e8, np.column_stack([TALL, np.full(20, 1e8)]), np.column_stack([WIDE, np.full(9, 1e8)])],
    ids=["far from 0", "tall", "wide"],
)
def test_leave_one_out_where_products_have_not_the_digits(X, gcv_mode):
    """Penalties far below what rounding makes of the products: eigenvalues of 0 would be noise."""
    y, _ = problem(X - X[0], None)
    wanted = []
    for alpha in ALPHAS:
        errors = []
        for left_out in range(len(X)):
            kept = np.arange(len(X)) != left_out
            augmented = np.concatenate([X[kept], np.sqrt(alpha) * np.eye(X.shape[1])])
            coef = np.linalg.lstsq(augmented, np.append(y[kept], np.zeros(X.shape[1])), rcond=0.0)[0]
            errors.append(y[left_out] - X[left_out] @ coef)
        wanted.append(-np.mean(np.square(errors)))
    model = RidgeCV(ALPHAS, fit_intercept=False, gcv_mode=gcv_mode).fit(X, y)
    assert model.alpha_ == ALPHAS[np.argmax(wanted)]
    assert_allclose(model.best_score_, max(wanted), rtol=1e-6)
