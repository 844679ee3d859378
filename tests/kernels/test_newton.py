"""The contract of the trust-region Newton method: every backend beside the reference, step for step.

Conjugate gradients amplify rounding: on a few of these problems from 1e-16 to 1e-5 within two Newton steps.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from linear_problems import AROUND_VECTORS, backends_but, draw_X, labels, weights
from numpy.testing import assert_allclose

from fastml.kernels import for_device
from fastml.kernels.linear_data import Data
from fastml.kernels.reference import newton as reference
from fastml.solvers._models import Binary
from fastml.solvers.newton._solve import _model

each_backend = pytest.mark.parametrize("device", backends_but(reference.LEFT_OUT))


@each_backend
@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(device, name):
    assert callable(getattr(for_device(device).newton, name))


@st.composite
def problems(draw):
    """Data, what each model learns, and how many blocks its rows are in."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = draw_X(draw, rng, draw(st.integers(3, 40)), draw(st.sampled_from(AROUND_VECTORS)))
    n_rows = X.shape[0]
    regression, logistic = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    target = rng.standard_normal(n_rows) if regression else labels(rng, n_rows, 3)
    data = Data(X, target, weights(draw, rng, n_rows), draw(st.sampled_from([0.0, 1.0, 0.3])))
    given_models = [
        Binary(k, *10.0 ** rng.uniform(-2, 1, 2), tol=1e-3)
        for k in range(1 if regression else draw(st.integers(1, 3)))
    ]
    starts = np.sort(np.append(rng.integers(0, n_rows + 1, draw(st.integers(0, 3))), [0, n_rows])).astype(
        np.int64
    )
    return data, given_models, starts, draw(st.booleans()), logistic


def solved(advance, data, given_models, starts, has_room, logistic, max_iter):
    n_rows, n_features = data.X.shape
    models = [
        _model(problem, starts, n_rows, n_features + 1, 0.1, max_iter, logistic) for problem in given_models
    ]
    for model in models:
        model.hessian = model.hessian if has_room else None
    for _ in range(100_000):
        running = [model for model in models if not model.record["done"][0]]
        if not running:
            return models
        advance(data, running)
    raise AssertionError("never done")


@each_backend
def test_steps(device):
    backend = for_device(device).newton.advance

    @settings(max_examples=examples(200), suppress_health_check=list(HealthCheck), deadline=None)
    @given(problems(), st.sampled_from([1.0, 5000.0, 1e9]), st.sampled_from([1, 2, 3, 100]))
    def keeps_the_contract(problem, work, max_iter):
        data = problem[0]
        expected = solved(lambda *some: reference.advance(*some, 1.0), *problem, max_iter)
        got = solved(lambda *some: backend(*some, work), *problem, max_iter)
        for ours, theirs in zip(got, expected, strict=True):
            size = data.X.shape[1] + (data.bias != 0.0)
            assert_allclose(ours.record["objective"], theirs.record["objective"], rtol=1e-6)
            assert ours.record["finite"] == 1
            if max_iter <= 3:  # later, rounding may choose another number of products
                assert ours.record["n_iter"] == theirs.record["n_iter"]
                assert_allclose(ours.vectors[0, :size], theirs.vectors[0, :size], rtol=1e-3, atol=1e-4)

    keeps_the_contract()


@each_backend
@pytest.mark.parametrize("has_room", [True, False])
def test_a_minimum(device, has_room):
    """The gradient of the objective, taken here, vanishes; with the Hessian as a matrix and without."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 20))
    y = (X[:, 0] + 0.5 * rng.standard_normal(500) > 0).astype(np.int32)
    data = Data(X, y, None, 1.0)
    (model,) = solved(
        lambda *some: for_device(device).newton.advance(*some, 1e9),
        data,
        [Binary(1, 2.0, 0.5, 1e-10)],
        np.array([0, 200, 500]),
        has_room,
        False,
        100,
    )
    rows, signs = np.column_stack([X, np.ones(500)]), 2.0 * y - 1.0
    w = model.vectors[0, :21]
    slack = np.maximum(0.0, 1.0 - signs * (rows @ w))
    gradient = w - 2.0 * rows.T @ (np.where(y == 1, 2.0, 0.5) * signs * slack)
    assert np.abs(gradient).max() < 1e-7 * np.abs(rows.sum(axis=0)).max()
    assert model.record["credit"][0] > 0.0 or has_room


@each_backend
def test_a_minimum_of_logistic_losses(device):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 20))
    y = (X[:, 0] + 0.5 * rng.standard_normal(500) > 0).astype(np.int32)
    (model,) = solved(
        lambda *some: for_device(device).newton.advance(*some, 1e9),
        Data(X, y, None, 1.0),
        [Binary(1, 2.0, 0.5, 1e-10)],
        np.array([0, 200, 500]),
        False,
        True,
        100,
    )
    rows, signs = np.column_stack([X, np.ones(500)]), 2.0 * y - 1.0
    w = model.vectors[0, :21]
    gradient = w - rows.T @ (np.where(y == 1, 2.0, 0.5) * signs / (1.0 + np.exp(signs * (rows @ w))))
    assert np.abs(gradient).max() < 1e-7 * np.abs(rows.sum(axis=0)).max()


@each_backend
@pytest.mark.parametrize("margin", [-2000.0, -750.0, -36.0, 0.0, 36.0, 750.0, 2000.0])
def test_logistic_losses_far_from_the_boundary(device, margin):
    """exp is taken of nothing that overflows, and a large loss is its margin."""
    data = Data(np.array([[margin]]), np.array([1], np.int32), None, 0.0)
    model = _model(Binary(1, 1.0, 1.0, tol=1.0), np.array([0, 1]), 1, 2, 0.0, 1, True)
    model.vectors[0, 0] = 1.0
    for_device(device).newton.advance(data, [model], 1.0)
    assert model.record["finite"] == 1
    assert_allclose(model.record["objective"], 0.5 + np.logaddexp(0.0, -margin), rtol=1e-14)


@each_backend
def test_blocks_cover_the_rows(device):
    blocks = for_device(device).newton.block_starts(np.empty((3000, 400)), 1)
    assert blocks[0] == 0
    assert blocks[-1] == 3000
    assert (np.diff(blocks) > 0).all()
    assert list(for_device(device).newton.block_starts(np.empty((3000, 400)), 3)) == [0, 3000]
