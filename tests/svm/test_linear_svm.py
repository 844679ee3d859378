"""LinearSVC, LinearSVR and l1_min_c beside scikit-learn's: objectives, weights, kinds of input."""

import warnings

import numpy as np
import pytest
import sklearn.svm
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_classification

import fastml
import fastml.svm

warnings_of_no_interest = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = warnings_of_no_interest

N_ROWS, N_FEATURES = 150, 12
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
X[_rng.random(X.shape) < 0.5] = 0.0
SCORES = X @ _rng.standard_normal((N_FEATURES, 3)) + 0.5 * _rng.standard_normal((N_ROWS, 3))
CLASSES = {2: (SCORES[:, 0] > 0).astype(int), 3: SCORES.argmax(axis=1)}
VALUES = SCORES[:, 0] + 2.0
WEIGHTS = _rng.uniform(0.2, 3.0, N_ROWS) * (_rng.random(N_ROWS) < 0.8)

TIGHT = {"tol": 1e-9, "max_iter": 200_000, "random_state": 0}
CLASSIFIERS = {
    "newton": {"dual": False},
    "dual squared hinge": {"dual": True},
    "dual hinge": {"loss": "hinge"},
    "l1": {"penalty": "l1", "dual": False},
    "crammer-singer": {"multi_class": "crammer_singer"},
}
REGRESSORS = {
    "newton": {"loss": "squared_epsilon_insensitive", "dual": False},
    "dual squared": {"loss": "squared_epsilon_insensitive", "dual": True},
    "dual": {},
}
STORAGES = {
    "dense": np.asarray,
    "csr": sparse.csr_array,
    "int64 csr": lambda X: with_indices(sparse.csr_array(X), np.int64),
    "float32": lambda X: X.astype(np.float32),
    "float32 csr": lambda X: sparse.csr_matrix(X.astype(np.float32)),
}
each_classifier = pytest.mark.parametrize("solver", CLASSIFIERS)
each_regressor = pytest.mark.parametrize("solver", REGRESSORS)
each_storage = pytest.mark.parametrize("storage", STORAGES)


def with_indices(X, dtype):
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def penalty(model, kind):
    """Of the weights and of the bias feature's, whose value is ``intercept_scaling``."""
    bias = np.atleast_1d(model.intercept_) / model.intercept_scaling
    weights = np.column_stack([np.atleast_2d(model.coef_), bias if len(bias) == len(np.atleast_2d(model.coef_)) else
                               np.zeros(len(np.atleast_2d(model.coef_)))])  # fmt: skip
    return np.abs(weights).sum(axis=1) if kind == "l1" else 0.5 * np.square(weights).sum(axis=1)


def classification_objective(model, rows, y, cost):
    """The sum over the models of their objectives; ``cost(k)`` gives each row's C in the k-th."""
    margins = rows @ np.atleast_2d(model.coef_).T + model.intercept_
    if model.multi_class == "crammer_singer":
        own = margins[np.arange(len(y)), y][:, None]
        slack = (margins - own + (np.arange(margins.shape[1]) != y[:, None])).max(axis=1)
        return penalty(model, "l2").sum() + np.sum(cost(None) * slack)
    total = penalty(model, model.penalty).sum()
    for k in range(margins.shape[1]):
        signs = np.where(y == (1 if margins.shape[1] == 1 else k), 1.0, -1.0)
        slack = np.maximum(0.0, 1.0 - signs * margins[:, k])
        total += np.sum(cost(k) * (slack if model.loss == "hinge" else slack**2))
    return total


def regression_objective(model, rows, y, weight):
    slack = np.maximum(0.0, np.abs(rows @ model.coef_ + model.intercept_ - y) - model.epsilon)
    loss = slack if model.loss == "epsilon_insensitive" else slack**2
    return penalty(model, "l2").sum() + model.C * np.sum(weight * loss)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("solver", "n_classes"),
    # Of Crammer and Singer's two classes the difference is stored, of which the joint objective cannot be taken.
    [(solver, n) for solver in CLASSIFIERS for n in (2, 3) if (solver, n) != ("crammer-singer", 2)],
)
@each_storage
def test_classification_reaches_scikit_learns_objective(solver, storage, n_classes, weighted):
    y, weight = CLASSES[n_classes], WEIGHTS if weighted else None
    parameters = {**TIGHT, **CLASSIFIERS[solver], "C": 0.3, "intercept_scaling": 2.0}
    rows = STORAGES[storage](X)
    exact = np.asarray(rows.toarray() if sparse.issparse(rows) else rows, dtype=np.float64)
    ours = fastml.svm.LinearSVC(**parameters).fit(rows, y, weight)
    theirs = sklearn.svm.LinearSVC(**parameters).fit(exact, y, weight)
    cost = np.full(N_ROWS, 0.3) * (1.0 if weight is None else weight)
    objectives = [classification_objective(model, exact, y, lambda k: cost) for model in (ours, theirs)]
    assert_allclose(*objectives, rtol=1e-6)
    assert_allclose(
        ours.coef_, theirs.coef_, atol=2e-3 if "hinge" in solver or solver == "crammer-singer" else 1e-4
    )


def test_crammer_singer_of_two_classes():
    parameters = {**TIGHT, "multi_class": "crammer_singer", "C": 0.3}
    ours, theirs = (package.svm.LinearSVC(**parameters).fit(X, CLASSES[2]) for package in (fastml, sklearn))
    assert ours.coef_.shape == theirs.coef_.shape == (1, N_FEATURES)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-5)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.2, 1: 5.0}])
@pytest.mark.parametrize("n_classes", [2, 3])
@each_classifier
def test_class_weight(solver, n_classes, class_weight):
    parameters = {**TIGHT, **CLASSIFIERS[solver], "C": 0.1, "class_weight": class_weight}
    ours, theirs = (
        package.svm.LinearSVC(**parameters).fit(X, CLASSES[n_classes], WEIGHTS)
        for package in (fastml, sklearn)
    )
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-3)


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@each_storage
@each_regressor
def test_regression_reaches_scikit_learns_objective(solver, storage, weighted, epsilon):
    weight = WEIGHTS if weighted else None
    parameters = {**TIGHT, **REGRESSORS[solver], "C": 0.2, "epsilon": epsilon}
    rows = STORAGES[storage](X)
    exact = np.asarray(rows.toarray() if sparse.issparse(rows) else rows, dtype=np.float64)
    ours = fastml.svm.LinearSVR(**parameters).fit(rows, VALUES, weight)
    theirs = sklearn.svm.LinearSVR(**parameters).fit(exact, VALUES, weight)
    unit = np.ones(N_ROWS) if weight is None else weight
    objectives = [regression_objective(model, exact, VALUES, unit) for model in (ours, theirs)]
    assert_allclose(*objectives, rtol=1e-6)
    assert_allclose(ours.predict(rows), theirs.predict(exact), atol=1e-2)


TIED = np.array([0.1, 0.2, 0.3, 0.3, 0.3, 0.4, 0.5, 0.6])
ONE_HOT = np.eye(5)[_rng.integers(0, 5, 400)]


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("C", [1.0, 0.1])
@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (np.zeros((8, 1)), TIED),
        (ONE_HOT, np.round(ONE_HOT @ np.arange(5.0) + _rng.standard_normal(400))),
    ],
    ids=["no features", "one-hot"],
)
def test_tied_targets_converge(rows, values, C):
    """Dual variables end a rounding error from their bound, and must come to lie there."""
    for seed in range(5):
        ours, theirs = (
            package.svm.LinearSVR(C=C, random_state=seed).fit(rows, values) for package in (fastml, sklearn)
        )
        assert ours.n_iter_ <= 3 * theirs.n_iter_
        assert_allclose(ours.predict(rows), theirs.predict(rows), atol=0.02)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("LinearSVC", {}),
        ("LinearSVC", {"C": 10.0, "fit_intercept": False}),
        ("LinearSVR", {"loss": "squared_epsilon_insensitive", "dual": False, "epsilon": 0.1}),
    ],
)
@pytest.mark.parametrize("tol", [1e-1, 1e-4, 1e-8])
def test_newton_takes_scikit_learns_steps(kind, parameters, tol):
    y = VALUES if kind == "LinearSVR" else CLASSES[3]
    ours, theirs = (
        getattr(package.svm, kind)(tol=tol, **parameters).fit(X, y) for package in (fastml, sklearn)
    )
    assert ours.n_iter_ == theirs.n_iter_
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7)


@each_classifier
def test_rows_of_weight_zero_are_as_if_left_out(solver):
    parameters = {**TIGHT, **CLASSIFIERS[solver], "C": 0.1}
    kept = WEIGHTS > 0
    weighted = fastml.svm.LinearSVC(**parameters).fit(X, CLASSES[3], kept.astype(float))
    left_out = fastml.svm.LinearSVC(**parameters).fit(X[kept], CLASSES[3][kept])
    assert_allclose(weighted.coef_, left_out.coef_, atol=1e-4)


@each_classifier
def test_results_repeat(solver):
    """Bit for bit, whatever the number of threads: one model's order is its own."""
    parameters = {**CLASSIFIERS[solver], "random_state": 3, "max_iter": 20}
    fits = []
    for n_threads in (1, 2, 2, 5):
        with fastml.config_context(n_threads=n_threads):
            fits.append(fastml.svm.LinearSVC(**parameters).fit(X, CLASSES[3]).coef_)
    for coef in fits[1:]:
        assert_array_equal(coef, fits[0])


def test_blocks_repeat_and_agree():
    """A single problem large enough for several blocks: repeatable per n_threads, equal but for rounding between."""
    X, y = make_classification(30_000, 40, random_state=0)
    fits = {}
    for n_threads in (1, 2, 3):
        with fastml.config_context(n_threads=n_threads):
            first, second = (fastml.svm.LinearSVC(tol=1e-8).fit(X, y) for _ in range(2))
        assert_array_equal(first.coef_, second.coef_)
        fits[n_threads] = first.coef_
    assert_allclose(fits[2], fits[1], rtol=1e-6)
    assert_allclose(fits[3], fits[1], rtol=1e-6)


def test_more_features_than_the_hessian_is_kept_for():
    rng = np.random.default_rng(0)
    rows = sparse.random(2000, 1500, 0.01, format="csr", random_state=0)
    y = rng.integers(0, 2, 2000)
    ours, theirs = (package.svm.LinearSVC(tol=1e-8).fit(rows, y) for package in (fastml, sklearn))
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_hinge", "log"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_l1_min_c(loss, fit_intercept, storage):
    arguments = STORAGES[storage](X), CLASSES[3]
    parameters = {"loss": loss, "fit_intercept": fit_intercept, "intercept_scaling": 3.0}
    ours = fastml.svm.l1_min_c(*arguments, **parameters)
    assert ours == pytest.approx(sklearn.svm.l1_min_c(*arguments, **parameters))
    if loss == "squared_hinge":
        shared = {"penalty": "l1", "fit_intercept": fit_intercept, "intercept_scaling": 3.0, "tol": 1e-8}
        below, above = (fastml.svm.LinearSVC(C=ours * f, **shared).fit(*arguments) for f in (0.999, 1.05))
        assert not below.coef_.any()
        assert above.coef_.any() or np.any(above.intercept_)


def test_l1_min_c_of_nothing():
    with pytest.raises(ValueError, match="Ill-posed l1_min_c calculation"):
        fastml.svm.l1_min_c(np.zeros((4, 2)), [0, 1, 0, 1], fit_intercept=False)


def test_a_fit_that_does_not_converge_warns():
    for model, y in (
        (fastml.svm.LinearSVC(max_iter=1), CLASSES[2]),
        (fastml.svm.LinearSVR(max_iter=1), VALUES),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        assert [str(w.message) for w in caught] == [
            "Liblinear failed to converge, increase the number of iterations."
        ]
        assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(
    "params", [{}, {"dual": True}, {"multi_class": "crammer_singer"}, {"class_weight": "balanced"}]
)
def test_a_class_without_weight_keeps_its_row_of_weights(params):
    """Every row is against it: it is not predicted where another class has a say."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 3
    weight = np.where(y == 2, 0.0, 1.0)
    model = fastml.svm.LinearSVC(random_state=0, **params).fit(X, y, sample_weight=weight)
    assert model.coef_.shape == (3, 3)
    assert np.isfinite(model.coef_).all()
    two = fastml.svm.LinearSVC(random_state=0, **params).fit(X[y < 2], y[y < 2])
    if "multi_class" not in params and "class_weight" not in params:
        np.testing.assert_allclose(model.coef_[1], two.coef_[0], rtol=1e-3, atol=1e-4)
    assert not np.any(model.predict(X) == 2)
