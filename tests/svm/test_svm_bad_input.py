"""Bad input gets scikit-learn's errors, and a fit that fails leaves the estimator as it was."""

import numpy as np
import pytest
from numba import njit
from scipy import sparse
from sklearn import config_context
from sklearn import svm as theirs
from sklearn.exceptions import ConvergenceWarning

from fastml import svm as ours

NAMES = ["SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"]
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((40, 3)), np.arange(40) % 2


def with_value(value):
    bad = X.copy()
    bad[3, 1] = value
    return bad


def error_of(action):
    with pytest.raises(Exception) as caught:  # which one it is gets compared
        action()
    return caught.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("bad_X", "bad_y"),
    [
        (with_value(np.nan), Y),
        (with_value(np.inf), Y),
        (X[0], Y),
        (X[None], Y),
        (X[:0], Y[:0]),
        (X[:, :0], Y),
        (sparse.csr_matrix(with_value(np.nan)), Y),
        (X.astype(complex), Y),
        (np.array([["a", "b"]] * 40), Y),
        (5, Y),
    ],
    ids=["nan", "inf", "1-d", "3-d", "no rows", "no columns", "sparse nan", "complex", "text", "number"],
)
def test_bad_X(name, bad_X, bad_y):
    model, twin = getattr(ours, name)(), getattr(theirs, name)()
    mine, other = (error_of(lambda m=m: m.fit(bad_X, bad_y)) for m in (model, twin))
    assert type(mine) is type(other)
    assert str(mine) == str(other)


@pytest.mark.parametrize("name", ["SVC", "NuSVC", "SVR", "NuSVR"])
@pytest.mark.parametrize(
    "bad_y",
    [Y[:-1], np.where(Y, np.nan, 1.0), np.stack([Y, Y], axis=1), None],
    ids=["short", "nan", "2-d", "none"],
)
def test_bad_y(name, bad_y):
    mine, other = (error_of(lambda p=p: getattr(p, name)().fit(X, bad_y)) for p in (ours, theirs))
    assert type(mine) is type(other)
    assert str(mine) == str(other)


@pytest.mark.parametrize("name", ["SVC", "NuSVC"])
@pytest.mark.parametrize("bad_y", [np.ones(40), Y + 0.5 * rng.random(40)], ids=["one class", "continuous"])
def test_bad_labels(name, bad_y):
    mine, other = (error_of(lambda p=p: getattr(p, name)().fit(X, bad_y)) for p in (ours, theirs))
    assert type(mine) is type(other)
    assert str(mine) == str(other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("params", "weight"),
    [
        ({"kernel": "cosine"}, None),
        ({"degree": -1}, None),
        ({"gamma": -1.0}, None),
        ({"tol": 0.0}, None),
        ({"cache_size": 0}, None),
        ({"max_iter": -2}, None),
        ({"kernel": "precomputed"}, None),
        ({}, np.zeros(40)),
        ({}, -np.ones(40)),
        ({}, np.full(40, np.nan)),
    ],
    ids=str,
)
def test_bad_parameters_and_weights(name, params, weight):
    mine, other = (
        error_of(lambda p=p: getattr(p, name)(**params).fit(X, Y, sample_weight=weight))
        for p in (ours, theirs)
    )
    assert type(mine) is type(other)
    assert str(mine).split(" instance of")[0] == str(other).split(" instance of")[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "weight", [np.ones(39), np.ones((40, 1)), np.ones((20, 2))], ids=["short", "column", "2-d"]
)
def test_weights_of_another_shape(name, weight):
    with pytest.raises(ValueError, match="sample_weight"):
        getattr(ours, name)().fit(X, Y, sample_weight=weight)


def test_a_class_without_weight():
    weight = np.where(Y == 0, 0.0, 1.0)
    for Estimator in ("SVC", "NuSVC"):
        mine, other = (
            error_of(lambda p=p, e=Estimator: getattr(p, e)().fit(X, Y, sample_weight=weight))
            for p in (ours, theirs)
        )
        assert str(mine) == str(other)
    with pytest.raises(ValueError, match="not finite"):
        ours.SVC(class_weight={0: 0.0}).fit(X, Y)


def test_nu_too_large():
    y = np.arange(40) < 4
    mine, other = (error_of(lambda p=p: p.NuSVC(nu=0.9).fit(X, y)) for p in (ours, theirs))
    assert str(mine) == str(other) == "specified nu is infeasible"


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_of_predict(name):
    model, twin = (getattr(p, name)().fit(X, Y) for p in (ours, theirs))
    for bad in (with_value(np.nan), X[:, :2], X[0], sparse.csr_matrix(X)):
        mine, other = (error_of(lambda m=m, b=bad: m.predict(b)) for m in (model, twin))
        assert type(mine) is type(other)
        assert str(mine) == str(other)


def test_not_fitted():
    mine, other = (error_of(lambda p=p: p.SVC().predict(X)) for p in (ours, theirs))
    assert type(mine) is type(other)
    assert str(mine) == str(other)


@pytest.mark.parametrize("kernel", [lambda a, b: np.ones((2, 3)), lambda a, b: np.full((40, 40), np.nan)])
def test_bad_callable_kernels(kernel):
    model = ours.SVC(kernel=kernel)
    with pytest.raises(ValueError, match=r"should be equal|not finite"):
        model.fit(X, Y)


def test_indices_outside_a_sparse_matrix():
    bad = sparse.csr_matrix(X)
    bad.indices[5] = 70
    with pytest.raises(ValueError, match="indices"):
        ours.SVC().fit(bad, Y)
    model = ours.SVC().fit(sparse.csr_matrix(X), Y)
    with pytest.raises(ValueError, match="indices"):
        model.predict(bad)


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_fit_changes_nothing(name):
    model = getattr(ours, name)().fit(X, Y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(with_value(np.nan), Y)
    assert vars(model) == before
    with pytest.raises(ValueError, match="weight"):
        model.fit(X[:, :2], Y, sample_weight=np.zeros(40))
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is before[key] for key in before)


def test_an_interrupted_fit_changes_nothing(monkeypatch):
    model = ours.SVC().fit(X, Y)
    before = dict(vars(model))

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastml.solvers.smo.solve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X + 1, Y)
    assert all(vars(model)[key] is before[key] for key in before)


# scikit-learn's validation of parameters turned off: LIBSVM's own limits are left.


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *[(name, {"tol": 0.0}) for name in NAMES],
        *[(name, {"cache_size": -1}) for name in NAMES],
        *[(name, {"gamma": -1.0}) for name in NAMES],
        *[(name, {"C": 0}) for name in ("SVC", "SVR", "NuSVR")],
        *[(name, {"nu": nu}) for name in ("NuSVC", "NuSVR", "OneClassSVM") for nu in (0.0, 1.5)],
        ("SVR", {"epsilon": -0.5}),
        ("LinearSVC", {"tol": 0}),
        ("LinearSVC", {"C": 0.0}),
        ("LinearSVC", {"intercept_scaling": 0.0}),
        ("LinearSVR", {"tol": -1.0}),
        ("LinearSVR", {"C": -1.0}),
        ("LinearSVR", {"intercept_scaling": -1.0}),
    ],
)
def test_limits_hold_without_validation(name, params):
    with config_context(skip_parameter_validation=True):
        mine, other = (error_of(lambda p=p: getattr(p, name)(**params).fit(X, Y)) for p in (ours, theirs))
    assert type(mine) is type(other) is ValueError
    assert str(mine) == str(other).removeprefix("b'").removesuffix("'")


@pytest.mark.parametrize("params", [{"kernel": "cosine"}, {"kernel": 3}, {"gamma": "wide"}], ids=str)
def test_unknown_choices_are_refused_without_validation(params):
    with config_context(skip_parameter_validation=True), pytest.raises(ValueError, match="must be"):
        ours.SVC(**params).fit(X, Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("name", "params"),
    [
        *[(name, {"tol": 1, "max_iter": 7.0, "cache_size": 1}) for name in NAMES],
        ("SVC", {"shrinking": 1, "degree": 3.0, "kernel": "poly"}),
        ("LinearSVC", {"tol": 1, "fit_intercept": 1, "random_state": 0}),
        ("LinearSVC", {"C": 2, "intercept_scaling": 1, "max_iter": 9, "random_state": 0}),
        ("LinearSVR", {"tol": 1, "epsilon": 0, "random_state": 0}),
    ],
)
def test_whole_numbers_and_others_without_validation(name, params):
    proper = {
        "tol": float,
        "C": float,
        "epsilon": float,
        "degree": int,
        "max_iter": int,
        "shrinking": bool,
        "fit_intercept": bool,
        "random_state": int,
    }
    same = {key: proper.get(key, float)(value) for key, value in params.items() if key != "kernel"}
    with config_context(skip_parameter_validation=True):
        getattr(theirs, name)(**params).fit(X, Y)
        model = getattr(ours, name)(**params).fit(X, Y)
    if "kernel" in params:
        same["kernel"] = params["kernel"]
    expected = getattr(ours, name)(**same).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


def test_half_an_update_is_none():
    with config_context(skip_parameter_validation=True), pytest.warns(ConvergenceWarning):
        assert ours.SVC(max_iter=3.5).fit(X, Y).n_iter_.item() == 3


# Arguments and callables


@pytest.mark.parametrize("name", [*NAMES, "LinearSVC", "LinearSVR"])
def test_an_unknown_argument_of_fit(name):
    with pytest.raises(TypeError, match=rf"^{name}\.fit\(\) got an unexpected keyword argument 'weight'"):
        getattr(ours, name)().fit(X, Y, weight=1)


@njit
def gaussian_of_rows(x, y):
    return np.exp(-np.sum((x - y) ** 2))


@njit
def product_of_rows(x, y):
    return np.dot(x, y)


@njit
def product_of_matrices(a, b):
    return np.dot(a, b.T)


@pytest.mark.parametrize("function", [gaussian_of_rows, product_of_rows], ids=lambda f: f.__name__)
def test_a_compiled_function_of_rows_is_pointed_to_Kernel(function):
    error = error_of(lambda: ours.SVC(kernel=function).fit(X, Y))
    assert f"fastml.Kernel({function.__name__})" in "".join([str(error), *getattr(error, "__notes__", [])])


def test_a_compiled_function_of_matrices_is_a_callable_kernel():
    model = ours.SVC(kernel=product_of_matrices).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), ours.SVC(kernel="linear").fit(X, Y).predict(X))


@pytest.mark.filterwarnings("error", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "C"), [("NuSVR", 1e300), ("SVR", 1e300), ("SVC", 1e300), ("SVC", 1e308)])
def test_a_huge_C_is_no_reason_to_warn(name, C):
    assert np.isfinite(getattr(ours, name)(C=C, max_iter=1000).fit(X, Y).intercept_).all()


@pytest.mark.filterwarnings("error")
def test_a_sum_of_bounds_that_overflows():
    with pytest.raises(ValueError, match="not finite"):
        ours.NuSVR(C=1e308, max_iter=1000).fit(X, Y)


BEYOND_LIBSVM = [
    ("SVC", {"kernel": "precomputed"}, X @ X.T * 1e300),
    ("NuSVR", {"kernel": "precomputed"}, X @ X.T * 1e300),
    ("OneClassSVM", {"kernel": lambda a, b: a @ b.T * 1e300}, X),
    ("SVC", {"kernel": "linear"}, X * 1e20),
    ("SVC", {"kernel": "linear"}, X.astype(np.float32) * np.float32(1e20)),
    ("SVR", {"kernel": "poly", "gamma": 1.0}, sparse.csr_matrix(X * 1e14)),
]


@pytest.mark.parametrize(("name", "parameters", "rows"), BEYOND_LIBSVM)
def test_kernel_values_beyond_float32(name, parameters, rows):
    """LIBSVM has infinities there, and scikit-learn an error; in float64 the fit would not come to an end."""
    for package in (ours, theirs):
        with pytest.raises(ValueError, match="The dual coefficients or intercepts are not finite"):
            getattr(package, name)(**parameters).fit(rows, Y)
