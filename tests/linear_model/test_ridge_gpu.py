"""Ridge regressions on a GPU: arrays of CuPy's in, the CPU's results."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastml.linear_model import Ridge, RidgeClassifier

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    import cupy

    return cupy


@pytest.mark.parametrize("solver", ["cholesky", "agd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [None, np.arange(1797) % 3 / 2.0], ids=["unweighted", "weighted"])
def test_device_arrays(cupy, solver, dtype, weight):
    X, y = load_digits(return_X_y=True)
    X = X.astype(dtype)
    given = cupy.asarray(X)
    for model, target in ((Ridge(alpha=1.0), y.astype(float)), (RidgeClassifier(alpha=1.0), y)):
        model.set_params(solver=solver, tol=1e-4, max_iter=5000)
        coef = model.fit(X, target, weight).coef_.copy()
        predicted = model.predict(X)
        np.testing.assert_allclose(model.fit(given, target, weight).coef_, coef, rtol=1e-3, atol=1e-3)
        there = model.predict(given)
        assert isinstance(there, cupy.ndarray)
        np.testing.assert_allclose(there.get(), predicted, rtol=1e-3, atol=1e-2)


def test_what_has_no_gpu_kernel_fetches_its_rows(cupy):
    X, y = load_digits(return_X_y=True)
    model = Ridge(alpha=1.0, solver="svd").fit(cupy.asarray(X), y)
    np.testing.assert_allclose(model.coef_, Ridge(alpha=1.0, solver="svd").fit(X, y).coef_)
