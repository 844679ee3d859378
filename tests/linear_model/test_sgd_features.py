"""What the SGD estimators offer beyond one fit: own losses, continued fits, weights, early stopping, devices."""

import pickle

import numpy as np
import pytest
import sklearn.linear_model
from fresh_interpreter import output_of
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fastml
import fastml.linear_model
from fastml import Loss
from fastml.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_ROWS, N_FEATURES = 120, 7
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES))
CLASSES = np.argmax(X[:, :3] + 0.5 * _rng.standard_normal((N_ROWS, 3)), axis=1)
BINARY = np.where(CLASSES > 0, "yes", "no")
VALUES = X @ _rng.standard_normal(N_FEATURES) + 0.1 * _rng.standard_normal(N_ROWS)
WEIGHTS = _rng.random(N_ROWS)
TARGETS = {
    "SGDClassifier": BINARY,
    "SGDRegressor": VALUES,
    "SGDOneClassSVM": None,
    "Perceptron": BINARY,
    "PassiveAggressiveClassifier": BINARY,
    "PassiveAggressiveRegressor": VALUES,
}
AVERAGING = [name for name in TARGETS if name != "Perceptron"]
WEIGHTED = ["SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "Perceptron"]


@njit
def hinge(y, margin):
    return max(0.0, 1.0 - y * margin)


@njit
def hinge_derivative(y, margin):
    return -y if y * margin <= 1.0 else 0.0


@njit
def logistic(y, margin):
    return np.log1p(np.exp(-y * margin))


@njit
def logistic_derivative(y, margin):
    return -y / (1.0 + np.exp(y * margin))


@njit
def logistic_probability(margin):
    return 1.0 / (1.0 + np.exp(-margin))


@njit
def squared(y, margin):
    return 0.5 * (margin - y) ** 2


@njit
def squared_derivative(y, margin):
    return margin - y


@njit
def without_a_number(y, margin):
    return "loss"


@njit
def raises(y, margin):
    if y > 0.5:
        raise ValueError("no sample of this class")
    return 0.0


HINGE = Loss(hinge, hinge_derivative)
LOGISTIC = Loss(logistic, logistic_derivative, inverse_link=logistic_probability)
SQUARED = Loss(squared, squared_derivative)


def both(name, **parameters):
    """The estimator of that name, fastml's and scikit-learn's."""
    return [
        getattr(library, name)(**{"random_state": 0, **parameters})
        for library in (fastml.linear_model, sklearn.linear_model)
    ]


def intercept(estimator):
    return getattr(estimator, "intercept_" if hasattr(estimator, "intercept_") else "offset_")


def assert_same_model(ours, theirs, rtol=1e-6):
    assert_allclose(ours.coef_, theirs.coef_, rtol=rtol)
    assert_allclose(intercept(ours), intercept(theirs), rtol=rtol)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_


# --- losses of the user's own


@pytest.mark.parametrize(("own", "built_in"), [(HINGE, "hinge"), (LOGISTIC, "log_loss")])
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
def test_own_classification_loss_equals_the_built_in(own, built_in, y, storage):
    ours, theirs = (SGDClassifier(loss, random_state=0).fit(storage(X), y) for loss in (own, built_in))
    assert_same_model(ours, theirs, rtol=1e-9)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
def test_probabilities_of_an_own_loss(y):
    ours, theirs = (SGDClassifier(loss, random_state=0).fit(X, y) for loss in (LOGISTIC, "log_loss"))
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-7, atol=1e-12)


def test_no_probabilities_without_an_inverse_link():
    model = SGDClassifier(HINGE).fit(X, BINARY)
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_own_regression_loss_equals_the_built_in(penalty):
    ours, theirs = (
        SGDRegressor(loss, penalty=penalty, random_state=0).fit(X, VALUES)
        for loss in (SQUARED, "squared_error")
    )
    assert_same_model(ours, theirs, rtol=1e-9)


def test_an_estimator_with_an_own_loss_is_cloned_and_pickled():
    model = SGDClassifier(LOGISTIC, random_state=0).fit(X, BINARY)
    assert clone(model).loss == LOGISTIC
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.loss == LOGISTIC
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert_array_equal(loaded.fit(X, BINARY).coef_, model.coef_)


def test_own_losses_in_a_grid_search():
    search = GridSearchCV(SGDClassifier(random_state=0), {"loss": [HINGE, LOGISTIC, "hinge"]}, cv=2).fit(
        X, BINARY
    )
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[2]
    assert search.best_params_["loss"] in (HINGE, LOGISTIC)


@pytest.mark.parametrize("functions", [(without_a_number, hinge_derivative), (hinge, without_a_number)])
def test_a_loss_that_does_not_compile_is_named(functions):
    model = SGDClassifier(Loss(*functions))
    before = dict(vars(model))
    with pytest.raises(
        TypeError, match=["value", "derivative"][functions.index(without_a_number)] + " must compile"
    ):
        model.fit(X, BINARY)
    assert vars(model) == before


# --- continued fits


@pytest.mark.parametrize("name", TARGETS)
def test_warm_start(name):
    models = both(name, warm_start=True, max_iter=3, tol=None)
    for model in models:
        model.fit(X, TARGETS[name]).set_params(max_iter=2).fit(X[::-1].copy(), TARGETS[name])
    assert_same_model(*models)


@pytest.mark.parametrize("average", [True, 50, 1000])
@pytest.mark.parametrize("name", AVERAGING)
def test_warm_start_with_averages(name, average):
    models = both(name, warm_start=True, max_iter=2, tol=None, shuffle=False, average=average)
    for model in models:
        model.fit(X, TARGETS[name]).fit(X[::-1].copy(), TARGETS[name])
    assert_same_model(*models)


@pytest.mark.parametrize("name", ["SGDRegressor", "SGDOneClassSVM", "PassiveAggressiveRegressor"])
def test_warm_start_with_other_features_is_refused(name):
    model = getattr(fastml.linear_model, name)(warm_start=True, max_iter=2, tol=None).fit(X, TARGETS[name])
    with pytest.raises(ValueError, match=f"X has 2 features, but {name} is expecting {N_FEATURES} features"):
        model.fit(X[:, :2], TARGETS[name])
    assert model.n_features_in_ == N_FEATURES


@pytest.mark.parametrize(
    ("name", "average"),
    [
        *((name, False) for name in TARGETS),
        *(
            (name, average)
            for name in AVERAGING
            for average in (True, 50, 150)
            if TARGETS[name] is not BINARY
        ),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_partial_fits(name, average, dtype):
    """Averaging, where it is done, begins in the first call or in the second.

    The averaging classifiers are left out: scikit-learn's go on from an intercept of 0 in each call.
    """
    models = both(name) if average is False else both(name, average=average)
    for model in models:
        for rows in (slice(None), slice(0, 60), slice(60, None)):
            partial_fit(model, name, rows, dtype)
    assert_same_model(*models, rtol=1e-6 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("average", [True, 30, 90])
@pytest.mark.parametrize("name", AVERAGING)
def test_partial_fits_of_two_halves_are_one_of_the_whole(name, average):
    halves, whole = (getattr(fastml.linear_model, name)(shuffle=False, average=average) for _ in range(2))
    partial_fit(whole, name, slice(None))
    for rows in (slice(0, 60), slice(60, None)):
        partial_fit(halves, name, rows)
    assert_same_model(halves, whole, rtol=1e-9)


def partial_fit(model, name, rows, dtype=np.float64):
    y = TARGETS[name]
    classes = {"classes": ["no", "yes"]} if y is BINARY else {}
    model.partial_fit(X[rows].astype(dtype), None if y is None else y[rows], **classes)


@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"])
def test_balanced_partial_fits_are_refused_in_scikit_learns_words(name):
    messages = []
    for model in both(name, class_weight="balanced"):
        with pytest.raises(ValueError, match="class_weight 'balanced' is not supported") as refusal:
            model.partial_fit(X, BINARY, classes=["no", "yes"])
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_partial_fits_of_several_classes():
    models = both("SGDClassifier", shuffle=False, average=100)
    for model in models:
        model.partial_fit(X[:50], CLASSES[:50], classes=[0, 1, 2, 7])
        model.partial_fit(X[50:], CLASSES[50:])
    assert_same_model(*models)
    assert_array_equal(models[0].classes_, [0, 1, 2, 7])


def test_partial_fit_after_fit():
    models = both("SGDRegressor", max_iter=4, tol=None)
    for model in models:
        model.fit(X, VALUES).partial_fit(X[:30], VALUES[:30])
    assert_same_model(*models)


@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
def test_initial_weights(y):
    n_models = 1 if y is BINARY else 3
    models = both("SGDClassifier", shuffle=False, max_iter=2, tol=None)
    for model in models:
        model.fit(X, y, coef_init=np.full((n_models, N_FEATURES), 0.1), intercept_init=np.full(n_models, 0.2))
    assert_same_model(*models)


# --- weights


@pytest.mark.parametrize("class_weight", ["balanced", {"no": 3.0, "yes": 0.5}, {"no": 0.0}])
@pytest.mark.parametrize("name", ["SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"])
def test_class_weight(name, class_weight):
    models = both(name, class_weight=class_weight)
    for model in models:
        model.fit(X, BINARY)
    assert_same_model(*models)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_class_weight_of_several_classes(class_weight):
    models = both("SGDClassifier", class_weight=class_weight, shuffle=False)
    for model in models:
        model.fit(X, CLASSES)
    assert_same_model(*models)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    "weights", [WEIGHTS, np.where(WEIGHTS > 0.5, 1, 0), 2.5], ids=["real", "0 or 1", "all"]
)
@pytest.mark.parametrize("name", WEIGHTED)
def test_sample_weight(name, weights, storage):
    models = both(name)
    for model in models:
        model.fit(storage(X), TARGETS[name], sample_weight=weights)
    assert_same_model(*models)


# --- stopping


@pytest.mark.parametrize("loss", ["hinge", "log_loss"])
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_early_stopping_of_a_classifier(loss, penalty, sample_weight):
    models = both("SGDClassifier", loss=loss, penalty=penalty, early_stopping=True, validation_fraction=0.3)
    for model in models:
        model.fit(X, BINARY, sample_weight=sample_weight)
    assert models[1].n_iter_ < models[1].max_iter
    assert_same_model(*models)


@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
def test_early_stopping_of_a_regressor(schedule):
    models = both("SGDRegressor", early_stopping=True, learning_rate=schedule, tol=1e-2)
    for model in models:
        model.fit(X, VALUES)
    assert models[1].n_iter_ < models[1].max_iter
    assert_same_model(*models)


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_every_class_stops_on_its_own(n_iter_no_change):
    models = both("SGDClassifier", shuffle=False, n_iter_no_change=n_iter_no_change)
    for model in models:
        model.fit(X, CLASSES)
    assert_same_model(*models)


# --- attributes


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
@pytest.mark.parametrize("name", AVERAGING)
def test_attributes_have_the_same_types(name, y, dtype, average):
    models = both(name, average=average, max_iter=5)
    for model in models:
        model.fit((10 * X).astype(dtype), y if TARGETS[name] is BINARY else TARGETS[name])
    ours, theirs = (
        {key: kind(value) for key, value in vars(model).items() if key.endswith("_") and key[0] != "_"}
        for model in models
    )
    assert ours == theirs


def kind(value):
    return (value.dtype, value.shape) if isinstance(value, np.ndarray) else type(value)


@pytest.mark.parametrize("name", TARGETS)
def test_a_fitted_estimator_is_pickled(name):
    model, _ = both(name)
    loaded = pickle.loads(pickle.dumps(model.fit(X, TARGETS[name])))
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert vars(loaded).keys() == vars(model).keys()


# --- devices, threads, repeatability


def test_cuda_that_cannot_be_had_is_named():
    printed = output_of(
        "import numpy as np, fastml\n"
        "from fastml.linear_model import SGDClassifier\n"
        "model = SGDClassifier().fit(np.eye(4), [0, 1, 0, 1])\n"
        "before = {name: repr(value) for name, value in vars(model).items()}\n"
        "for enter in (lambda: fastml.set_config(device='cuda'),\n"
        "              lambda: fastml.config_context(device='cuda').__enter__()):\n"
        "    try:\n"
        "        enter()\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
        "print(fastml.get_config()['device'])\n"
        "assert before == {name: repr(value) for name, value in vars(model).items()}\n",
        CUDA_VISIBLE_DEVICES="",
    ).splitlines()
    assert len(printed) == 3
    assert printed[0] == printed[1]
    assert "a visible NVIDIA GPU" in printed[0]
    assert printed[2] == "auto"


def test_a_fit_on_cuda_that_cannot_be_had_changes_nothing():
    """The device may be gone by the time of the fit: in a worker that inherited the option, for one."""
    printed = output_of(
        "import numpy as np, fastml\n"
        "from fastml import _config\n"
        "from fastml.linear_model import SGDClassifier\n"
        "_config._process_options['device'] = 'cuda'\n"
        "model = SGDClassifier()\n"
        "before = dict(vars(model))\n"
        "try:\n"
        "    model.fit(np.eye(4), [0, 1, 0, 1])\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
        "assert vars(model) == before\n",
        CUDA_VISIBLE_DEVICES="",
    )
    assert "a visible NVIDIA GPU" in printed


@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
def test_random_state_repeats_a_fit_bit_for_bit(y):
    first, second, other = (SGDClassifier(random_state=seed).fit(X, y) for seed in (5, 5, 6))
    assert_array_equal(first.coef_, second.coef_)
    assert_array_equal(first.intercept_, second.intercept_)
    assert np.any(first.coef_ != other.coef_)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 7])
def test_results_do_not_depend_on_the_number_of_threads(n_classes, dtype, storage):
    """X is large enough for a second thread, which takes some of several models or brings the rows of one."""
    rng = np.random.default_rng(1)
    many_rows = rng.standard_normal((20_000, 60)).astype(dtype)
    y = rng.integers(0, n_classes, len(many_rows))
    coefs = []
    for n_threads in (1, 2):
        with fastml.config_context(n_threads=n_threads):
            model = SGDClassifier(max_iter=2, tol=None, random_state=0, average=True)
            coefs.append(model.fit(storage(many_rows), y).coef_)
    assert_array_equal(*coefs)


def test_one_class_threads_and_offset():
    """The one-class SVM's single model is streamed too."""
    many_rows = np.random.default_rng(1).standard_normal((20_000, 60))
    models = []
    for n_threads in (1, 2):
        with fastml.config_context(n_threads=n_threads):
            models.append(SGDOneClassSVM(max_iter=2, tol=None, random_state=0).fit(many_rows))
    assert_array_equal(models[0].coef_, models[1].coef_)
    assert_array_equal(models[0].offset_, models[1].offset_)


@pytest.mark.parametrize(
    "functions", [(hinge, raises), (raises, hinge_derivative)], ids=["derivative", "value"]
)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_a_loss_that_raises_ends_the_fit(functions, storage):
    X = np.random.default_rng(0).standard_normal((60, 3))
    model = SGDClassifier(Loss(*functions), learning_rate="constant", eta0=0.1)
    with pytest.raises(ValueError, match=r"Or Loss\(.*\) has given NaN, or raised an exception"):
        model.fit(storage(X), X[:, 0] > 0)
    assert not hasattr(model, "coef_")
