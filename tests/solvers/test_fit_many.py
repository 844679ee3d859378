"""A grid of settings trained together gives what each gives alone: but for rounding, as a model alone looks ahead."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification

from fastml import config_context
from fastml.linear_model import SGDClassifier, SGDRegressor
from fastml.solvers.sgd import fit_many

SETTINGS = [
    {"alpha": alpha, "loss": loss, "penalty": penalty, "learning_rate": "invscaling", "eta0": 0.05}
    for alpha in (1e-4, 1e-2)
    for loss in ("hinge", "log_loss")
    for penalty in ("l2", "elasticnet", None)
]


@pytest.fixture(scope="module")
def classes():
    return make_classification(200, 10, n_informative=6, n_classes=3, random_state=0)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_each_classifier_is_the_one_fitted_alone(classes, container, n_classes):
    X, y = classes
    y = np.minimum(y, n_classes - 1)
    fitted = fit_many(container(X), y, SETTINGS, n_classes=n_classes, shuffle=False)
    for setting, models in zip(SETTINGS, fitted):
        alone = SGDClassifier(shuffle=False, max_iter=5, tol=None, **setting).fit(container(X), y)
        np.testing.assert_allclose(models.coef, alone.coef_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(models.intercept, alone.intercept_, rtol=1e-9, atol=1e-12)


def test_averaged_regressors_are_the_ones_fitted_alone(classes):
    X, y = classes
    settings = [{"loss": "huber", "alpha": alpha, "learning_rate": "constant"} for alpha in (1e-4, 1e-1)]
    fitted = fit_many(X, y, settings, average=10, shuffle=False)
    for setting, models in zip(settings, fitted):
        alone = SGDRegressor(shuffle=False, max_iter=5, tol=None, average=10, **setting).fit(X, y)
        np.testing.assert_allclose(models.coef.ravel(), alone.coef_, rtol=1e-9, atol=1e-12)


def test_models_stop_one_by_one(classes):
    X, y = classes
    settings = [{"alpha": alpha} for alpha in (1e-4, 10.0)]
    fitted = fit_many(X, y, settings, n_classes=3, shuffle=False, max_iter=200, tol=1e-3)
    for setting, models in zip(settings, fitted):
        alone = SGDClassifier(shuffle=False, max_iter=200, tol=1e-3, **setting).fit(X, y)
        assert models.n_iter == alone.n_iter_
        np.testing.assert_allclose(models.coef, alone.coef_, rtol=1e-9, atol=1e-12)
    assert fitted[0].n_iter != fitted[1].n_iter


def test_threads_do_not_change_the_result():
    X = np.random.default_rng(0).standard_normal((5000, 50), dtype=np.float32)
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    with config_context(n_threads=1):
        one = fit_many(X, y, [{}, {"alpha": 1e-2}], n_classes=3)
    with config_context(n_threads=2):
        two = fit_many(X, y, [{}, {"alpha": 1e-2}], n_classes=3)
    for models_one, models_two in zip(one, two):
        np.testing.assert_array_equal(models_one.coef, models_two.coef)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": [{"C": 1.0}]}, "'C'"),
        ({"models": [{"loss": "hing"}]}, "loss must be among"),
        ({"y": np.zeros(3, int)}, "y has shape"),
        ({"y": np.full(200, 3)}, r"n_classes=3"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"X": np.full((200, 10), np.nan)}, "NaN"),
        ({"y": np.full(200, np.nan), "n_classes": None}, "y contains NaN"),
        ({"sample_weight": np.full(200, np.inf)}, "sample_weight contains infinity"),
        ({"models": [{"alpha": -1.0}]}, "alpha must be finite"),
        ({"models": [{"eta0": np.inf}]}, "eta0 must be finite"),
        ({"models": [{"l1_ratio": np.nan}]}, r"l1_ratio must be finite and in \[0, 1\]"),
        ({"max_iter": 0}, "max_iter == 0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change == 0"),
        ({"tol": -1.0}, "tol == -1.0"),
        ({"average": -1}, "average == -1"),
        ({"random_state": -1}, "random_state == -1"),
        ({"random_state": 2**32}, "random_state == 4294967296"),
    ],
)
def test_bad_input_is_named(classes, arguments, message):
    X, y = classes
    arguments = {"X": X, "y": y, "models": [{}], "n_classes": 3} | arguments
    with pytest.raises(ValueError, match=message):
        fit_many(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": [{"alpha": "much"}]}, "alpha must be an instance of float"),
        ({"max_iter": 1.5}, "max_iter must be an instance of int"),
        ({"random_state": None}, "random_state must be an instance of int"),
    ],
)
def test_another_type_is_named(classes, arguments, message):
    X, y = classes
    with pytest.raises(TypeError, match=message):
        fit_many(**{"X": X, "y": y, "models": [{}], "n_classes": 3} | arguments)
