"""The contract of the arrays family: what goes to a device comes back as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sgd_problems import ragged

from fastml.kernels import arrays_of, for_device
from fastml.kernels.reference import arrays as reference
from fastml.kernels.sgd_state import MODEL, PROGRESS

HOST_ARRAYS = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.bool_]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
)


@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(backend, name):
    assert callable(getattr(backend.arrays, name))


def assert_returns(backend, host):
    before = host.copy()
    device = backend.arrays.send(host)
    fetched = backend.arrays.fetch(device)
    assert backend.arrays.send(device) is device
    assert type(fetched) is np.ndarray
    assert fetched.dtype == host.dtype
    assert fetched.flags.writeable
    assert_array_equal(fetched, before)


def test_arrays_return(backend):
    @given(HOST_ARRAYS)
    def keeps_the_contract(host):
        assert_returns(backend, host)

    keeps_the_contract()


@pytest.mark.parametrize("dtype", [MODEL, PROGRESS])
@pytest.mark.parametrize("n_models", [1, 3])
def test_records_return(backend, dtype, n_models):
    assert_returns(backend, np.zeros(n_models, dtype))


def test_strides_return(backend):
    base = np.arange(24.0).reshape(4, 6)
    for host in (base.T, base[:, :5], base[::-1], base[1:3, ::2]):
        assert_returns(backend, host)


def test_none_stays_none(backend):
    assert backend.arrays.send(None) is None


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_csr_is_the_same_matrix(backend, index):
    X = ragged(np.random.default_rng(0), (6, 9), np.dtype("f8"), index)
    sent = backend.arrays.send(X)
    assert sent.shape == X.shape
    assert sent.dtype == X.dtype
    data, indices, indptr = (backend.arrays.fetch(part) for part in (sent.data, sent.indices, sent.indptr))
    np.testing.assert_allclose(
        csr_matrix((data, indices, indptr), X.shape).toarray(),
        csr_matrix((X.data, X.indices, X.indptr), X.shape).toarray(),
        rtol=1e-15,
    )


@pytest.mark.parametrize("shape", [0, 3, (2, 3), (0, 4)])
def test_empty_is_the_devices(backend, shape):
    array = backend.arrays.empty(shape, np.float32)
    assert array.shape == np.empty(shape).shape
    assert array.dtype == np.float32
    assert backend.arrays.send(array) is array
    array[...] = 3.0
    assert_array_equal(backend.arrays.fetch(array), np.full(shape, 3.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (0, 4)])
def test_all_finite(backend, dtype, shape):
    host = np.full(shape, np.finfo(dtype).max)
    assert backend.arrays.all_finite(backend.arrays.send(host)) is True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [(0, 0), (1, 2)])
def test_not_all_finite(backend, dtype, value, position):
    host = np.zeros((2, 3), dtype)
    host[position] = value
    assert backend.arrays.all_finite(backend.arrays.send(host)) is False


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_an_array_is_set(backend, dtype):
    """From host memory, a part of it too, from the device, and from a number."""
    arrays_ = backend.arrays
    array = arrays_.send(np.zeros((3, 2), dtype))
    arrays_.assign(array, np.arange(6).reshape(3, 2))
    assert_array_equal(arrays_.fetch(array), np.arange(6).reshape(3, 2))
    arrays_.assign(array[1:], arrays_.send(np.full((2, 2), 9, dtype)))
    arrays_.assign(array[:1], 7)
    assert_array_equal(arrays_.fetch(array), [[7, 7], [9, 9], [9, 9]])


def test_arrays_know_their_backend(backend):
    array = backend.arrays.send(np.zeros(3))
    assert backend.arrays.is_own(array)
    assert arrays_of(array) is backend.arrays
    assert arrays_of(np.zeros(3)) is for_device("cpu").arrays
