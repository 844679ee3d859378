"""LinearRegression: least squares beside scikit-learn's and NumPy's."""

import numpy as np
import pytest
import sklearn.linear_model
from numpy.testing import assert_allclose
from scipy import sparse

from fastml.kernels.cpu import glm
from fastml.linear_model import LinearRegression

rng = np.random.default_rng(0)
X = rng.standard_normal((80, 6)) + 2.0
Y = X @ rng.standard_normal((6, 2)) + rng.standard_normal((80, 2))
WEIGHT = rng.uniform(0.0, 2.0, 80)
SIZES = 10.0 ** np.arange(-3, 3)
SETTINGS = {
    "tall": X,
    "square": X[:6],
    "wide": X[:4],
    "singular": np.column_stack([X, X[:, 0]]),
    "of several sizes": X * SIZES,
    "singular, of several sizes": np.column_stack([X, X[:, 0] + X[:, 1]]) * [*SIZES, 1e3],
    "repeated": np.repeat(X[:3], 2, axis=0),
}


@pytest.fixture(params=["by products", "copied", "factorised"])
def either_way(request, monkeypatch):
    """Products where they have the digits; else few rows are decomposed in a copy, many by way of a triangle."""
    if request.param != "by products":
        monkeypatch.setattr(
            "fastml.solvers.least_squares._least_norm.LEAST_EIGENVALUE", {"float64": 2.0, "float32": 2.0}
        )
    if request.param == "factorised":
        monkeypatch.setattr("fastml.solvers.least_squares._rows.FEW_BYTES", 0)


@pytest.mark.parametrize("rows", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("positive", [False, True])
def test_beside_scikit_learn(either_way, rows, fit_intercept, weight, positive):
    y, weight = Y[: len(rows)], None if weight is None else weight[: len(rows)]
    settings = {"fit_intercept": fit_intercept, "positive": positive}
    ours = LinearRegression(**settings).fit(rows, y, weight)
    theirs = sklearn.linear_model.LinearRegression(**settings).fit(rows, y, weight)
    assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=1e-7, atol=1e-8)
    assert hasattr(ours, "rank_") == hasattr(ours, "singular_") == (not positive)
    if not positive:
        assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-9)
        assert ours.rank_ == theirs.rank_
        kept = theirs.singular_ > 1e-6 * theirs.singular_.max()
        assert_allclose(ours.singular_[kept], theirs.singular_[kept])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two", "one"])
def test_sparse_rows(fit_intercept, y):
    rows = np.where(X > 2.5, X, 0.0)
    ours = LinearRegression(fit_intercept=fit_intercept, tol=1e-12).fit(sparse.csr_array(rows), y, WEIGHT)
    theirs = sklearn.linear_model.LinearRegression(fit_intercept=fit_intercept).fit(rows, y, WEIGHT)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-12)


def test_digits_survive_ill_conditioned_columns(either_way):
    """A condition number of 1e6, whose square no normal equations could be solved with in float32."""
    rows = np.column_stack([X[:, 0], X[:, 0] + 1e-6 * X[:, 1]]) + 1000.0
    y = rows @ [1.0, 1.0]
    model = LinearRegression(tol=1e-14).fit(rows, y)
    assert_allclose(model.coef_, [1.0, 1.0], rtol=1e-3)
    assert model.rank_ == 2
    assert LinearRegression(tol=1e-4).fit(rows, y).rank_ == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "name", ["tall", "wide", "singular", "of several sizes", "singular, of several sizes"]
)
def test_products_are_enough(monkeypatch, name, dtype):
    """Rows are decomposed only where columns are nearly collinear: it takes ten times as long."""
    monkeypatch.delattr("fastml.solvers.least_squares._least_norm._orthogonally")
    rows = SETTINGS[name].astype(dtype)
    y = Y[: len(rows)].astype(dtype)
    ours = LinearRegression().fit(rows, y)
    # In float64, for float32 arithmetic leaves the smallest singular values three digits or fewer.
    theirs = sklearn.linear_model.LinearRegression().fit(rows.astype(np.float64), y.astype(np.float64))
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    assert ours.rank_ == theirs.rank_
    assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * np.abs(theirs.coef_).max())
    n = ours.rank_
    assert_allclose(ours.singular_[:n], theirs.singular_[:n], rtol=rtol)
    assert ours.singular_.shape == theirs.singular_.shape


@pytest.mark.parametrize("distance", [1e-3, 1e-5])
def test_nearly_collinear_columns_keep_their_digits(distance):
    rows = np.column_stack([X, X[:, 0] + distance * Y[:, 0]])
    ours, theirs = (
        kind().fit(rows, Y[:, 1]) for kind in (LinearRegression, sklearn.linear_model.LinearRegression)
    )
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    assert_allclose(ours.singular_, theirs.singular_, rtol=1e-10)


@pytest.mark.parametrize(("tol", "distance", "small"), [(1e-6, 4e-6, 1e-4), (1e-3, 4e-3, 1e-2)])
def test_a_direction_is_short_beside_the_rows_not_beside_columns_of_one_size(tol, distance, small):
    """Beside many equal columns two collinear ones seem nearer to each other, once all are of one size."""
    draw = np.random.default_rng(0).standard_normal
    first = draw(1000)
    second = first + distance * draw(1000)
    others = small * (first[:, None] + 0.5 * draw((1000, 100)))
    rows, y = np.column_stack([first, second, others, 0.1 * small * draw(1000)]), first - second
    ours, theirs = (
        kind(tol=tol).fit(rows, y) for kind in (LinearRegression, sklearn.linear_model.LinearRegression)
    )
    assert ours.rank_ == theirs.rank_
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-8)


def test_a_constant_column_costs_no_second_pass(monkeypatch):
    """Its mean is what it is, to the last digit: nothing is lost when it is taken off."""
    passes = []
    monkeypatch.setattr(glm, "moments", lambda *args, moments=glm.moments: passes.append(moments(*args)))
    for constant in (0.1, 0.7, 3.3, 1e5 / 3.0):
        passes.clear()
        LinearRegression().fit(np.column_stack([X, np.full(80, constant)]), Y)
        assert len(passes) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_rows", [7, 50, 80])
def test_constant_columns_beside_others_of_several_sizes(n_rows):
    """They are no direction, and are told without a warning from those that are merely short."""
    for constant in (0.1, 0.7, 3.3, 1e5 / 3.0):
        rows = np.column_stack([SETTINGS["of several sizes"], np.full(80, constant)])[:n_rows]
        ours, theirs = (
            kind().fit(rows, Y[:n_rows]) for kind in (LinearRegression, sklearn.linear_model.LinearRegression)
        )
        assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-7)
        assert ours.rank_ == theirs.rank_ == 6


def test_many_blocks():
    rows = rng.standard_normal((30_000, 40)).astype(np.float32)
    y = rows @ np.arange(40.0) + rng.standard_normal(30_000)
    wanted = np.linalg.lstsq(np.column_stack([rows.astype(float), np.ones(30_000)]), y)[0]
    model = LinearRegression().fit(rows, y)
    assert_allclose(model.coef_, wanted[:-1], rtol=1e-5, atol=1e-5)
    assert model.intercept_ == pytest.approx(wanted[-1], abs=1e-5)


def test_negative_weights_are_an_error():
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        LinearRegression().fit(X, Y, WEIGHT - 1.0)


@pytest.mark.parametrize("scale", [1e-200, 1e-165, 1e165, 1e200])
@pytest.mark.parametrize("rows", [X, X[:4]], ids=["tall", "wide"])
def test_squares_out_of_range(either_way, rows, scale):
    y = Y[: len(rows)]
    model = LinearRegression().fit(rows * scale, y)
    assert_allclose(model.coef_ * scale, LinearRegression().fit(rows, y).coef_, rtol=1e-9)
    assert_allclose(model.predict(rows * scale), LinearRegression().fit(rows, y).predict(rows), rtol=1e-8)
