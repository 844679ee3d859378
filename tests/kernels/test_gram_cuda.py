"""What is particular to the Gram kernels on CUDA: sparse rows that are not made dense, pieces, the shift.

The contract that all backends share is held by test_gram.py.
"""

import numpy as np
import pytest
from numba.core.errors import TypingError
from test_gram import Problem, assert_close, computed, dense, laplacian, sparse

from fastml import Kernel
from fastml._kernel import KernelFunction

RBF = KernelFunction("rbf", 0.3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def all_sparse(monkeypatch):
    """As if memory were short: sparse rows stay sparse."""
    monkeypatch.setattr("fastml.kernels.cuda.gram.DENSE_BYTES", -1)


def sparse_pair(rng, dtype, index=np.int32, sizes=(35, 9), n_features=23):
    """More rows than are multiplied at once; some are the same, some empty."""
    A, B = (dense(rng, n, n_features, dtype) for n in sizes)
    A[3], A[4], B[5] = 0.0, B[1], 0.0
    kept = rng.random(n_features) < 0.6
    return (sparse(X * kept, rng, 1.0, index) for X in (A, B))


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["linear", "poly", "rbf", "sigmoid"])
def test_rows_that_stay_sparse(cuda, rng, name, dtype, index):
    A, B = sparse_pair(rng, dtype, index)
    problem = Problem(A, B, KernelFunction(name, 0.1, 0.5, 3), None)
    assert_close(computed(cuda.gram, problem, padding=2), problem)


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_equal_rows_that_stay_sparse_give_exactly_one(cuda, rng, dtype):
    for offset in (0.0, 1e4):
        X = sparse(dense(rng, 12, 30, dtype, offset=offset), rng, 0.4, np.int32)
        X = X._replace(data=np.where(rng.random(len(X.data)) < 0.1, 0, X.data))
        values = computed(cuda.gram, Problem(X, X, RBF, None))
        np.testing.assert_array_equal(np.diag(values), 1.0)
        assert np.all((values >= 0.0) & (values <= 1.0))
        assert_close(values, Problem(X, X, RBF, None))


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("name", ["rbf", "custom"])
def test_pieces(cuda, rng, name, monkeypatch):
    """The same values to the bit, one row at a time."""
    kernel = KernelFunction(name, 0.3, function=Kernel(laplacian))
    A, B = sparse_pair(rng, "f4", sizes=(5, 9))
    at_once = computed(cuda.gram, Problem(A, B, kernel, None))
    monkeypatch.setattr("fastml.kernels.cuda.gram.PIECE_BYTES", 1)
    np.testing.assert_array_equal(computed(cuda.gram, Problem(A, B, kernel, None)), at_once)


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_a_shift_is_chosen_where_it_pays(cuda, rng, offset):
    A, B = (dense(rng, n, 6, "f4", offset=offset) for n in (4, 20))
    prepared = cuda.gram.prepare(cuda.arrays.send(B), RBF)
    assert (prepared.shift is not None) == (offset > 0)
    assert cuda.gram.prepare(cuda.arrays.send(B), KernelFunction("linear")).shift is None
    problem = Problem(A, B, RBF, None)
    assert_close(computed(cuda.gram, problem), problem)


@pytest.mark.parametrize("gamma", [0.0, 1e-50])
def test_products_that_overflow_while_distances_do_not(cuda, gamma):
    A = np.array([[1.3e24], [1e-3]], np.float32)
    B = np.array([[-1.3e24], [6.4e24], [1.3e24]], np.float32)
    values = computed(cuda.gram, Problem(A, B, KernelFunction("rbf", gamma), None))
    distances = np.square(A.astype("f8") - B.T)
    np.testing.assert_allclose(values, np.exp(-gamma * distances), rtol=1e-6)


def test_a_kernel_that_does_not_compile_is_named(cuda, rng, monkeypatch):
    """The simulator compiles nothing: what the compiler says stands in for it."""

    class Refused:
        def __getitem__(self, launch):
            def compile_and_launch(*args):
                raise TypingError("no conversion from text to float64")

            return compile_and_launch

    monkeypatch.setattr("fastml.kernels.cuda.gram.custom_kernel", lambda function, dtype: Refused())
    X = dense(rng, 3, 4, "f8")
    kernel = KernelFunction("custom", function=Kernel(laplacian))
    with pytest.raises(
        TypeError, match=r"the function 'laplacian'.* two rows of float64.*: no conversion from text"
    ):
        computed(cuda.gram, Problem(X, X, kernel, None))
