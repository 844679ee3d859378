"""One model with two threads: the second brings the rows, and the result stays the same to the last bit."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sgd_problems import initial_state, stable_models

from fastml._csr import CSR
from fastml.kernels.cpu import _sgd
from fastml.kernels.sgd_state import Rule

# X is larger than 1 MiB, where streaming begins, and has more rows than the ring of blocks holds.
N_ROWS, ROW_LENGTH, N_FEATURES = 12_000, 40, 64

RULES = {
    "plain": Rule("hinge", "l2", "optimal", 0, True, False, 1.0, False),
    "everything": Rule("log_loss", "elasticnet", "invscaling", 1, True, False, 0.01, True),
    "one class": Rule("hinge", "l2", "constant", 0, True, True, 1.0, True),
    "passive-aggressive": Rule("epsilon_insensitive", "none", "pa1", 0, True, False, 1.0, True),
}


def dense_rows(rng, dtype, index):
    return rng.standard_normal((N_ROWS, ROW_LENGTH)).astype(dtype)


def sparse_rows(lengths):
    def rows(rng, dtype, index):
        counts = lengths(rng)
        n_values = int(counts.sum())
        return CSR(
            rng.standard_normal(n_values).astype(dtype),
            rng.integers(0, N_FEATURES, n_values).astype(index),
            np.concatenate([[0], np.cumsum(counts)]).astype(index),
            (N_ROWS, N_FEATURES),
        )

    return rows


def equal(rng):
    return np.full(N_ROWS, ROW_LENGTH)


def ragged(rng):
    """Mostly empty rows, and some so long that one of them overflows a block."""
    return np.where(rng.random(N_ROWS) < 0.01, 100 * ROW_LENGTH, rng.integers(0, 3, N_ROWS))


def mixed(rng):
    """Blocks of long rows beside blocks of short ones: some overflow, some don't."""
    return np.where(np.arange(N_ROWS) // 500 % 2, 2 * ROW_LENGTH, rng.integers(0, ROW_LENGTH, N_ROWS))


LAYOUTS = {
    "dense": dense_rows,
    "equal rows": sparse_rows(equal),
    "ragged rows": sparse_rows(ragged),
    "mixed rows": sparse_rows(mixed),
}


def problem(layout, rule, dtype=np.float32, index=np.int32, weighted=False, labels=True, order=None):
    """Arguments of ``epoch``, of which each call has a state of its own."""
    rng = np.random.default_rng(7)
    X = LAYOUTS[layout](rng, dtype, index)
    target = rng.integers(0, 2, N_ROWS).astype(np.int32) if labels else rng.choice([-1.0, 1.0], N_ROWS)
    sample_weight = rng.random(N_ROWS) if weighted else None
    order = rng.permutation(N_ROWS).astype(np.int32) if order is None else order
    models = stable_models(rng, rule, X, 1)
    models["positive_class"] = models["weight_pos"] = models["weight_neg"] = 1
    state = initial_state(rule, rng, models, X.shape[1], np.dtype(dtype))
    state.active = np.zeros(1, np.int32)
    return X, target, sample_weight, order, state, rule


def result(n_threads, X, target, sample_weight, order, state, rule):
    """coef, average_coef, applied_l1 and progress after an epoch from a copy of the state."""
    state = type(state)(*(None if value is None else value.copy() for value in vars(state).values()))
    _sgd.epoch(X, target, sample_weight, order, state, rule, n_threads)
    return {
        name: value
        for name, value in vars(state).items()
        if name not in ("models", "active") and value is not None
    }


def assert_same_bits(arguments):
    one, two = result(1, *arguments), result(2, *arguments)
    assert np.any(one["coef"] != arguments[4].coef)
    for name, values in one.items():
        assert_array_equal(two[name], values, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_and_rule(layout, rule, dtype):
    assert_same_bits(problem(layout, RULES[rule], dtype))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_kind_of_argument(layout, labels, weighted, index):
    assert_same_bits(problem(layout, RULES["plain"], np.float32, index, weighted, labels))


@pytest.mark.parametrize("n_steps", [1024, 1025, 5_000, N_ROWS - 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_orders_that_leave_rows_out(layout, n_steps):
    """The last block is seldom a full one, and reads beyond a row must not be beyond X."""
    order = np.arange(N_ROWS - n_steps, N_ROWS, dtype=np.int32)[::-1].copy()
    assert_same_bits(problem(layout, RULES["plain"], order=order))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_repeatedly_while_the_cores_are_busy(layout):
    """The helper falls behind and catches up: which blocks come from the ring differs from run to run."""
    arguments = problem(layout, RULES["everything"])
    expected = result(1, *arguments)
    stop = threading.Event()
    burdens = [threading.Thread(target=_burn, args=(stop,)) for _ in range(2)]
    for burden in burdens:
        burden.start()
    try:
        for _ in range(20):
            for name, values in result(2, *arguments).items():
                assert_array_equal(values, expected[name], err_msg=name)
    finally:
        stop.set()
        for burden in burdens:
            burden.join()


def _burn(stop):
    values = np.ones(1_000_000)
    while not stop.is_set():
        np.sqrt(values, out=values)  # outside the GIL
