"""Random problems for the SGD kernels, and how to hold a backend to the reference on one.

Steps are short, eta (1 + ||x||^2) < 1/2, and class and sample weights at most 1. No loss curves by more than
2, so that a step takes two states nearer to each other than they were: rounding is never amplified, and a
backend can be held to the last digits of its precision.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numba import njit
from numpy.testing import assert_allclose

from fastml import Loss
from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.sgd_state import LOSSES, MODEL, PENALTIES, PROGRESS, SCHEDULES, Rule, State

CLASSIFICATION_LOSSES = LOSSES[:5]

# Relative to the size of what is compared. float32 rounds at 6e-8, in sums of up to a hundred terms.
TOLERANCE = {np.dtype("f4"): 1e-4, np.dtype("f8"): 1e-10}

# Squares of these, and sums of squares, are normal numbers of the type.
SCALES = {np.dtype("f4"): (1.0, 1e15, 1e-15), np.dtype("f8"): (1.0, 1e100, 1e-100)}

# All of PROGRESS but the norms, which a backend need only keep where the objective counts them.
SCALARS = [name for name in PROGRESS.names if name not in ("sq_norm", "l1_norm")]


@njit
def logistic(y, margin):
    return np.log1p(np.exp(-y * margin))


@njit
def logistic_derivative(y, margin):
    return -y / (1.0 + np.exp(y * margin))


LOGISTIC = Loss(logistic, logistic_derivative)


@dataclass
class Problem:
    """The arguments of ``epoch``, and the size that weights have."""

    X: Any
    target: np.ndarray
    sample_weight: np.ndarray | None
    order: np.ndarray
    state: State
    rule: Rule
    weight_size: float


@dataclass(frozen=True)
class Sizes:
    """How large the problems may be that are drawn for a backend."""

    rows: int
    models: int
    features: tuple[int, ...]


@st.composite
def problems(draw, loss, sizes):
    """Problems of every kind that the contract allows, for one loss."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
    scale = draw(st.sampled_from(SCALES[dtype]))
    shape = draw(st.integers(0, sizes.rows)), draw(st.sampled_from(sizes.features))
    n_models = draw(st.integers(1, sizes.models))
    classifies = not isinstance(loss, str) or loss in CLASSIFICATION_LOSSES
    rule = Rule(
        loss=loss,
        penalty=draw(st.sampled_from(PENALTIES)),
        schedule=draw(st.sampled_from(SCHEDULES if _has_passive_aggressive_form(loss) else SCHEDULES[:4])),
        average=draw(st.sampled_from([0, 1, 3])),
        fit_intercept=draw(st.booleans()),
        one_class=draw(st.booleans()),
        intercept_decay=draw(st.sampled_from([1.0, 0.01])),
        record=draw(st.booleans()),
    )
    index = draw(st.sampled_from([None, np.int32, np.int64]))
    # pa1 divides by the squared norm, which no row of denormal numbers has.
    denormal = 0.0 if rule.schedule == "pa1" else 0.1
    X = (
        dense(rng, shape, dtype, scale, denormal)
        if index is None
        else ragged(rng, shape, dtype, index, scale, denormal)
    )
    if draw(st.booleans()):
        target = rng.integers(0, 3, shape[0]).astype(np.int32)
    else:
        target = rng.choice([-1.0, 1.0], shape[0]) if classifies else rng.standard_normal(shape[0])
    return Problem(
        X=X,
        target=target,
        sample_weight=draw(st.sampled_from([None, rng.random(shape[0]) * rng.integers(0, 2, shape[0])])),
        order=rng.integers(0, max(1, shape[0]), 2 * shape[0]).astype(np.int32),
        state=initial_state(
            rule,
            rng,
            stable_models(rng, rule, X, n_models),
            shape[1],
            dtype,
            1.0 / scale,
            t=draw(st.sampled_from([1.0, 6.0])),
            gap=draw(st.sampled_from([0, 5])),
        ),
        rule=rule,
        weight_size=1.0 / scale,
    )


def _has_passive_aggressive_form(loss):
    return loss in ("hinge", "epsilon_insensitive")


def dense(rng, shape, dtype, scale=1.0, denormal=0.1):
    """Normal numbers, and among them zeros and denormal ones; read-only, as X may be."""
    X = (scale * rng.standard_normal(shape)).astype(dtype)
    X[rng.random(shape) < 0.1] = 0.0
    X[rng.random(shape) < denormal] = 3 * np.finfo(dtype).smallest_subnormal
    X.flags.writeable = False
    return X


def ragged(rng, shape, dtype, index, scale=1.0, denormal=0.1):
    """CSR with rows of every length from 0, columns increasing."""
    n_rows, n_features = shape
    lengths = rng.integers(0, min(n_features, 40) + 1, n_rows)
    columns = [np.sort(rng.choice(n_features, length, replace=False)) for length in lengths]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(index)
    return CSR(
        dense(rng, indptr[-1], dtype, scale, denormal),
        np.concatenate([np.empty(0), *columns]).astype(index),
        indptr,
        shape,
    )


def stable_models(rng, rule, X, n_models):
    """Hyperparameters that differ between models, and keep every step short."""
    models = np.zeros(n_models, MODEL)
    models["positive_class"] = np.arange(n_models) % 3
    models["eta0"] = 0.4 * rng.uniform(0.2, 1.0, n_models) / (1.0 + _largest_sq_norm(X))
    models["alpha"] = 0.2 * rng.uniform(0.2, 1.0, n_models) / models["eta0"]
    models["l1_ratio"] = {"l1": 1.0, "elasticnet": 0.3}.get(rule.penalty, 0.0)
    models["power_t"] = rng.choice([0.0, 0.25, 0.5, 0.8], n_models)
    models["epsilon"] = 0.1
    models["optimal_init"] = 1.0 / (models["alpha"] * models["eta0"])
    models["weight_pos"], models["weight_neg"] = rng.choice([0.0, 0.5, 1.0], (2, n_models))
    return models


def _largest_sq_norm(X):
    if not isinstance(X, CSR):
        return np.square(X, dtype=np.float64).sum(axis=1).max(initial=0.0)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(rows, np.square(X.data, dtype=np.float64), 1).max(initial=0.0)


def initial_state(rule, rng, models, n_features, dtype, weight_size=1.0, t=1.0, gap=0):
    """A state such as a run has on its way, with ``gap`` elements between the weights of two models."""
    n_models = len(models)
    progress = np.zeros(n_models, PROGRESS)
    progress["wscale"] = rng.uniform(0.5, 1.0, n_models)
    progress["intercept"] = rng.standard_normal(n_models)
    progress["t"] = t
    progress["eta"] = models["eta0"]
    progress["average_b"] = 1.0
    coef = rng.standard_normal((n_models, n_features)) * (weight_size / max(1.0, n_features**0.5))
    return State(
        coef=_with_gap(coef, gap, dtype),
        average_coef=_with_gap(np.zeros_like(coef), gap, dtype) if rule.average else None,
        applied_l1=_with_gap(np.zeros_like(coef), gap, dtype)
        if rule.penalty in ("l1", "elasticnet")
        else None,
        models=models,
        progress=progress,
        active=rng.permutation(n_models)[: rng.integers(0, n_models + 1)].astype(np.int32),
    )


def _with_gap(values, gap, dtype):
    n_models, n_features = values.shape
    weights = np.zeros((n_models, n_features + gap), dtype)[:, :n_features]
    weights[...] = values
    return weights


def _copy(state, dtype):
    """A state of its own, laid out as the given one."""
    n_features = state.coef.shape[1]
    gap = state.coef.strides[0] // state.coef.itemsize - n_features if state.coef.size else 0
    weights = (
        None if w is None else _with_gap(w, gap, dtype)
        for w in (state.coef, state.average_coef, state.applied_l1)
    )
    return State(*weights, state.models.copy(), state.progress.copy(), state.active.copy())


def advanced(backend, problem):
    """The state after an epoch and a fold on a backend, in host memory."""
    sgd, arrays = backend.sgd, backend.arrays
    state = State(
        *(arrays.send(value) for value in vars(_copy(problem.state, problem.state.coef.dtype)).values())
    )
    inputs = (arrays.send(value) for value in (problem.X, problem.target, problem.sample_weight))
    sgd.epoch(*inputs, problem.order, state, problem.rule)
    sgd.fold(state)
    return State(*(None if value is None else arrays.fetch(value) for value in vars(state).values()))


def reference_of(problem, nudge=0.0):
    """What the reference makes of a problem in float64, from intercepts moved by ``nudge``."""
    X, state = problem.X, _copy(problem.state, np.float64)
    state.progress["intercept"] += nudge
    X = X._replace(data=X.data.astype(np.float64)) if isinstance(X, CSR) else X.astype(np.float64)
    with np.errstate(all="ignore"):
        return advanced(for_device("reference"), replace(problem, X=X, state=state))


def is_decided_by_rounding(problem, expected):
    """Whether a margin lies so near to a kink of the loss that its last digits choose the side."""
    tolerance = TOLERANCE[problem.X.dtype] / 10
    try:
        for nudge in (-tolerance / 10, tolerance / 10):
            assert_same_state(reference_of(problem, nudge), expected, tolerance, problem.weight_size)
    except AssertionError:
        return True
    return False


def assert_same_state(got, expected, tolerance, weight_size):
    """What a state holds, to a tolerance relative to the size of each thing."""
    for name in ("coef", "average_coef", "applied_l1"):
        ours, theirs = getattr(got, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        if theirs is not None:
            size = (
                max(weight_size, expected.progress["cumulative_l1"].max())
                if name == "applied_l1"
                else weight_size
            )
            assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * size, err_msg=name)
    for name in SCALARS:
        assert_allclose(
            got.progress[name],
            expected.progress[name],
            rtol=tolerance,
            atol=0.0 if name == "eta" else tolerance,
            err_msg=name,
        )


def assert_keeps_the_contract(backend, problem, expected=None):
    """A backend's epoch and fold beside the reference's in float64, which is expected unless another is given."""
    got = advanced(backend, problem)
    assert got.coef.dtype == problem.X.dtype
    expected = reference_of(problem) if expected is None else expected
    assert_same_state(got, expected, TOLERANCE[problem.X.dtype], problem.weight_size)
