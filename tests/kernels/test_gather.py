"""The contract of gathering rows: every backend beside the reference."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_problems import DTYPES, agree, called, examples_on, on_cuda, same_on_threads, sent

each_out = pytest.mark.parametrize("dtype", DTYPES)


def data(rng, dtype, shape):
    return (
        rng.integers(0, 256, shape).astype(dtype)
        if dtype == np.uint8
        else rng.standard_normal(shape).astype(dtype)
    )


def test_rows(backend):
    @settings(max_examples=examples_on(backend, 100), suppress_health_check=list(HealthCheck))
    @given(
        st.integers(0, 2**32 - 1),
        st.sampled_from([(), (1,), (7,), (3, 5), (33,), (4, 4, 3)]),
        st.sampled_from([np.uint8, *DTYPES]),
        st.sampled_from(DTYPES),
        st.sampled_from([(1.0, 0.0), (1 / 255, 0.0), (1 / 127.5, -1.0)]),
    )
    def keeps_the_contract(seed, shape, kind, out_kind, rescaling):
        rng = np.random.default_rng(seed)
        X = data(rng, kind, (rng.integers(1, 20), *shape))
        rows = rng.integers(0, len(X), rng.integers(0, 30))
        agree(backend, "gather.rows", X, rows, np.empty((len(rows), *shape), out_kind), *rescaling, units=4.0)

    keeps_the_contract()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_one_dtype_is_copied(backend, kind):
    """To the bit, NaN and denormals included; labels are gathered like this."""
    rng = np.random.default_rng(0)
    X = np.frombuffer(rng.bytes(50 * np.dtype(kind).itemsize), kind).reshape(10, 5)
    rows = np.array([3, 3, 9, 0], np.int64)
    assert called(backend, "gather.rows", X, rows, np.empty((4, 5), kind))[2].tobytes() == X[rows].tobytes()


@each_out
def test_threads(backend, dtype):
    rng = np.random.default_rng(0)
    n, width = (5, 9) if on_cuda(backend) else (2000, 784)
    X = data(rng, np.uint8, (n, width))
    same_on_threads(backend, "gather.rows", X, rng.permutation(n), np.empty((n, width), dtype), 1 / 255)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": np.zeros(3, np.int32)},
        {"out": np.empty((3, 5), np.float32)},
        {"out": np.empty((2, 4), np.float32)},
        {"out": np.empty((3, 8), np.float32)[:, ::2]},
        {"X": np.zeros((6, 4), np.complex64)},
        {"X": np.zeros((6, 4), object)},
        {"scale": np.inf},
    ],
)
def test_what_does_not_fit_is_refused(backend, change):
    arguments = {
        "X": np.zeros((6, 4), np.float64),
        "rows": np.zeros(3, np.int64),
        "out": np.empty((3, 4), np.float32),
    }
    given = {**arguments, **change}
    with pytest.raises((TypeError, ValueError)):
        backend.gather.rows(*sent(backend, *given.values()))
