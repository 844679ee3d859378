"""The estimators on a GPU: arrays of CuPy's in, arrays of CuPy's out, and the CPU's results."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastml import config_context
from fastml.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


@pytest.fixture
def cupy():
    import cupy

    return cupy


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_classifier_is_fitted_and_predicts_where_its_input_lies(cupy, digits, n_classes, dtype):
    X, y = digits
    X, y = X[y < n_classes].astype(dtype), y[y < n_classes]
    model = SGDClassifier(learning_rate="invscaling", max_iter=5, tol=None, shuffle=False)
    on_cpu = model.fit(X, y)
    coef, scores = on_cpu.coef_.copy(), on_cpu.decision_function(X)
    on_gpu = model.fit(cupy.asarray(X), cupy.asarray(y))
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(on_gpu.coef_, coef, rtol=tolerance, atol=tolerance)
    predicted, decided = on_gpu.predict(cupy.asarray(X)), on_gpu.decision_function(cupy.asarray(X))
    assert isinstance(predicted, cupy.ndarray)
    assert isinstance(decided, cupy.ndarray)
    np.testing.assert_allclose(decided.get(), scores, rtol=tolerance, atol=10 * tolerance)
    np.testing.assert_array_equal(predicted.get(), on_gpu.predict(X))


def test_an_explicit_device_beats_where_the_input_lies(cupy, digits):
    X, y = digits
    model = SGDClassifier(learning_rate="invscaling", max_iter=2, tol=None, shuffle=False)
    with config_context(device="cuda"):
        from_host = model.fit(X, y).coef_.copy()
    with config_context(device="cpu"):
        from_gpu = model.fit(cupy.asarray(X), y).coef_.copy()
    np.testing.assert_allclose(from_host, from_gpu, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("estimator", [SGDRegressor, SGDOneClassSVM])
def test_the_other_estimators_agree_with_the_cpu(cupy, digits, estimator):
    X, y = digits
    model = estimator(learning_rate="constant", eta0=1e-3, max_iter=3, tol=None, shuffle=False)
    on_cpu = model.fit(X, y).coef_.copy()
    on_gpu = model.fit(cupy.asarray(X), cupy.asarray(y))
    np.testing.assert_allclose(on_gpu.coef_, on_cpu, rtol=1e-9, atol=1e-9)
    assert isinstance(on_gpu.predict(cupy.asarray(X)), cupy.ndarray)


def test_early_stopping_and_sample_weights_on_device_arrays(cupy, digits):
    X, y = digits
    weight = np.random.default_rng(0).random(len(y))
    model = SGDClassifier(learning_rate="invscaling", early_stopping=True, random_state=0)
    on_cpu = model.fit(X, y, sample_weight=weight)
    n_iter, coef = on_cpu.n_iter_, on_cpu.coef_.copy()
    on_gpu = model.fit(cupy.asarray(X), y, sample_weight=cupy.asarray(weight))
    assert on_gpu.n_iter_ == n_iter
    np.testing.assert_allclose(on_gpu.coef_, coef, rtol=1e-6, atol=1e-6)


def test_nan_on_the_device_is_found(cupy, digits):
    X, y = digits
    X = cupy.asarray(X)
    X[3, 5] = cupy.nan
    with pytest.raises(ValueError, match="NaN"):
        SGDClassifier().fit(X, y)
