"""The kernel machines on a GPU: the CPU's solutions, to the tolerance of both."""

from importlib import import_module

import numpy as np
import pytest
from numba import njit
from scipy.sparse import csr_matrix
from sklearn.datasets import load_diabetes, load_digits
from sklearn.metrics.pairwise import rbf_kernel

from fastml import Kernel, config_context

pytestmark = pytest.mark.gpu

GAMMA = 0.02


@njit
def gaussian(x, y):
    distance = 0.0
    for i in range(len(x)):
        distance += (x[i] - y[i]) ** 2
    return np.exp(-0.02 * distance)


@pytest.fixture
def svm():
    return import_module("fastml.svm")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 4.0, y


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X * 20.0, (y - y.mean()) / y.std()


def fitted(estimator, X, y, sample_weight=None):
    """Two fits of an estimator: on the GPU, on the CPU."""
    models = []
    for device in ("cuda", "cpu"):
        with config_context(device=device):
            model = type(estimator)(**estimator.get_params())
            models.append(model.fit(X, y, sample_weight=sample_weight))
    return models


def decision(model, X, device):
    with config_context(device=device):
        return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def assert_same_machine(models, X, tolerance=1e-4):
    on_gpu, on_cpu = models
    expected, found = decision(on_cpu, X, "cpu"), decision(on_gpu, X, "cuda")
    np.testing.assert_allclose(found, expected, atol=tolerance)
    n_on_cpu = len(on_cpu.support_)
    assert abs(len(on_gpu.support_) - n_on_cpu) <= 0.01 * n_on_cpu + 2


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid"])
def test_svc(svm, digits, kernel, dtype, n_classes):
    X, y = digits
    X, y = X[y < n_classes].astype(dtype), y[y < n_classes]
    gamma = 1e-3 if kernel == "sigmoid" else GAMMA
    models = fitted(svm.SVC(kernel=kernel, gamma=gamma, tol=1e-5, decision_function_shape="ovo"), X, y)
    np.testing.assert_array_equal(models[0].n_support_.shape, (n_classes,))
    if kernel == "sigmoid":  # not definite: there may be several minima
        assert np.mean(models[0].predict(X) == models[1].predict(X)) > 0.98
    else:
        assert_same_machine(models, X, 1e-3 if dtype == np.float32 else 1e-4)


def test_csr(svm, digits):
    X, y = digits
    assert_same_machine(
        fitted(svm.SVC(gamma=GAMMA, tol=1e-5, decision_function_shape="ovo"), csr_matrix(X), y),
        X=csr_matrix(X),
    )


def test_large_problems_take_several_working_sets(svm, digits):
    X, y = digits
    rng = np.random.default_rng(0)
    X, y = np.concatenate([X + 0.5 * rng.standard_normal(X.shape) for _ in range(3)]), np.tile(y % 2, 3)
    assert_same_machine(fitted(svm.SVC(gamma=GAMMA, tol=1e-5, C=5.0), X, y), X[:500])


@pytest.mark.parametrize("name", ["SVR", "NuSVR"])
def test_regression(svm, diabetes, name):
    X, y = diabetes
    assert_same_machine(fitted(getattr(svm, name)(gamma=GAMMA, tol=1e-6), X, y), X)


def test_nu_svc_and_sample_weights(svm, digits):
    X, y = digits
    weight = np.random.default_rng(0).random(len(y))
    models = fitted(svm.NuSVC(nu=0.1, gamma=GAMMA, tol=1e-6), X, y % 2, weight)
    assert_same_machine(models, X, 1e-2)


def test_one_class(svm, digits):
    X, _ = digits
    on_gpu, on_cpu = (model for model in fitted(svm.OneClassSVM(nu=0.2, gamma=GAMMA, tol=1e-6), X, None))
    assert_same_machine((on_gpu, on_cpu), X, 1e-3)


def test_a_precomputed_kernel(svm, digits):
    X, y = digits
    K = rbf_kernel(X, gamma=GAMMA)
    models = fitted(svm.SVC(kernel="precomputed", tol=1e-5, decision_function_shape="ovo"), K, y)
    assert_same_machine(models, K)


def test_a_kernel_of_the_users_own(svm, digits):
    X, y = digits
    own = fitted(svm.SVC(kernel=Kernel(gaussian), tol=1e-5, decision_function_shape="ovo"), X[:600], y[:600])
    built_in = fitted(svm.SVC(gamma=GAMMA, tol=1e-5, decision_function_shape="ovo"), X[:600], y[:600])
    assert_same_machine(own, X)
    assert_same_machine((own[0], built_in[0]), X)
