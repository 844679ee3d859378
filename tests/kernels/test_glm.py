"""The contract of the passes for generalised linear models: every backend beside the reference."""

import numpy as np
import pytest
from glm_problems import (
    LOG_COSH,
    ROUNDINGS,
    Sizes,
    assert_keeps_the_contract,
    assert_within,
    csr_of,
    draw_dense,
    expected,
    filled,
    in_float64,
    problems,
    sent,
)
from hypothesis import HealthCheck, given, settings
from hypothesis_profiles import examples
from numpy.testing import assert_array_equal
from scipy.optimize import approx_fprime

from fastml._csr import CSR
from fastml.kernels.glm_data import LOSSES, Data, Rule, new_models
from fastml.kernels.reference import glm as reference

ALL_LOSSES = [*LOSSES, LOG_COSH]

# The CPU's panels have six columns, chunks 48; a vector has up to 16 lanes.
SIZES = {
    "cpu": Sizes(
        rows=(0, 1, 2, 15, 16, 17, 40, 70),
        models=8,
        classes=(1, 2, 3, 6, 7, 10, 13, 50),
        features=(0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 65, 100),
    ),
    "cuda": Sizes(rows=(0, 1, 5, 40), models=2, classes=(1, 3), features=(0, 1, 5, 33)),
}
EXAMPLES = {"cpu": 150, "cuda": 10}


def device_of(backend):
    return backend.__name__.rpartition(".")[2]


def drawn(backend, loss):
    """Settings and problems for a backend."""
    device = device_of(backend)
    some = settings(
        max_examples=examples(EXAMPLES[device]), suppress_health_check=list(HealthCheck), deadline=None
    )
    return lambda test: some(given(problems(loss, SIZES[device]))(test))


@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(backend, name):
    assert callable(getattr(backend.glm, name))


@pytest.mark.parametrize("loss", ALL_LOSSES, ids=str)
def test_evaluate(backend, loss):
    @drawn(backend, loss)
    def keeps_the_contract(problem):
        assert_keeps_the_contract(backend, problem)

    keeps_the_contract()


@pytest.mark.parametrize("loss", ALL_LOSSES, ids=str)
def test_hessian_product(backend, loss):
    @drawn(backend, loss)
    def keeps_the_contract(problem):
        data, rule, models = problem.data, problem.rule, problem.models
        prediction = expected(problem)[2].astype(data.X.dtype)
        vectors = problem.weights[::-1].copy()
        wanted, got = filled(vectors.shape), backend.arrays.send(filled(vectors.shape))
        reference.hessian_product(in_float64(data), rule, models, prediction, vectors, wanted)
        backend.glm.hessian_product(
            sent(backend, data),
            rule,
            models,
            backend.arrays.send(prediction),
            backend.arrays.send(vectors),
            got,
        )
        steepest = np.exp(np.abs(prediction).max(initial=0.0)) if loss == "poisson" else 4.0
        sizes = np.abs(problem.rows) @ np.abs(vectors).T
        off = 2.0 * steepest * ROUNDINGS * problem.epsilon * (sizes.T @ np.abs(problem.rows))
        off = np.repeat(off.reshape(-1, rule.n_columns, off.shape[1]).sum(axis=1), rule.n_columns, axis=0)
        assert_within(backend.arrays.fetch(got), wanted, off, problem, "product")

    keeps_the_contract()


@pytest.mark.parametrize("loss", ALL_LOSSES, ids=str)
def test_hessian(backend, loss):
    @drawn(backend, loss)
    def keeps_the_contract(problem):
        if len(problem.models) == 0 or len(problem.weights[0]) * problem.rule.n_columns > 400:
            return
        n = problem.rule.n_columns
        prediction = expected(problem)[2].astype(problem.data.X.dtype)[:n].copy()
        models = problem.models[:1].copy()
        models["active"] = 1
        if not problem.models["active"][0]:
            prediction[:] = 1.0 / n
        shape = 2 * (problem.weights[:n].size,)
        wanted, got = filled(shape), backend.arrays.send(filled(shape))
        reference.hessian(in_float64(problem.data), problem.rule, models, prediction, wanted)
        backend.glm.hessian(
            sent(backend, problem.data), problem.rule, models, backend.arrays.send(prediction), got
        )
        got = backend.arrays.fetch(got)
        steepest = np.exp(np.abs(prediction).max(initial=0.0)) if loss == "poisson" else 4.0
        off = 2.0 * steepest * ROUNDINGS * problem.epsilon * (np.abs(problem.rows).T @ np.abs(problem.rows))
        assert_within(got, wanted, np.tile(off, (n, n)), problem, "hessian")
        assert_array_equal(got, got.T)

    keeps_the_contract()


def test_squared_error_needs_no_prediction(backend):
    rng = np.random.default_rng(0)
    X, vectors = rng.standard_normal((30, 5)), rng.standard_normal((1, 6))
    data, rows = Data(X, rng.standard_normal((1, 30))), np.column_stack([X, np.ones(30)])
    product, matrix = (backend.arrays.send(filled(shape)) for shape in ((1, 6), (6, 6)))
    rule, models = Rule("squared_error"), new_models(1)
    given_data = sent(backend, data)
    backend.glm.hessian_product(given_data, rule, models, None, backend.arrays.send(vectors), product)
    backend.glm.hessian(given_data, rule, models, None, matrix)
    np.testing.assert_allclose(backend.arrays.fetch(product)[0], rows.T @ (rows @ vectors[0]), rtol=1e-12)
    np.testing.assert_allclose(backend.arrays.fetch(matrix), rows.T @ rows, rtol=1e-12, atol=1e-12)


def test_margins(backend):
    @drawn(backend, "log_loss")
    def keeps_the_contract(problem):
        X, weights = problem.data.X, problem.weights
        out = backend.arrays.send(filled((X.shape[0], len(weights)), X.dtype))
        backend.glm.margins(backend.arrays.send(X), backend.arrays.send(weights), out)
        off = ROUNDINGS * problem.epsilon * (np.abs(problem.rows) @ np.abs(weights).T)
        assert_within(backend.arrays.fetch(out), problem.rows @ weights.T, off, problem, "margins")

    keeps_the_contract()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, in the simulator and in a user's loss
@pytest.mark.parametrize("n_features", [3, 40])
@pytest.mark.parametrize("loss", [loss for loss in ALL_LOSSES if loss != "poisson"], ids=str)
def test_margins_that_overflow(backend, loss, n_features):
    """Of a row that counts: NaN, whatever side of its loss it is on. Of a row that doesn't: nothing."""
    for sign in (1.0, -1.0):
        X = np.ones((20, n_features))
        X[7] = sign * 1e200
        weight = np.ones((2, 20))
        weight[1, 7] = 0.0
        target = np.ones(20, dtype=np.int32)
        rule = Rule(loss, 2 if loss == "multinomial" else 1)
        models = new_models(2)
        models["weighting"] = [0, 1]
        value, weights = backend.arrays.send(filled(2)), np.full((2 * rule.n_columns, n_features + 1), 1e150)
        weights[:: rule.n_columns] *= 0.5
        weights[:, :-1][:, 1:] = 0.0
        gradient = backend.arrays.send(filled(weights.shape))
        data = sent(backend, Data(X, target, weight))
        backend.glm.evaluate(data, rule, models, backend.arrays.send(weights), value, gradient)
        got = backend.arrays.fetch(value)
        assert np.isnan(got[0])
        assert not np.isnan(got[1])


@pytest.mark.parametrize("index", [None, np.int32])
@pytest.mark.parametrize("n_columns", [1, 10])
def test_many_rows(backend, n_columns, index):
    """More than one block, share and chunk."""
    if device_of(backend) == "cuda":
        n_rows, n_features, n_models = 40, 5, 2
    else:
        n_rows, n_features, n_models = 5000, 130, 12
    rng = np.random.default_rng(0)
    X = draw_dense(rng, (n_rows, n_features), np.dtype("f8"), 1.0, 0.5)
    rule = Rule("multinomial", n_columns) if n_columns > 1 else Rule("log_loss")
    models = new_models(n_models)
    models["weighting"] = np.arange(n_models) % 3 - 1
    models["active"][1] = 0
    weights = rng.standard_normal((n_models * n_columns, n_features + 1)) / 10
    target = rng.integers(0, max(2, n_columns), n_rows).astype(np.int32)
    weight = rng.integers(0, 2, (2, n_rows)).astype(np.float64)
    given_X = X
    if index is not None:
        rows, columns = np.nonzero(X)
        indptr = np.searchsorted(rows, np.arange(n_rows + 1)).astype(index)
        given_X = CSR(X[rows, columns], columns.astype(index), indptr, X.shape)
    data = Data(given_X, target, weight)
    outcomes = []
    for _ in range(3):
        value, gradient = (backend.arrays.send(filled(shape)) for shape in (n_models, weights.shape))
        backend.glm.evaluate(sent(backend, data), rule, models, backend.arrays.send(weights), value, gradient)
        outcomes.append((backend.arrays.fetch(value), backend.arrays.fetch(gradient)))
    wanted_value, wanted_gradient = filled(n_models), filled(weights.shape)
    reference.evaluate(Data(X, target, weight), rule, models, weights, wanted_value, wanted_gradient)
    np.testing.assert_allclose(outcomes[0][0], wanted_value, rtol=1e-12)
    np.testing.assert_allclose(outcomes[0][1], wanted_gradient, rtol=1e-10, atol=1e-9)
    for again in outcomes[1:]:
        assert_array_equal(again[0], outcomes[0][0])
        assert_array_equal(again[1], outcomes[0][1])


@pytest.mark.parametrize("index", [None, np.int32])
def test_folds_that_hold_out_runs_of_rows(backend, index):
    """Whole blocks of rows count for some models and for others not."""
    n_rows, n_features, n_columns = (24, 2, 2) if device_of(backend) == "cuda" else (3000, 20, 7)
    rng = np.random.default_rng(0)
    X = draw_dense(rng, (n_rows, n_features), np.dtype("f8"), 1.0, 0.5)
    X = X if index is None else csr_of(X, index)
    rule, models = Rule("multinomial", n_columns), new_models(4)
    models["weighting"] = [0, 1, 2, -1]
    weight = (np.arange(n_rows) * 3 // n_rows != np.arange(3)[:, None]).astype(np.float64)
    data = Data(X, rng.integers(0, n_columns, n_rows).astype(np.int32), weight)
    weights, vectors = rng.standard_normal((2, 4 * n_columns, n_features + 1))
    value, gradient, product = (np.zeros(shape) for shape in (4, weights.shape, weights.shape))
    prediction = reference.prediction_like(data, rule, 4)
    reference.evaluate(data, rule, models, weights, value, gradient, prediction)
    reference.hessian_product(data, rule, models, prediction, vectors, product)
    given_data, send = sent(backend, data), backend.arrays.send
    for keeps in (False, True):
        got = [send(filled(array.shape)) for array in (value, gradient, product)]
        kept = send(np.full(prediction.shape, np.nan)) if keeps else None
        backend.glm.evaluate(given_data, rule, models, send(weights), got[0], got[1], kept)
        if keeps:
            backend.glm.hessian_product(given_data, rule, models, kept, send(vectors), got[2])
        for ours, wanted in zip(got[: 2 + keeps], (value, gradient, product)):
            np.testing.assert_allclose(backend.arrays.fetch(ours), wanted, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize(("n_columns", "n_models"), [(7, 1), (10, 2), (12, 1)])
def test_rows_that_no_cache_holds(n_columns, n_models):
    """68 MB, the same thousand rows again and again: as many times their losses."""
    from fastml.kernels.cpu import glm

    rng = np.random.default_rng(0)
    few, times = rng.standard_normal((1000, 192)).astype(np.float32), 88
    target = rng.integers(0, n_columns, 1000).astype(np.int32)
    rule, models = Rule("multinomial", n_columns), new_models(n_models)
    weights = rng.standard_normal((n_models * n_columns, 193)) / 10
    value, gradient = filled(n_models), filled(weights.shape)
    glm.evaluate(
        Data(np.tile(few, (times, 1)), np.tile(target, times)), rule, models, weights, value, gradient
    )
    wanted_value, wanted = filled(n_models), filled(weights.shape)
    reference.evaluate(Data(few.astype(np.float64), target), rule, models, weights, wanted_value, wanted)
    np.testing.assert_allclose(value, times * wanted_value, rtol=1e-5)
    np.testing.assert_allclose(gradient, times * wanted, atol=1e-5 * times * np.abs(wanted).max())


@pytest.mark.parametrize("n_features", [16, 48, 112])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_results_do_not_depend_on_where_in_a_cache_line_rows_begin(n_features, dtype):
    from fastml.kernels.cpu import glm

    rng = np.random.default_rng(0)
    n_rows, rule, models = 150, Rule("multinomial", 3), new_models(1)
    X = rng.standard_normal((n_rows, n_features)).astype(dtype)
    target = rng.integers(0, 3, n_rows).astype(np.int32)
    weights = rng.standard_normal((3, n_features + 1))
    room = np.empty(X.nbytes + 128, np.uint8)
    first = -room.ctypes.data % 64
    outcomes = []
    for offset in range(first, first + 64, X.itemsize):
        moved = room[offset : offset + X.nbytes].view(dtype).reshape(X.shape)
        moved[...] = X
        value, gradient = filled(1), filled(weights.shape)
        glm.evaluate(Data(moved, target), rule, models, weights, value, gradient)
        outcomes.append(np.append(gradient, value))
    wanted_value, wanted = filled(1), filled(weights.shape)
    reference.evaluate(Data(X.astype(np.float64), target), rule, models, weights, wanted_value, wanted)
    np.testing.assert_allclose(outcomes[0][:-1].reshape(wanted.shape), wanted, atol=1e-4)
    np.testing.assert_allclose(outcomes[0][-1], wanted_value[0], rtol=1e-5)
    for outcome in outcomes[1:]:
        assert_array_equal(outcome, outcomes[0])


@pytest.mark.parametrize("loss", ALL_LOSSES, ids=str)
def test_reference_differentiates_its_losses(loss):
    """Gradient and Hessian of the reference are the differences' of its values and gradients."""
    rng = np.random.default_rng(1)
    n_columns = 3 if loss == "multinomial" else 1
    rule, models = Rule(loss, n_columns, epsilon=0.3), new_models(1)
    target = rng.integers(0, max(2, n_columns), 20).astype(np.int32)
    data = Data(rng.standard_normal((20, 4)), target, rng.random((1, 20)))
    models["weighting"] = 0
    weights = rng.standard_normal((n_columns, 5))

    def evaluate(flat):
        value, gradient = np.zeros(1), np.zeros(weights.shape)
        reference.evaluate(data, rule, models, flat.reshape(weights.shape), value, gradient)
        return value[0], gradient.ravel()

    gradient = evaluate(weights.ravel())[1]
    assert_close = np.testing.assert_allclose
    assert_close(
        gradient, approx_fprime(weights.ravel(), lambda w: evaluate(w)[0], 1e-7), rtol=1e-4, atol=1e-5
    )
    prediction = reference.prediction_like(data, rule, 1)
    reference.evaluate(data, rule, models, weights, np.zeros(1), None, prediction)
    hessian, product = np.zeros((weights.size, weights.size)), np.zeros(weights.shape)
    reference.hessian(data, rule, models, prediction, hessian)
    differences = approx_fprime(weights.ravel(), lambda w: evaluate(w)[1], 1e-7)
    assert_close(hessian, differences, rtol=1e-4, atol=1e-5)
    vector = rng.standard_normal(weights.shape)
    reference.hessian_product(data, rule, models, prediction, vector, product)
    assert_close(product.ravel(), hessian @ vector.ravel(), rtol=1e-10, atol=1e-12)
