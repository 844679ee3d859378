"""Bad input, interrupts, configured devices: a clear exception, and an estimator as it was before."""

import numpy as np
import pytest
from interrupted_fit import assert_stopped_and_unchanged
from scipy import sparse
from sklearn.svm import LinearSVC as SklearnLinearSVC
from unchanged_estimator import assert_same_attributes, snapshot

from fastml import _config
from fastml.kernels import for_device
from fastml.svm import LinearSVC, LinearSVR

N_ROWS, N_FEATURES = 40, 6
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
Y = _rng.integers(0, 3, N_ROWS)

MODELS = {
    "newton": LinearSVC(),
    "dual": LinearSVC(dual=True),
    "hinge": LinearSVC(loss="hinge"),
    "l1": LinearSVC(penalty="l1"),
    "crammer-singer": LinearSVC(multi_class="crammer_singer", tol=0.1),
    "regression": LinearSVR(),
    "squared regression": LinearSVR(loss="squared_epsilon_insensitive"),
}
each_model = pytest.mark.parametrize("name", MODELS)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def assert_refused(estimator, X_bad, y, match, error=ValueError, **further):
    """By an estimator that is not fitted, and by one that is; both stay as they were."""
    estimator = type(estimator)(**estimator.get_params())
    for is_fitted in (False, True):
        if is_fitted:
            estimator.fit(X, Y)
        before = snapshot(estimator)
        with pytest.raises(error, match=match):
            estimator.fit(X_bad, y, **further)
        assert_same_attributes(estimator, before)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@each_model
def test_not_finite(name, value, storage):
    bad = X.copy()
    bad[7, 3] = value
    assert_refused(MODELS[name], storage(bad), Y, "Input X contains (NaN|infinity)")
    weights = np.ones(N_ROWS)
    weights[7] = 0.0
    assert_refused(MODELS[name], storage(bad), Y, "Input X contains (NaN|infinity)", sample_weight=weights)


@each_model
def test_sums_that_overflow(name):
    assert_refused(MODELS[name], 1e200 * X, Y, "under-/overflow occurred")


@pytest.mark.parametrize("weight", [np.zeros(N_ROWS), np.ones(3), np.full(N_ROWS, np.nan), -np.ones(N_ROWS)])
@each_model
def test_sample_weights(name, weight):
    assert_refused(MODELS[name], X, Y, "(?i)sample.?weight|negative weights", sample_weight=weight)


@each_model
def test_indices_outside_the_matrix(name):
    bad = sparse.csr_matrix(X)
    bad.indices[5] = 10**6
    assert_refused(MODELS[name], bad, Y, "X.indices must lie in")
    model = type(MODELS[name])(**MODELS[name].get_params()).fit(X, Y)
    with pytest.raises(ValueError, match=r"X\.indices must lie in"):
        model.predict(bad)


@pytest.mark.parametrize(
    ("parameters", "y", "match"),
    [
        ({"penalty": "l1", "loss": "hinge"}, Y, "Unsupported set of arguments"),
        ({"loss": "hinge", "dual": False}, Y, "not supported when dual=False"),
        ({}, np.zeros(N_ROWS), "at least 2 classes"),
        ({}, X[:, 0], "Unknown label type: continuous"),
        ({}, Y[:-1], "inconsistent numbers of samples"),
        ({"C": -1.0}, Y, "'C' parameter"),
        ({"class_weight": "unbalanced"}, Y, "'class_weight' parameter"),
    ],
)
def test_classification(parameters, y, match):
    with pytest.raises(ValueError, match=match):
        LinearSVC(**parameters).fit(X, y)


def test_negative_epsilon():
    with pytest.raises(ValueError, match="epsilon must not be negative"):
        LinearSVR(epsilon=-0.1).fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "family"),
    [
        (LinearSVC(), "newton"),
        (LinearSVC(dual=True), "dual_cd"),
        (LinearSVC(penalty="l1", dual=False), "dual_cd"),
        (LinearSVC(multi_class="crammer_singer"), "dual_cd"),
        (LinearSVR(dual=True), "dual_cd"),
        (LinearSVR(loss="squared_epsilon_insensitive", dual=False), "newton"),
    ],
)
def test_cuda_is_refused_with_the_solvers_reason(monkeypatch, estimator, family):
    monkeypatch.setitem(_config._process_options, "device", "cuda")
    reason = getattr(for_device("reference"), family).LEFT_OUT["cuda"]
    with pytest.raises(RuntimeError, match=f"{type(estimator).__name__} runs on the CPU only.*{reason}"):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "coef_")


INTERRUPTED = """
from fastml.svm import LinearSVC, LinearSVR

rng = np.random.default_rng(0)
X = rng.standard_normal((60_000, 100))
y = rng.integers(0, 3, len(X))
if {storage!r} == "csr":
    X = sparse.csr_matrix(np.where(np.abs(X) > 1.5, X, 0))
model = {model}
if {is_fitted}:
    model.coef_ = np.ones((3, 100))
"""


@pytest.mark.parametrize(
    ("storage", "model", "is_fitted"),
    [
        ("dense", "LinearSVC(tol=1e-300, C=1e5, max_iter=10**9, dual=True)", False),
        ("csr", "LinearSVC(tol=1e-300, loss='hinge', C=1e3, max_iter=10**9)", True),
        ("csr", "LinearSVC(tol=1e-300, penalty='l1', C=1e5, max_iter=10**9)", False),
        ("dense", "LinearSVC(tol=1e-300, multi_class='crammer_singer', C=1e5)", True),
        ("csr", "LinearSVR(tol=1e-300, C=1e5, max_iter=10**9)", False),
    ],
)
def test_ctrl_c_stops_a_fit_and_leaves_the_estimator_as_it_was(storage, model, is_fitted):
    assert_stopped_and_unchanged(INTERRUPTED.format(storage=storage, model=model, is_fitted=is_fitted))


@pytest.mark.parametrize("labels", [[None, 1] * 20, [None] * 39 + ["a"], [1, 0] * 20], ids=str)
def test_labels_of_objects(labels):
    """With scikit-learn's words; None has no order among others."""
    labels = np.array(labels, dtype=object)
    with pytest.raises(ValueError, match="Unknown label type: unknown") as theirs:
        SklearnLinearSVC().fit(X, labels)
    with pytest.raises(ValueError, match="Unknown label type: unknown") as ours:
        LinearSVC().fit(X, labels)
    assert str(ours.value) == str(theirs.value)
