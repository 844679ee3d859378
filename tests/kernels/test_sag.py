"""The contract of SAG and SAGA: every backend beside the reference, step for step."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from linear_problems import AROUND_VECTORS, backends_but, draw_X, labels
from numba import njit
from numpy.testing import assert_allclose

import fastml
from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.glm_data import LOSSES, REGRESSION_LOSSES, Data, Rule
from fastml.kernels.linear_data import PADDING
from fastml.kernels.reference import sag as reference
from fastml.kernels.sag_state import RECORD, Model

EPOCHS = 3
LIPSCHITZ = 2.0  # of the steepest of the losses

each_backend = pytest.mark.parametrize("device", backends_but(reference.LEFT_OUT))
drawn = settings(
    max_examples=examples(60),
    suppress_health_check=list(HealthCheck),
    deadline=None,
    derandomize=True,
    database=None,
)


@njit
def quartic(y, z):
    return np.log(1.0 + (z - y) ** 2)


@njit
def quartic_derivative(y, z):
    return 2.0 * (z - y) / (1.0 + (z - y) ** 2)


CUSTOM = fastml.Loss(quartic, quartic_derivative, lipschitz=2.0)


def test_what_is_left_out_says_why():
    assert set(reference.LEFT_OUT) == {"cuda"}
    assert "chain" in reference.LEFT_OUT["cuda"]


def largest_norm(X):
    return max(1.0, max(np.sum(reference._row(X, i) ** 2) for i in range(X.shape[0])))


def new_model(data, rule, rng, *, saga, beta, alpha, rows=None, weighting=-1, tol=0.0, max_iter=EPOCHS):
    """A model somewhere, before its first step."""
    n_rows, n_features = data.X.shape
    heaviest = 1.0 if weighting < 0 else max(1.0, data.weight[weighting].max())
    bound = LIPSCHITZ * heaviest * (largest_norm(data.X) + 1.0) + alpha
    record = np.zeros(1, RECORD)
    first = record[0]
    first["positive_class"], first["weighting"] = rng.integers(3), weighting
    first["target"] = rng.integers(len(data.target)) if data.target.ndim == 2 else 0
    first["saga"], first["fit_intercept"] = saga, rng.integers(2)
    first["n_draws"], first["max_iter"] = n_rows if rows is None else len(rows), max_iter
    first["seed"] = rng.integers(2**63)
    first["step_size"] = 1.0 / (3.0 * bound) if saga else 1.0 / (2.0 * bound)
    first["alpha"], first["beta"], first["tol"], first["finite"] = alpha, beta, tol, 1
    coef = np.zeros((rule.n_columns, n_features + -n_features % PADDING))
    coef[:, :n_features] = rng.standard_normal((rule.n_columns, n_features)) * rng.choice([0.0, 0.01, 1.0])
    return Model(
        record=record,
        rows=rows,
        coef=coef,
        intercept=rng.standard_normal(rule.n_columns),
        gradient_sum=np.zeros_like(coef),
        intercept_gradient=np.zeros(rule.n_columns),
        memory=np.full((n_rows, rule.n_columns), np.nan),
        previous=np.zeros_like(coef),
    )


@st.composite
def problems(draw, loss):
    """Data and a few models, at the start."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = draw_X(draw, rng, draw(st.integers(1, 20)), draw(st.sampled_from(AROUND_VECTORS)))
    n_rows = X.shape[0]
    n_columns = draw(st.sampled_from([2, 3, 8, 10])) if loss == "multinomial" else 1
    values = rng.standard_normal((2, n_rows))
    target = values if loss in (*REGRESSION_LOSSES, CUSTOM) else labels(rng, n_rows, max(2, n_columns))
    weight = rng.uniform(0.2, 2.0, (2, n_rows)) * (rng.random((2, n_rows)) < 0.7)
    weight[:, rng.integers(n_rows)] = 1.0
    data, rule = Data(X, target, weight), Rule(loss, n_columns, epsilon=0.3)
    models = []
    for _ in range(draw(st.integers(1, 3))):
        weighting = draw(st.sampled_from([-1, 0, 1]))
        rows = None if weighting < 0 else np.flatnonzero(weight[weighting]).astype(np.int32)
        saga = draw(st.booleans())
        models.append(
            new_model(
                data,
                rule,
                rng,
                saga=saga,
                beta=draw(st.sampled_from([0.0, 0.003, 0.3])) if saga else 0.0,
                alpha=draw(st.sampled_from([0.0, 0.1, 1e3])),
                rows=rows,
                weighting=weighting,
                tol=draw(st.sampled_from([0.0, 0.3])),
            )
        )
    return data, rule, models


def advanced(advance, data, rule, models, work):
    """Copies of the models, taken on until they are done."""
    models = copy.deepcopy(models)
    for _ in range(100_000):
        running = [model for model in models if not model.record["done"][0]]
        if not running:
            return models
        advance(data, rule, running, work)
    raise AssertionError("never done")


def assert_same_models(ours, expected, tolerance=1e-10):
    for got, wanted in zip(ours, expected, strict=True):
        for name in ("n_iter", "n_seen", "seed", "done", "converged", "finite", "cursor"):
            assert got.record[name] == wanted.record[name], name
        for name in ("coef", "intercept", "gradient_sum", "intercept_gradient", "memory", "previous"):
            scale = np.nanmax(np.abs(getattr(wanted, name)), initial=1.0)
            assert_allclose(
                getattr(got, name), getattr(wanted, name), atol=tolerance * scale, rtol=0, err_msg=name
            )


@each_backend
@pytest.mark.parametrize("loss", [*sorted(set(LOSSES) - {"poisson"}), CUSTOM], ids=str)
def test_epochs(device, loss):
    backend = for_device(device).sag.advance
    if loss is CUSTOM:
        loss.compile()

    @drawn
    @given(problems(loss), st.sampled_from([1.0, 3000.0, 1e9]))
    def keeps_the_contract(problem, work):
        data, rule, models = problem
        expected = advanced(reference.advance, data, rule, models, 1.0)
        assert_same_models(advanced(backend, data, rule, models, work), expected)

    keeps_the_contract()


@each_backend
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 3.0])
@pytest.mark.parametrize("saga", [False, True], ids=["sag", "saga"])
def test_steps_that_wait_long(device, alpha, saga):
    """Features that come up once in hundreds of steps, whose weights cross zero meanwhile, at several bounds."""
    rng = np.random.default_rng(5)
    n_rows, n_features = 1100, 40
    columns = np.sort(rng.integers(1, n_features, n_rows)).astype(np.int32)
    columns[10:] = 0  # the others are in a few rows only
    values = rng.standard_normal(n_rows)
    X = CSR(values, columns, np.arange(n_rows + 1, dtype=np.int32), (n_rows, n_features))
    data, rule = Data(X, rng.standard_normal((1, n_rows)) * 30.0), Rule("squared_error")
    for beta in (0.0, 1e-4, 1e-2) if saga else (0.0,):
        model = new_model(data, rule, rng, saga=saga, beta=beta, alpha=alpha)
        model.coef[:, :n_features] = rng.standard_normal(n_features)
        expected = advanced(reference.advance, data, rule, [model], 1.0)
        if beta == 1e-4 and alpha == 0.0:
            crossed = (model.coef * expected[0].coef < 0.0).sum()
            assert crossed > 0  # or this tests less than it says
        assert_same_models(advanced(for_device(device).sag.advance, data, rule, [model], 1e9), expected, 1e-8)


@each_backend
def test_every_row_is_drawn_equally_often(device):
    n_rows, epochs = 7, 10_000
    rng = np.random.default_rng(0)
    data, rule = Data(np.ones((n_rows, 1)), rng.random((1, n_rows))), Rule("squared_error")
    model = new_model(data, rule, rng, saga=False, beta=0.0, alpha=0.0, max_iter=epochs, tol=-1.0)
    draws = np.bincount([reference._draw(model, model.record[0]) for _ in range(n_rows * epochs)])
    assert abs(draws - epochs).max() < 5.0 * epochs**0.5
    (moved,) = advanced(for_device(device).sag.advance, data, rule, [model], 1e9)
    assert moved.record["n_iter"] == epochs
    assert moved.record["n_seen"] == n_rows


def test_weights_that_overflow_end_a_model():
    from fastml.kernels.cpu import sag

    X = np.full((3, 2), 1e200)
    data, rule = Data(X, np.ones((1, 3))), Rule("squared_error")
    model = new_model(data, rule, np.random.default_rng(0), saga=True, beta=0.0, alpha=0.0)
    model.record["step_size"] = 1.0
    sag.advance(data, rule, [model], 1e9)
    assert model.record["done"] == 1
    assert model.record["finite"] == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"rows": np.array([0, 9], np.int32)}, ValueError),
        ({"rows": np.array([0], np.int32)}, TypeError),
        ({"memory": np.zeros((3, 1))}, TypeError),
        ({"coef": np.zeros((1, 5))}, TypeError),
        ({"gradient_sum": np.zeros((1, 8), np.float32)}, TypeError),
        ({"intercept": np.zeros(0)}, TypeError),
        ({"record": np.zeros(1)}, TypeError),
    ],
)
def test_arrays_that_c_must_not_follow_are_refused(change, error):
    from fastml.kernels.cpu import sag

    data, rule = Data(np.ones((4, 5)), np.zeros((1, 4))), Rule("squared_error")
    rows = np.array([0, 1], np.int32)
    model = new_model(data, rule, np.random.default_rng(0), saga=True, beta=0.0, alpha=0.0, rows=rows)
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(error):
        sag.advance(data, rule, [model], 1.0)


@pytest.mark.parametrize(
    ("target", "rule", "fields", "error"),
    [
        (np.array([0, 1, 2, 3], np.int32), Rule("multinomial", 3), {}, ValueError),
        (np.zeros((1, 4)), Rule("multinomial", 3), {}, TypeError),
        (np.zeros((1, 3)), Rule("squared_error"), {}, ValueError),
        (np.zeros((1, 4)), Rule("squared_error"), {"target": 1}, ValueError),
        (np.zeros((1, 4)), Rule("squared_error"), {"weighting": 2}, ValueError),
        (np.zeros((1, 4)), Rule("squared_error"), {"n_draws": 5}, ValueError),
        (np.zeros((1, 4)), Rule("squared_error", 2), {}, ValueError),
        (np.zeros((1, 4)), Rule("poisson"), {}, ValueError),
    ],
)
def test_targets_that_c_must_not_follow_are_refused(target, rule, fields, error):
    from fastml.kernels.cpu import sag

    data = Data(np.ones((4, 5)), target, np.ones((2, 4)))
    model = new_model(data, rule, np.random.default_rng(0), saga=True, beta=0.0, alpha=0.0)
    for name, value in fields.items():
        model.record[name] = value
    with pytest.raises(error):
        sag.advance(data, rule, [model], 1.0)
