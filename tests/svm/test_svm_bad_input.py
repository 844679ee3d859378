"""Bad input gets scikit-learn's errors, and a fit that fails leaves the estimator as it was."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import svm as theirs

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
