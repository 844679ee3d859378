"""The contract of coordinate descent: every backend beside the reference, step for step."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from linear_problems import AROUND_VECTORS, backends_but, draw_X, labels, weights
from numpy.testing import assert_allclose, assert_array_equal

from fastml._csr import CSR
from fastml.kernels import for_device
from fastml.kernels.dual_cd_state import Dual, L1Primal, LogisticL1, MultiClassDual
from fastml.kernels.linear_data import Data, padded
from fastml.kernels.reference import dual_cd as reference
from fastml.kernels.reference._dense_row import dense_row
from fastml.solvers._models import Binary
from fastml.solvers.dual_cd._record import initial_record

# Sweeps of one draw: few enough that rounding decides none of the comparisons on the way.
SWEEPS = 4
TOLERANCE = 1e-9

each_backend = pytest.mark.parametrize("device", backends_but(reference.LEFT_OUT))
# The same draws in every run: a few in ten thousand end in a tie that rounding decides and a nudged start does not
# reveal.
drawn = settings(
    max_examples=examples(80),
    suppress_health_check=list(HealthCheck),
    deadline=None,
    derandomize=True,
    database=None,
)


def test_what_is_left_out_says_why():
    assert set(reference.LEFT_OUT) == {"cuda"}
    assert "chain" in reference.LEFT_OUT["cuda"]


@each_backend
@pytest.mark.parametrize("name", reference.__all__)
def test_a_backend_has_every_function(device, name):
    assert callable(getattr(for_device(device).dual_cd, name))


@st.composite
def binary_problems(draw, regression):
    """Data and a few models, at the start."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = draw_X(draw, rng, draw(st.integers(2, 12)), draw(st.sampled_from(AROUND_VECTORS)))
    n_rows, n_features = X.shape
    target = rng.standard_normal(n_rows) if regression else labels(rng, n_rows, 3)
    bias = draw(st.sampled_from([0.0, 1.0, 0.3]))
    data = Data(X, target, weights(draw, rng, n_rows), bias)
    data = data._replace(sq_norm=reference.sq_norms(X, bias))
    squared, epsilon = draw(st.booleans()), draw(st.sampled_from([0.0, 0.1]))
    models = []
    for k in range(draw(st.integers(1, 3))):
        problem = Binary(k, *10.0 ** rng.uniform(-2, 1, 2), tol=draw(st.sampled_from([1e-8, 0.3])))
        order = np.flatnonzero(np.ones(n_rows) if data.sample_weight is None else data.sample_weight)
        record = initial_record(
            problem, len(order), draw(st.integers(1, SWEEPS)), int(rng.integers(2**31)), epsilon
        )
        models.append(Dual(record, order.astype(np.int32), padded(n_features), np.zeros(n_rows)))
    return data, models, squared


def advanced(advance, models):
    """Copies of the models, taken on by small pieces of work until they are done."""
    models = copy.deepcopy(models)
    running = list(models)
    for _ in range(100_000):
        running = [model for model in running if not model.record["done"][0]]
        if not running:
            return models
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros
            advance(running)
    raise AssertionError("never done")


def assert_same_models(ours, expected):
    for got, wanted in zip(ours, expected, strict=True):
        for name in ("n_iter", "n_active", "seed", "done"):
            assert got.record[name] == wanted.record[name], name
        assert_array_equal(got.order, wanted.order)
        for name in set(vars(got)) - {"record", "order"}:
            scale = np.abs(getattr(wanted, name)).max(initial=1.0)
            assert_allclose(
                getattr(got, name), getattr(wanted, name), atol=TOLERANCE * scale, rtol=0, err_msg=name
            )
        for name in ("intercept", "violation"):
            assert_allclose(got.record[name], wanted.record[name], rtol=1e-7, atol=TOLERANCE, err_msg=name)


def expected_of(advance, models, nudged):
    """What the reference makes of models, unless a start ``nudged`` by rounding, either way, goes another way."""
    expected = advanced(advance, models)
    for rounding in (1e-13, -1e-13):
        others = copy.deepcopy(models)
        for model in others:
            values = getattr(model, nudged)
            values += rounding * np.cos(np.arange(len(values)))
        try:
            assert_same_models(advanced(advance, others), expected)
        except AssertionError:
            assume(False)
    return expected


@each_backend
@pytest.mark.parametrize("name", ["svc", "svr"])
def test_sweeps_of_the_dual(device, name):
    backend = getattr(for_device(device).dual_cd, name)

    @drawn
    @given(binary_problems(regression=name == "svr"), st.sampled_from([1.0, 300.0, 1e9]))
    def keeps_the_contract(problem, work):
        data, models, squared = problem
        # Of a row of zeros the gradient is C a / C - 1, zero but for rounding, whose sign may decide a shrinking bound.
        assume(not squared or (data.sq_norm > 0.0).all())
        expected = expected_of(
            lambda some: getattr(reference, name)(data, some, squared, 1.0), models, "coef"
        )
        assert_same_models(advanced(lambda some: backend(data, some, squared, work), models), expected)

    keeps_the_contract()


@each_backend
def test_sweeps_of_the_logistic_dual(device):
    backend = for_device(device).dual_cd.logistic_dual

    @settings(drawn, max_examples=examples(40))
    @given(binary_problems(regression=False), st.sampled_from([1.0, 300.0, 1e9]))
    def keeps_the_contract(problem, work):
        data, models, _ = problem
        for model in models:
            model.dual = np.zeros((len(model.dual), 2))
        expected = expected_of(lambda some: reference.logistic_dual(data, some, 1.0), models, "coef")
        assert_same_models(advanced(lambda some: backend(data, some, work), models), expected)

    keeps_the_contract()


@each_backend
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e3])
def test_a_minimum_of_the_logistic_dual(device, C):
    """The primal's gradient, taken here, vanishes, and so does the gap between primal and dual."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.standard_normal((60, 4)), np.ones(60)])
    y = np.where(rows[:, 0] + rng.standard_normal(60) > 0.0, 1, 0).astype(np.int32)
    data = Data(rows[:, :4].copy(), y, None, 1.0, np.sum(rows**2, axis=1))
    record = initial_record(Binary(1, C, C, 1e-10), 60, 100_000, 0)
    model = Dual(record, np.arange(60, dtype=np.int32), padded(4), np.zeros((60, 2)))
    (model,) = advanced(lambda some: for_device(device).dual_cd.logistic_dual(data, some, 1e9), [model])
    w, signs = np.append(model.coef[:4], model.record["intercept"]), 2.0 * y - 1.0
    margin = signs * (rows @ w)
    assert_allclose(w - C * rows.T @ (signs / (1.0 + np.exp(margin))), 0.0, atol=1e-7 * max(1.0, C))
    entropy = np.sum(model.dual * np.log(model.dual / C))
    assert_allclose(0.5 * w @ w + C * np.sum(np.logaddexp(0.0, -margin)), -0.5 * w @ w - entropy, rtol=1e-7)


@st.composite
def multi_class_problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = draw_X(draw, rng, draw(st.integers(2, 12)), draw(st.sampled_from(AROUND_VECTORS[:8])))
    n_rows, n_features = X.shape
    n_classes = draw(st.integers(2, 5))
    bias = draw(st.sampled_from([0.0, 1.0]))
    data = Data(X, labels(rng, n_rows, n_classes), weights(draw, rng, n_rows), bias)
    data = data._replace(sq_norm=reference.sq_norms(X, bias))
    order = np.flatnonzero(np.ones(n_rows) if data.sample_weight is None else data.sample_weight).astype(
        np.int32
    )
    record = initial_record(Binary(0, 1.0, 1.0, 0.05), len(order), 1, int(rng.integers(2**31)))
    record["bound_below"], record["first"] = 1.0, 1.0
    return data, MultiClassDual(
        record,
        order,
        np.zeros((n_features + 1, n_classes)),
        np.zeros((n_rows, n_classes)),
        10.0 ** rng.uniform(-2, 0.5, n_classes),
        np.tile(np.arange(n_classes, dtype=np.int32), (n_rows, 1)),
        np.full(n_rows, n_classes, np.int32),
    )


def crammer_singer_objective(data, model):
    margins = np.ones((len(model.dual), model.dual.shape[1]))
    margins[np.arange(len(margins)), data.target] = 0.0
    return 0.5 * np.sum(model.coef**2) + np.sum(model.dual * margins)


@each_backend
def test_crammer_singer(device):
    """To the end: the same dual objective, feasible, the weights those of the dual."""
    backend = for_device(device).dual_cd.crammer_singer

    @settings(drawn, max_examples=examples(40))
    @given(multi_class_problems(), st.sampled_from([100.0, 1e9]))
    def keeps_the_contract(problem, work):
        data, model = problem
        (expected,) = advanced(lambda some: reference.crammer_singer(data, some[0], 1.0), [model])
        (got,) = advanced(lambda some: backend(data, some[0], work), [model])
        assert_allclose(
            crammer_singer_objective(data, got),
            crammer_singer_objective(data, expected),
            rtol=0.05,
            atol=0.05,
        )
        weight = np.ones(len(got.dual)) if data.sample_weight is None else data.sample_weight
        bound = np.where(np.arange(got.dual.shape[1]) == data.target[:, None],
                         (got.class_cost[data.target] * weight)[:, None], 0.0)  # fmt: skip
        assert (got.dual <= bound + 1e-9).all()
        assert_allclose(got.dual.sum(axis=1), 0.0, atol=1e-8)
        rows = np.array([np.append(dense_row(data.X, i), data.bias) for i in range(len(got.dual))])
        assert_allclose(got.coef, rows.T @ got.dual, atol=1e-8 * max(1.0, np.abs(got.coef).max()))

    keeps_the_contract()


@st.composite
def l1_problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    by_feature = draw_X(draw, rng, draw(st.integers(1, 8)), draw(st.sampled_from(AROUND_VECTORS[1:])))
    n_features, n_samples = by_feature.shape
    models = []
    for _ in range(draw(st.integers(1, 3))):
        y = rng.choice([-1.0, 1.0], n_samples)
        residual, signed_cost = padded(n_samples), padded(n_samples)
        residual[:n_samples] = y
        signed_cost[:n_samples] = y * rng.uniform(0.1, 3.0, n_samples) * (rng.random(n_samples) < 0.9)
        cost = np.abs(signed_cost[:n_samples])
        curvature = np.array([cost @ dense_row(by_feature, j) ** 2 for j in range(n_features)])
        record = initial_record(
            Binary(1, 1.0, 1.0, draw(st.sampled_from([1e-8, 0.3]))),
            n_features,
            draw(st.integers(1, SWEEPS)),
            int(rng.integers(2**31)),
        )
        order = np.arange(n_features, dtype=np.int32)
        models.append(L1Primal(record, order, np.zeros(n_features), residual, signed_cost, curvature))
    return by_feature, models


@each_backend
def test_sweeps_over_features(device):
    backend = for_device(device).dual_cd.l1

    @drawn
    @given(l1_problems(), st.sampled_from([1.0, 300.0, 1e9]))
    def keeps_the_contract(problem, work):
        by_feature, models = problem
        expected = expected_of(lambda some: reference.l1(by_feature, some, 1.0), models, "residual")
        assert_same_models(advanced(lambda some: backend(by_feature, some, work), models), expected)

    keeps_the_contract()


@st.composite
def logistic_l1_problems(draw):
    by_feature, models = draw(l1_problems())
    n = by_feature.shape[0]
    for k, model in enumerate(models):
        samples, features = np.zeros((5, len(model.signed_cost))), np.zeros((3, n))
        model.record["n_samples"] = np.count_nonzero(model.signed_cost)
        models[k] = LogisticL1(model.record, model.order, model.coef, model.signed_cost, samples, features)
    return by_feature, models


@each_backend
def test_newton_steps_over_features(device):
    backend = for_device(device).dual_cd.logistic_l1

    @settings(drawn, max_examples=examples(60))
    @given(logistic_l1_problems(), st.sampled_from([1.0, 300.0, 1e9]))
    def keeps_the_contract(problem, work):
        by_feature, models = problem
        expected = expected_of(
            lambda some: reference.logistic_l1(by_feature, some, 1.0), models, "signed_cost"
        )
        assert_same_models(advanced(lambda some: backend(by_feature, some, work), models), expected)

    keeps_the_contract()


@each_backend
@pytest.mark.parametrize("C", [0.05, 1.0, 1e3])
def test_a_minimum_with_an_l1_penalty(device, C):
    """The subgradient, taken here, vanishes, though features have been shrunk on the way."""
    rng = np.random.default_rng(0)
    by_feature = rng.standard_normal((30, 200))
    y = np.where(by_feature[0] - by_feature[1] + rng.standard_normal(200) > 0.0, 1.0, -1.0)
    record = initial_record(Binary(1, C, C, 1e-9), 30, 1000, 1)
    record["n_samples"] = 200
    order, samples = np.arange(30, dtype=np.int32), np.zeros((5, 200))
    model = LogisticL1(record, order, np.zeros(30), C * y, samples, np.zeros((3, 30)))
    (model,) = advanced(lambda some: for_device(device).dual_cd.logistic_l1(by_feature, some, 1e9), [model])
    w = model.coef
    gradient = -C * by_feature @ (y / (1.0 + np.exp(y * (w @ by_feature))))
    assert 0 < np.count_nonzero(w) < (20 if C < 1.0 else 31)
    assert_allclose(gradient[w != 0.0], -np.sign(w[w != 0.0]), atol=1e-6 * max(1.0, C))
    assert (np.abs(gradient[w == 0.0]) <= 1.0 + 1e-6).all()
    assert model.record["n_iter"] < 1000


@each_backend
def test_norms_and_transposition(device):
    backend = for_device(device).dual_cd

    @drawn
    @given(st.data())
    def keeps_the_contract(data):
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        shape = data.draw(st.integers(1, 9)), data.draw(st.sampled_from(AROUND_VECTORS))
        X, bias = draw_X(data.draw, rng, *shape), data.draw(st.sampled_from([0.0, 2.5]))
        assert_allclose(backend.sq_norms(X, bias), reference.sq_norms(X, bias), rtol=1e-12)
        ours, expected = backend.transposed(X, bias), reference.transposed(X, bias)
        assert isinstance(ours, CSR) == isinstance(X, CSR)
        assert ours.shape == expected.shape
        assert ours.dtype == X.dtype
        for got, wanted in zip(ours[:3], expected[:3]) if isinstance(X, CSR) else [(ours, expected)]:
            assert_array_equal(got, wanted)

    keeps_the_contract()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"order": np.zeros(4, np.int64)}, TypeError),
        ({"order": np.zeros(99, np.int32)}, ValueError),
        ({"dual": np.zeros(3)}, TypeError),
        ({"coef": np.zeros(5)}, TypeError),
        ({"dual": np.zeros(4, np.float32)}, TypeError),
        ({"record": np.zeros(1)}, TypeError),
    ],
)
def test_arrays_that_c_must_not_follow_are_refused(change, error):
    from fastml.kernels.cpu import dual_cd

    X = np.ones((4, 5))
    data = Data(X, np.zeros(4, np.int32), None, 0.0, np.full(4, 5.0))
    record = initial_record(Binary(1, 1.0, 1.0, 0.1), 4, 1, 0)
    model = Dual(record, np.arange(4, dtype=np.int32), padded(5), np.zeros(4))
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(error):
        dual_cd.svc(data, [model], True, 1.0)
