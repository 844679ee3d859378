"""LogisticRegressionCV beside scikit-learn's: what is chosen, what is stored, and that folds share passes."""

import logging
import warnings

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, KFold, RepeatedStratifiedKFold

from fastml.kernels.cpu import glm
from fastml.linear_model import LogisticRegression, LogisticRegressionCV

PROBLEMS = {
    n_classes: make_classification(
        150, 8, n_informative=5, n_classes=n_classes, flip_y=0.2, random_state=n_classes
    )
    for n_classes in (2, 3)
}
WEIGHTS = np.random.default_rng(0).uniform(0.2, 2.0, 150)
GRID = {"Cs": [1e-2, 1.0, 10.0], "cv": 3, "l1_ratios": (0,), "use_legacy_attributes": False}
each_n_classes = pytest.mark.parametrize("n_classes", PROBLEMS)


def twins(**parameters):
    parameters = {**GRID, "scoring": "neg_log_loss", "tol": 1e-8, "max_iter": 2000, **parameters}
    return LogisticRegressionCV(**parameters), sklearn.linear_model.LogisticRegressionCV(**parameters)


def compare(ours, theirs, rtol=1e-4, atol=1e-5):
    """All fitted attributes, of the same shapes and kinds, close to each other; searches may take other paths."""
    names = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(ours) if name.endswith("_")} == names
    for name in names - {"n_iter_"}:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert type(a) is type(b)
        if isinstance(b, dict):
            assert list(a) == list(b)
            a, b = list(a.values()), list(b.values())
        if np.asarray(b).dtype.kind in "OUS":
            assert_array_equal(a, b)
        else:
            assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)
    assert (ours.n_iter_.shape, ours.n_iter_.dtype) == (theirs.n_iter_.shape, theirs.n_iter_.dtype)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky"])
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("l1_ratios", [None, (0.0,)])
@each_n_classes
@pytest.mark.filterwarnings("ignore:'l1_ratios=None'")
def test_what_is_fitted_is_scikit_learns(n_classes, l1_ratios, legacy, solver):
    X, y = PROBLEMS[n_classes]
    ours, theirs = twins(solver=solver, l1_ratios=l1_ratios, use_legacy_attributes=legacy)
    ours.fit(X, y)
    theirs.fit(X, y)
    compare(ours, theirs)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"refit": False},
        {"fit_intercept": False},
        {"class_weight": "balanced"},
        {"class_weight": {0: 1.0, 1: 3.0}},
        {"scoring": "accuracy"},
        {"scoring": None},
        {"scoring": "neg_brier_score"},
        {"scoring": lambda model, X, y: float(np.mean(model.predict(X) == y))},
        {"Cs": 3},
        {"cv": None},
        {"cv": KFold(4, shuffle=True, random_state=0)},
        {"cv": RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)},
        {"cv": [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(100), np.arange(100, 150))]},
        {"cv": [(np.arange(150) < 110, np.arange(150) >= 110)]},
        {"cv": [(np.repeat(np.arange(120), 2), np.arange(120, 150))]},
        {"refit": False, "use_legacy_attributes": True, "fit_intercept": False},
    ],
    ids=lambda parameters: " ".join(parameters),
)
@each_n_classes
def test_parameters(n_classes, parameters):
    X, y = PROBLEMS[n_classes]
    ours, theirs = twins(**parameters)
    compare(ours.fit(X, y), theirs.fit(X, y))


@pytest.mark.parametrize("scoring", ["neg_log_loss", None])
@each_n_classes
def test_sample_weights(n_classes, scoring):
    X, y = PROBLEMS[n_classes]
    ours, theirs = twins(scoring=scoring, class_weight="balanced")
    compare(ours.fit(X, y, sample_weight=WEIGHTS), theirs.fit(X, y, sample_weight=WEIGHTS))


@pytest.mark.parametrize("solver", ["saga", "agd"])
@each_n_classes
def test_shares_of_l1(n_classes, solver):
    X, y = PROBLEMS[n_classes]
    shared = {"l1_ratios": [0.0, 0.5, 1.0], "Cs": [0.05, 0.5], "cv": 2, "random_state": 0}
    ours, theirs = twins(**shared, solver="saga", tol=1e-6, max_iter=5000)
    ours.set_params(solver=solver).fit(X, y)
    compare(ours, theirs.fit(X, y), rtol=1e-3, atol=1e-3)


def test_groups_reach_the_splitter():
    X, y = PROBLEMS[2]
    with sklearn.config_context(enable_metadata_routing=True):
        ours, theirs = twins(cv=GroupKFold(3).set_split_request(groups=True))
        groups = np.arange(150) % 5
        compare(ours.fit(X, y, groups=groups), theirs.fit(X, y, groups=groups))


def test_sparse_rows_and_float32():
    X, y = PROBLEMS[3]
    dense = twins()[0].fit(X, y)
    compare(twins()[0].fit(sparse.csr_matrix(X), y), dense)
    single = twins(tol=1e-5)[0].fit(X.astype(np.float32), y)
    compare(single, dense, rtol=1e-2, atol=1e-2)


def test_every_fold_is_logistic_regression_on_its_rows():
    X, y = PROBLEMS[3]
    folds = list(KFold(3).split(X))
    model = twins(cv=folds)[0].fit(X, y)
    for k, (train, _) in enumerate(folds):
        for j, C in enumerate(GRID["Cs"]):
            alone = LogisticRegression(C=C, tol=1e-9, max_iter=2000).fit(X[train], y[train])
            assert_allclose(model.coefs_paths_[k, 0, j, :, :-1], alone.coef_, rtol=1e-4, atol=1e-5)
            assert_allclose(model.coefs_paths_[k, 0, j, :, -1], alone.intercept_, rtol=1e-4, atol=1e-4)


def test_folds_share_their_passes(monkeypatch):
    X, y = PROBLEMS[3]
    evaluate, n_active = glm.evaluate, []

    def counted(data, rule, models, *arguments):
        n_active.append(int(models["active"].sum()))
        assert np.shares_memory(data.X, X)
        evaluate(data, rule, models, *arguments)

    monkeypatch.setattr(glm, "evaluate", counted)
    model = LogisticRegressionCV(**{**GRID, "cv": 5}, scoring="neg_log_loss", refit=False).fit(X, y)
    assert n_active[0] == 5
    assert sum(n_active) >= model.n_iter_.sum()
    assert len(n_active) < 0.4 * sum(n_active)


def test_what_ran_where_is_logged(caplog):
    X, y = PROBLEMS[2]
    with caplog.at_level(logging.INFO, logger="fastml"):
        LogisticRegressionCV(**GRID, scoring="accuracy").fit(X, y)
        LogisticRegressionCV(**GRID, scoring="accuracy", solver="liblinear").fit(X, y)
    assert [record.message for record in caplog.records] == [
        "LogisticRegressionCV.fit ran in fastml on cpu",
        "LogisticRegressionCV.fit ran in fastml on cpu",
    ]


def test_scikit_learns_path_is_not_called(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("scikit-learn's solver was called")

    monkeypatch.setattr("sklearn.linear_model._logistic._logistic_regression_path", refuse)
    X, y = PROBLEMS[2]
    monkeypatch.setattr("sklearn.linear_model._logistic._fit_liblinear", refuse)
    for solver in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear", "gd", "agd"):
        LogisticRegressionCV(**GRID, scoring="accuracy", solver=solver, max_iter=3000).fit(X, y)


def test_max_iter_warns():
    X, y = PROBLEMS[3]
    with pytest.warns(ConvergenceWarning, match="Increase the number of iterations"):
        LogisticRegressionCV(**GRID, scoring="accuracy", max_iter=2).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Cs": 0}, "Cs"),
        ({"l1_ratios": (0.5,)}, "supports only"),
        ({"solver": "saga", "l1_ratios": (0.5, 2.0)}, "between 0 and 1"),
        ({"solver": "agd", "dual": True}, "dual=False"),
        ({"class_weight": {7: 1.0}}, "class labels as keys"),
        ({"scoring": "no such score"}, "scoring"),
    ],
    ids=str,
)
def test_parameters_that_nobody_takes(parameters, message):
    X, y = PROBLEMS[2]
    model = LogisticRegressionCV(**{**GRID, "scoring": "accuracy", **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coef_")


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match="contains only one class: 0"):
        twins()[0].fit(PROBLEMS[2][0], np.zeros(150, int))


def test_a_fit_that_converges_does_not_warn():
    X, y = PROBLEMS[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twins()[0].fit(X, y)
