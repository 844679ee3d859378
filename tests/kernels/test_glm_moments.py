"""The contract of the moments, which least squares are solved from: every backend beside the reference."""

import numpy as np
import pytest
from glm_problems import ROUNDINGS, assert_within, filled, in_float64, sent
from numpy.testing import assert_array_equal
from test_glm import drawn

from fastml.kernels.glm_data import Data
from fastml.kernels.reference import glm as reference


@pytest.mark.parametrize("loss", ["squared_error", "multinomial"])
def test_moments(backend, loss):
    """Of values and of codes, about a shift, of all rows or of some."""

    @drawn(backend, loss)
    def keeps_the_contract(problem):
        data, n = problem.data, problem.rows.shape[1]
        rng = np.random.default_rng(len(problem.rows))
        coded = data.target.dtype == np.int32
        n_targets = rng.integers(0, 4) if coded else len(data.target)
        shift = np.concatenate([problem.rows[:1, :-1].ravel(), np.zeros(n - 1)])[: n - 1]
        shift = np.concatenate([shift, 0.5 * np.ones(n_targets)])
        weighting = -1 if data.weight is None else rng.integers(-1, 2)
        taken = rng.integers(0, len(problem.rows), len(problem.rows)) if rng.random() < 0.5 else None
        exact = bool(rng.integers(0, 2))
        epsilon = np.finfo(np.float64).eps if exact else problem.epsilon
        wanted = filled((n + n_targets, n))
        got = backend.arrays.send(filled(wanted.shape))
        reference.moments(in_float64(data), shift, wanted, weighting, taken)
        backend.glm.moments(sent(backend, data), shift, got, weighting, taken, exact)
        got = backend.arrays.fetch(got)
        weight = np.ones(len(problem.rows)) if weighting < 0 else data.weight[weighting]
        weight = weight if taken is None else weight * np.bincount(taken, minlength=len(weight))
        target = np.ones((n_targets, len(weight))) if coded else np.abs(data.target)
        sizes = (
            np.abs(np.concatenate([problem.rows.T, target]))
            + np.abs(np.concatenate([shift[: n - 1], [0.0], shift[n - 1 :]]))[:, None]
        )
        off = ROUNDINGS * epsilon * ((weight * sizes) @ sizes[:n].T)
        assert_within(got, wanted, off, problem, "moments")
        assert_array_equal(got[:n], got[:n].T)

    keeps_the_contract()


def test_moments_about_the_mean_keep_their_digits(backend):
    """Of float32 columns whose mean is a thousand times their spread: what is left about it is exact."""
    rng = np.random.default_rng(0)
    X = (1000.0 + rng.standard_normal((400, 3))).astype(np.float32)
    data, shift = Data(X, np.zeros((1, 400))), np.array([1000.0, 1000.0, 1000.0, 0.0])
    out, wanted = backend.arrays.send(filled((5, 4))), filled((5, 4))
    reference.moments(data, shift, wanted)
    for exact, rtol, atol in ((False, 1e-5, 1e-3), (True, 1e-13, 1e-11)):
        backend.glm.moments(sent(backend, data), shift, out, exact=exact)
        got = backend.arrays.fetch(out)
        np.testing.assert_allclose(got[:4, :4], wanted[:4, :4], rtol=rtol, atol=atol)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(("n_rows", "n_features"), [(3000, 70), (300, 1100)])
def test_moments_of_many_rows_and_of_many_features(n_threads, n_rows, n_features):
    """Shares of rows; and, where tables are large, shares of columns. Results repeat to the bit."""
    from fastml.kernels.cpu import _glm

    rng = np.random.default_rng(0)
    data = Data(
        rng.standard_normal((n_rows, n_features)), rng.standard_normal((2, n_rows)), rng.random((1, n_rows))
    )
    shift = rng.standard_normal(n_features + 2)
    wanted, got = filled((n_features + 3, n_features + 1)), []
    reference.moments(data, shift, wanted, 0)
    for _ in range(2):
        got.append(filled(wanted.shape))
        _glm.moments(data, shift, got[-1], 0, None, False, n_threads)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-10, atol=1e-10 * n_rows)
    assert_array_equal(got[0], got[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shift": np.zeros(2)}, "shift must be"),
        ({"out": np.zeros((4, 4))}, "out must be of shape"),
        ({"weighting": 1}, "weighting must be"),
        ({"rows": np.array([0, 5])}, "rows must be in"),
        ({"rows": np.array([-1])}, "rows must be in"),
        ({"rows": np.array([0.0])}, "rows must be"),
    ],
    ids=str,
)
def test_what_c_would_read_is_checked(change, message):
    from fastml.kernels.cpu import glm

    data = Data(np.ones((5, 3)), np.ones((1, 5)), np.ones((1, 5)))
    arguments = {"shift": np.zeros(4), "out": np.zeros((5, 4)), "weighting": 0, "rows": None} | change
    with pytest.raises((TypeError, ValueError), match=message):
        glm.moments(data, **arguments)
