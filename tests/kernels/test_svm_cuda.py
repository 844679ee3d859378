"""Predictions of kernel machines on CUDA, beside the CPU's of the same machine.

Here, and not beside the estimators' other tests, since the simulator is only switched on for this folder.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from test_gram import laplacian

from fastml import Kernel, config_context
from fastml.svm import SVC, SVR, OneClassSVM, _decision

X, Y = load_iris(return_X_y=True)
# The simulator takes some microseconds for an element.
X, Y = X[::5], Y[::5]


@pytest.fixture
def sums_on_cuda(cuda, monkeypatch):
    """How many rows each call on the device has made sums of."""
    n_rows, expansions = [], cuda.gram.expansions

    def counted(A, *arguments):
        n_rows.append(A.shape[0])
        return expansions(A, *arguments)

    monkeypatch.setattr(cuda.gram, "expansions", counted)
    return n_rows


def decision(model, rows, device):
    with config_context(device=device):
        return model.predict(rows) if isinstance(model, SVR) else model.decision_function(rows)


@pytest.mark.parametrize("stays_sparse", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    ("Estimator", "kernel"), [(SVC, "rbf"), (SVC, Kernel(laplacian)), (SVR, "poly"), (OneClassSVM, "linear")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions(sums_on_cuda, monkeypatch, Estimator, kernel, container, dtype, stays_sparse):
    if stays_sparse:
        monkeypatch.setattr("fastml.svm._training.SMALL_SIZE", 0)
        monkeypatch.setattr("fastml.kernels.cuda.gram.DENSE_BYTES", -1)
    monkeypatch.setattr(_decision, "BLOCK_BYTES", 1)
    monkeypatch.setattr(_decision, "MIN_BLOCK_ROWS", 13)
    rows = container(X.astype(dtype))
    model = Estimator(kernel=kernel).fit(rows, Y)
    expected = decision(model, rows, "cpu")
    assert sums_on_cuda == []
    values = decision(model, rows, "cuda")
    assert sums_on_cuda == [13, 13, 4]
    assert type(values) is np.ndarray
    assert_allclose(values, expected, rtol=1e-4, atol=1e-4 if dtype == np.float32 else 1e-8)
    # The layout that was kept is of the device that it is for.
    assert_array_equal(decision(model, rows, "cpu"), expected)


def test_a_kernel_matrix_that_is_given_is_summed_where_it_lies(sums_on_cuda):
    K = X @ X.T
    model = SVC(kernel="precomputed").fit(K, Y)
    assert_array_equal(decision(model, K, "cuda"), decision(model, K, "cpu"))
    assert sums_on_cuda == []
