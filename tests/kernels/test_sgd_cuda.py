"""What is particular to SGD on CUDA: each layout, and each specialisation of the kernel, beside the
reference.

Small, since the simulator takes some 10 ms for a model's row.
"""

from copy import deepcopy

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from fastml import Loss
from fastml._csr import CSR
from fastml.kernels.reference import sgd as reference
from fastml.kernels.sgd_state import LOSSES, MODEL, PENALTIES, PROGRESS, SCHEDULES, Rule, State

RTOL = {"f4": 1e-4, "f8": 1e-10}
PLAIN = Rule("hinge", "l2", "optimal", 0, True, False, 1.0, True)


@njit
def _logistic(y, margin):
    return np.log1p(np.exp(-y * margin))


@njit
def _logistic_derivative(y, margin):
    return -y / (1.0 + np.exp(y * margin))


def _models(n_models):
    models = np.zeros(n_models, MODEL)
    spread = np.arange(n_models)
    models["positive_class"] = spread
    models["alpha"] = 0.01 * (1 + spread)
    models["l1_ratio"] = 0.3
    models["eta0"] = 0.2
    models["power_t"] = 0.5
    models["epsilon"] = 0.1
    models["optimal_init"] = 50.0
    models["weight_pos"], models["weight_neg"] = 1.5, 0.5
    return models


def _initial_state(rule, rng, n_models, n_features, dtype):
    progress = np.zeros(n_models, PROGRESS)
    for name in ("wscale", "t", "average_b"):
        progress[name] = 1.0
    progress["eta"] = 0.2
    progress["sq_norm"], progress["l1_norm"] = 2.0, 3.0
    coef = rng.standard_normal((n_models, n_features)).astype(dtype)
    return State(
        coef=coef,
        average_coef=np.zeros_like(coef) if rule.average else None,
        applied_l1=np.zeros_like(coef) if rule.penalty in ("l1", "elasticnet") else None,
        models=_models(n_models),
        progress=progress,
        active=np.arange(n_models, dtype=np.int32),
    )


def _dense(rng, n_rows, n_features, dtype):
    return rng.standard_normal((n_rows, n_features)).astype(dtype)


def _sparse(rng, n_rows, n_features, dtype, columns=None):
    """CSR of 4 entries a row; unsorted with duplicates unless ``columns`` says otherwise."""
    if columns is None:
        columns = rng.integers(0, n_features, (n_rows, 4))
        columns[:, 3] = columns[:, 0]
    lengths = np.full(n_rows, columns.shape[1])
    return CSR(
        rng.standard_normal(columns.size).astype(dtype),
        columns.ravel().astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        (n_rows, n_features),
    )


def _on_device(cuda, X, target, sample_weight, order, state, rule):
    """State after an epoch and a fold on the device, back in host memory."""
    from fastml.kernels.cuda import arrays, sgd

    state = State(*(arrays.send(value) for value in vars(deepcopy(state)).values()))
    sgd.epoch(arrays.send(X), arrays.send(target), arrays.send(sample_weight), order, state, rule)
    sgd.fold(state)
    return State(*(None if value is None else arrays.fetch(value) for value in vars(state).values()))


def _assert_same_epoch(
    cuda, X, target, rule, sample_weight=None, n_models=2, order=None, active=None, seed=0
):
    n_rows, n_features = X.shape
    dtype = X.dtype
    state = _initial_state(rule, np.random.default_rng(seed), n_models, n_features, dtype)
    if active is not None:
        state.active = np.array(active, dtype=np.int32)
    order = np.arange(n_rows, dtype=np.int32)[::-1].copy() if order is None else order
    ours = _on_device(cuda, X, target, sample_weight, order, state, rule)
    with np.errstate(all="ignore"):
        reference.epoch(X, target, sample_weight, order, state, rule)
        reference.fold(state)
    rtol = RTOL[dtype.str[1:]]
    for name in ("coef", "average_coef", "applied_l1"):
        expected, got = getattr(state, name), getattr(ours, name)
        if expected is None:
            assert got is None
        else:
            assert got.dtype == expected.dtype
            assert_allclose(got, expected, rtol=rtol, atol=rtol, err_msg=name)
    for name in PROGRESS.names:
        assert_allclose(ours.progress[name], state.progress[name], rtol=rtol, atol=rtol, err_msg=name)


@pytest.fixture
def rng():
    return np.random.default_rng(42)


def _target(rng, n_rows, loss):
    if loss in LOSSES[:5] or not isinstance(loss, str):
        return rng.integers(0, 2, n_rows).astype(np.int32)
    return rng.standard_normal(n_rows)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss(cuda, rng, loss, dtype):
    X = _dense(rng, 8, 5, dtype)
    _assert_same_epoch(cuda, X, _target(rng, 8, loss), PLAIN._replace(loss=loss))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("loss", ["hinge", "squared_epsilon_insensitive"])
def test_each_schedule(cuda, rng, loss, schedule):
    X = _dense(rng, 6, 5, "f8")
    X[2] = 0.0  # pa1 passes over it
    _assert_same_epoch(
        cuda, X, _target(rng, 6, loss), PLAIN._replace(loss=loss, schedule=schedule, penalty="none")
    )


@pytest.mark.parametrize("average", [0, 1, 4])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("make_X", [_dense, _sparse])
def test_penalty_and_average(cuda, rng, make_X, penalty, average):
    X = make_X(rng, 6, 7, "f8")
    rule = PLAIN._replace(penalty=penalty, average=average, schedule="constant", intercept_decay=0.01)
    _assert_same_epoch(cuda, X, _target(rng, 6, "hinge"), rule)


@pytest.mark.parametrize("n_features", [1, 130, 2050])
def test_layouts_of_dense_rows(cuda, rng, n_features):
    """One warp; two warps; more features than are kept in registers."""
    X = _dense(rng, 2, n_features, "f4") / 8
    rule = PLAIN._replace(loss="log_loss", penalty="elasticnet", average=1)
    _assert_same_epoch(cuda, X, _target(rng, 2, "log_loss"), rule, n_models=1)


def test_sparse_rows_longer_than_a_warp(cuda, rng):
    columns = np.stack([rng.permutation(200)[:150] for _ in range(3)])
    X = _sparse(rng, 3, 200, "f8", columns)
    _assert_same_epoch(cuda, X, _target(rng, 3, "hinge"), PLAIN._replace(penalty="l1", average=1), n_models=1)


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("schedule", ["optimal", "pa1"])
def test_sparse_duplicates(cuda, rng, schedule, index_dtype):
    X = _sparse(rng, 6, 3, "f8")
    X = X._replace(indices=X.indices.astype(index_dtype), indptr=X.indptr.astype(index_dtype))
    _assert_same_epoch(cuda, X, _target(rng, 6, "hinge"), PLAIN._replace(schedule=schedule))


def test_sparse_empty_rows_and_columns(cuda, rng):
    X = CSR(np.array([2.0]), np.array([1], "i4"), np.array([0, 0, 1, 1], "i4"), (3, 4))
    _assert_same_epoch(cuda, X, _target(rng, 3, "hinge"), PLAIN)


def test_fold_inside_an_epoch(cuda, rng):
    """Shrinking by 1 - eta alpha = 0 at once, and by 0.02 four times: below float32's floor either way."""
    X = _dense(rng, 6, 5, "f4")
    rule = PLAIN._replace(schedule="constant", average=1)
    state = _initial_state(rule, rng, 2, 5, np.dtype("f4"))
    state.models["alpha"] = [5.0, 4.9]
    target, order = _target(rng, 6, "hinge"), np.arange(6, dtype=np.int32)
    ours = _on_device(cuda, X, target, None, order, state, rule)
    reference.epoch(X, target, None, order, state, rule)
    reference.fold(state)
    assert_allclose(ours.coef, state.coef, rtol=1e-4)
    assert_allclose(ours.average_coef, state.average_coef, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make_X", [_dense, _sparse])
def test_without_record_or_intercept_and_weighted(cuda, rng, make_X):
    X = make_X(rng, 5, 6, "f8")
    weights = np.array([0.0, 1.0, 2.5, 0.5, 1.0])
    rule = PLAIN._replace(record=False, fit_intercept=False)
    _assert_same_epoch(cuda, X, _target(rng, 5, "hinge"), rule, sample_weight=weights)


def test_one_class(cuda, rng):
    X = _dense(rng, 5, 6, "f8")
    _assert_same_epoch(cuda, X, np.ones(5), PLAIN._replace(one_class=True))


def test_user_loss(cuda, rng):
    X = _dense(rng, 5, 6, "f8")
    rule = PLAIN._replace(loss=Loss(_logistic, _logistic_derivative))
    _assert_same_epoch(cuda, X, _target(rng, 5, rule.loss), rule)


def test_rows_repeat_and_models_rest(cuda, rng):
    X = _dense(rng, 4, 3, "f8")
    order = np.array([3, 3, 0, 3], dtype=np.int32)
    _assert_same_epoch(cuda, X, _target(rng, 4, "hinge"), PLAIN, n_models=4, order=order, active=[2, 0])


@pytest.mark.parametrize(("order", "active"), [([], [0]), ([0], [])])
def test_nothing_to_do(cuda, rng, order, active):
    X = _dense(rng, 2, 3, "f8")
    _assert_same_epoch(
        cuda, X, _target(rng, 2, "hinge"), PLAIN, order=np.array(order, dtype=np.int32), active=active
    )


def test_no_features(cuda, rng):
    _assert_same_epoch(cuda, np.empty((3, 0)), _target(rng, 3, "hinge"), PLAIN)


def test_arrays_go_there_and_back(cuda):
    from fastml.kernels.cuda import arrays

    assert arrays.send(None) is None
    for host in (
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.eye(3, 2, dtype="f4")),
        np.zeros(2, MODEL),
    ):
        device = arrays.send(host)
        assert arrays.send(device) is device
        assert_array_equal(arrays.fetch(device), host)
        assert arrays.fetch(device).flags.writeable


def test_sent_csr_is_canonical(cuda, rng):
    from fastml.kernels.cuda import arrays

    X = _sparse(rng, 5, 4, "f8")
    sent = arrays.send(X)
    assert arrays.send(sent) is sent or arrays.send(sent).data is sent.data
    dense = np.zeros(X.shape)
    rows = np.repeat(np.arange(5), 4)
    np.add.at(dense, (rows, X.indices), X.data)
    data, indices, indptr = (arrays.fetch(part) for part in (sent.data, sent.indices, sent.indptr))
    rows = np.repeat(np.arange(5), np.diff(indptr))
    assert (np.diff(rows * X.shape[1] + indices) > 0).all()
    assert_allclose(dense[rows, indices], data)


def test_all_finite(cuda):
    from fastml.kernels.cuda import arrays

    assert arrays.all_finite(arrays.send(np.zeros((2, 2))))
    assert not arrays.all_finite(arrays.send(np.array([1.0, np.nan])))
    assert not arrays.all_finite(arrays.send(np.array([1.0, -np.inf], dtype="f4")))
