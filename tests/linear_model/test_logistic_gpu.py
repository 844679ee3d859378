"""Logistic regression on a GPU: arrays of CuPy's in, the CPU's results."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastml import config_context
from fastml.linear_model import GeneralizedLinearRegressor, LogisticRegression, LogisticRegressionCV

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


@pytest.fixture
def cupy():
    import cupy

    return cupy


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky", "agd"])
@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_classifier_is_fitted_and_predicts_where_its_input_lies(cupy, digits, solver, n_classes, dtype):
    X, y = digits
    X, y = X[y < n_classes].astype(dtype), y[y < n_classes]
    model = LogisticRegression(solver=solver, C=0.1, tol=1e-6, max_iter=1000)
    coef = model.fit(X, y).coef_.copy()
    on_gpu = model.fit(cupy.asarray(X), cupy.asarray(y))
    tolerance = 1e-3 if dtype == np.float32 else 1e-5
    np.testing.assert_allclose(on_gpu.coef_, coef, rtol=tolerance, atol=tolerance)
    predicted = on_gpu.predict(cupy.asarray(X))
    assert isinstance(predicted, cupy.ndarray)
    np.testing.assert_array_equal(predicted.get(), on_gpu.predict(X))


def test_folds_and_the_other_estimators(cupy, digits):
    X, y = digits
    parameters = {"Cs": 3, "l1_ratios": (0,), "scoring": "neg_log_loss", "use_legacy_attributes": False}
    for model, target in (
        (LogisticRegressionCV(max_iter=1000, **parameters), y),
        (GeneralizedLinearRegressor("huber", penalty="l1", alpha=0.01), y.astype(float)),
    ):
        coef = model.fit(X, target).coef_.copy()
        np.testing.assert_allclose(model.fit(cupy.asarray(X), target).coef_, coef, atol=5e-3)


def test_solvers_of_the_cpu_say_so(digits):
    X, y = digits
    with config_context(device="cuda"), pytest.raises(RuntimeError, match="runs on the CPU only"):
        LogisticRegression(solver="saga").fit(X, y)


def test_nan_on_the_device_is_found(cupy, digits):
    X, y = digits
    X = cupy.asarray(X)
    X[3, 5] = cupy.nan
    with pytest.raises(ValueError, match="NaN"):
        LogisticRegression().fit(X, y)
