"""Random problems for the passes of generalised linear models, and how near a backend must come to the reference.

All losses but the user's have continuous derivatives, which change at most `CURVATURE` times as much as the margin
does: the rounding of margins, targets and sums bounds what a gradient may be off. A Hessian has jumps: it is asked for
at margins that are the same to the bit for all backends.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numba import njit
from numpy.testing import assert_array_less

from fastml import Loss
from fastml._csr import CSR
from fastml.kernels.glm_data import LOSSES, REGRESSION_LOSSES, Data, Rule, new_models
from fastml.kernels.reference import glm as reference

# Roundings that a sum of some hundred terms may take, in units of the last place of what is summed.
ROUNDINGS = 32

CURVATURE = dict.fromkeys(LOSSES, 2.0)

# X is multiplied by these, weights divided: margins are of one size. Squares, and sums of squares, are normal numbers.
SCALES = {np.dtype("f4"): (1.0, 1e15, 1e-15), np.dtype("f8"): (1.0, 1e100, 1e-100)}


@njit
def cosh_value(y, margin):
    return np.log(np.cosh(margin - y))


@njit
def cosh_derivative(y, margin):
    return np.tanh(margin - y)


@njit
def cosh_second_derivative(y, margin):
    return 1.0 / np.cosh(margin - y) ** 2


LOG_COSH = Loss(cosh_value, cosh_derivative, second_derivative=cosh_second_derivative)


@dataclass
class Problem:
    """The arguments of a pass, X's rows in float64, with a column of ones, beside them."""

    data: Data
    rule: Rule
    models: Any
    weights: np.ndarray
    rows: np.ndarray

    @property
    def epsilon(self):
        return np.finfo(self.data.X.dtype).eps


@dataclass(frozen=True)
class Sizes:
    """How large the problems may be that are drawn for a backend."""

    rows: tuple[int, ...]
    models: int
    classes: tuple[int, ...]
    features: tuple[int, ...]


@st.composite
def problems(draw, loss, sizes):
    """Problems of every kind that the contract allows, for one loss."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8"])))
    scale = draw(st.sampled_from(SCALES[dtype]))
    shape = draw(st.sampled_from(sizes.rows)), draw(st.sampled_from(sizes.features))
    index = draw(st.sampled_from([None, np.int32, np.int64]))
    dense = draw_dense(rng, shape, dtype, scale, draw(st.sampled_from([0.0, 0.7])))
    n_columns = draw(st.sampled_from(sizes.classes)) if loss == "multinomial" else 1
    n_models = draw(st.integers(0, sizes.models))
    models = new_models(n_models)
    coded = loss == "multinomial" or draw(st.booleans())
    if coded:
        target = rng.integers(0, max(3, n_columns) if loss != "multinomial" else n_columns, shape[0])
        target = target.astype(np.int32)
        models["positive_class"] = np.arange(n_models) % 3
    else:
        target = draw_values(rng, loss, (2, shape[0]))
        models["target"] = rng.integers(0, 2, n_models)
    weight = None
    if draw(st.booleans()):
        weight = rng.uniform(0.1, 2.0, (3, shape[0])) * (rng.random((3, shape[0])) < 0.7)
        weight[2] = 0.0
        models["weighting"] = rng.integers(-1, 3, n_models)
    models["active"] = rng.random(n_models) < draw(st.sampled_from([1.0, 0.5]))
    weights = rng.standard_normal((n_models * n_columns, shape[1] + 1))
    weights[:, :-1] *= 1.0 / (scale * max(1.0, shape[1] ** 0.5))
    return Problem(
        Data(dense if index is None else csr_of(dense, index), target, weight),
        Rule(loss, n_columns, epsilon=0.3),
        models,
        weights,
        np.column_stack([dense.astype(np.float64), np.ones(shape[0])]),
    )


def draw_dense(rng, shape, dtype, scale, zeros):
    """Normal numbers, and among them zeros and denormal ones; read-only, as X may be."""
    X = (scale * rng.standard_normal(shape)).astype(dtype)
    X[rng.random(shape) < zeros] = 0.0
    X[rng.random(shape) < 0.05] = 3 * np.finfo(dtype).smallest_subnormal
    X[rng.random(shape[0]) < 0.1] = 0.0
    X.flags.writeable = False
    return X


def csr_of(dense, index):
    """Its elements other than zero, columns increasing, with rows of none."""
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))]).astype(index)
    return CSR(dense[rows, columns], columns.astype(index), indptr, dense.shape)


def draw_values(rng, loss, shape):
    """Targets that float32 holds."""
    if loss == "poisson":
        return rng.poisson(2.0, shape).astype(np.float64)
    if loss in REGRESSION_LOSSES or loss is LOG_COSH:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)
    return rng.choice([-1.0, 1.0], shape)


def filled(shape, dtype=np.float64):
    """An array of sevens: what a pass leaves alone can be told."""
    return np.full(shape, 7.0, dtype)


def in_float64(data):
    X = data.X
    wide = X._replace(data=X.data.astype(np.float64)) if isinstance(X, CSR) else X.astype(np.float64)
    return data._replace(X=wide)


def sent(backend, data):
    return Data(*(None if value is None else backend.arrays.send(value) for value in data))


def evaluated(backend, problem, with_gradient=True):
    """Value, gradient and prediction of a backend, in host memory, for a problem."""
    data, arrays = sent(backend, problem.data), backend.arrays
    value, gradient = arrays.send(filled(len(problem.models))), arrays.send(filled(problem.weights.shape))
    prediction = backend.glm.prediction_like(data, problem.rule, len(problem.models))
    assert prediction.shape == (len(problem.weights), len(problem.rows))
    assert prediction.dtype == problem.data.X.dtype
    backend.glm.evaluate(
        data,
        problem.rule,
        problem.models,
        arrays.send(problem.weights),
        value,
        gradient if with_gradient else None,
        prediction,
    )
    return tuple(arrays.fetch(array) for array in (value, gradient, prediction))


def expected(problem):
    """What the reference gives in float64."""
    value, gradient = filled(len(problem.models)), filled(problem.weights.shape)
    prediction = np.zeros((len(problem.weights), len(problem.rows)))
    reference.evaluate(
        in_float64(problem.data), problem.rule, problem.models, problem.weights, value, gradient, prediction
    )
    return value, gradient, prediction


def bounds(problem):
    """How far value, gradient and prediction of each model may be off."""
    value, gradient = np.zeros(len(problem.models)), np.zeros(problem.weights.shape)
    prediction = np.zeros((len(problem.weights), len(problem.rows)))
    unit = ROUNDINGS * problem.epsilon
    for k, model, block in reference._active(problem.models, problem.rule):
        w, counts = reference._weights_of_rows(problem.data, model)
        y = reference._target(problem.data, problem.rule, model)
        z = problem.rows @ problem.weights[block].T
        size = np.abs(problem.rows) @ np.abs(problem.weights[block]).T + np.abs(y)[:, None]
        loss, slope = reference._loss(problem.rule, y, z)
        steep = np.exp(z) if problem.rule.loss == "poisson" else CURVATURE.get(problem.rule.loss, 1.0)
        off = unit * (np.abs(slope) + steep * size)  # of the slope
        if problem.rule.loss == "multinomial":
            off += off.sum(axis=1, keepdims=True)
        value[k] = np.sum(
            w * (unit * np.abs(loss) + np.sum((np.abs(slope) + off) * unit * size + off * unit, axis=1))
        )
        value[k] += np.sum(w[:, None] * unit * (np.abs(slope) + steep) * size)
        gradient[block] = (w[:, None] * off).T @ np.abs(problem.rows)
        prediction[block] = (unit * size + (off if problem.rule.loss == "multinomial" else 0.0)).T
        prediction[block, ~counts] = np.inf
    return value, gradient, prediction


def assert_within(got, wanted, off, problem, what):
    """Nearer than ``off``, to each element, and what is lost where a factor of X is rounded to a denormal number."""
    lost = 1e4 * np.finfo(problem.data.X.dtype).smallest_subnormal * np.abs(problem.rows).max(initial=1.0)
    assert_array_less(np.abs(got - wanted), off + lost, err_msg=what)


def assert_keeps_the_contract(backend, problem):
    """A backend's evaluation beside the reference's."""
    got, wanted, off = evaluated(backend, problem), expected(problem), bounds(problem)
    for name, ours, theirs, most in zip(("value", "gradient"), got, wanted, off):
        assert_within(ours, theirs, most, problem, name)
    active = np.repeat(problem.models["active"] != 0, problem.rule.n_columns)
    seen = active[:, None] & np.isfinite(off[2])
    assert_within(got[2][seen], wanted[2][seen], off[2][seen], problem, "prediction")
    only_values = evaluated(backend, problem, with_gradient=False)
    np.testing.assert_allclose(only_values[0], got[0], rtol=problem.epsilon)
    assert (only_values[1] == 7.0).all()
