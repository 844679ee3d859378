"""What fits and predictions of kernel machines promise beyond scikit-learn's numbers."""

import cProfile
import math
import pickle
import pstats
import warnings

import numpy as np
import pytest
import sklearn
import sklearn.svm
from numba import njit
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import linear_kernel, polynomial_kernel, rbf_kernel, sigmoid_kernel

import fastml
from fastml.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM, _base, _decision
from fastml.svm._one_vs_one import OneVsOne
from fastml.svm._platt import couple, draw_folds, fit_sigmoids
from fastml.svm._training import variance

ALL = (SVC, NuSVC, SVR, NuSVR, OneClassSVM)
X, Y = load_iris(return_X_y=True)


def matrix_product(a, b):
    return a @ b.T


def decision(model, X):
    return model.predict(X) if isinstance(model, (SVR, NuSVR)) else model.decision_function(X)


# Decision functions are what the attributes say


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    "kernel", ["linear", "poly", "sigmoid", "rbf", fastml.Kernel(njit(lambda x, y: np.dot(x, y)))]
)
def test_float32_rows_with_an_offset_are_predicted_as_in_float64(kernel, container):
    """Values of a linear kernel are then large, and cancel out in a decision value."""
    rows = (X + 3000).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SVC(kernel=kernel, max_iter=20_000).fit(container(rows), Y)
    expected = model.decision_function(container(rows.astype(np.float64)))
    np.testing.assert_allclose(model.decision_function(container(rows)), expected, rtol=1e-3, atol=1e-3)


def test_float32_rows_of_a_polynomial_of_large_values():
    digits, targets = load_digits(return_X_y=True)
    rows, targets = digits[:300].astype(np.float32), targets[:300]
    model = SVC(kernel="poly", degree=8, gamma=1.0).fit(rows, targets)
    assert np.isfinite(model.decision_function(rows)).all()
    assert model.score(rows, targets) == 1.0


@pytest.mark.parametrize(
    ("kernel", "function"),
    [
        ("linear", lambda a, b: linear_kernel(a, b)),
        ("poly", lambda a, b: polynomial_kernel(a, b, degree=2, gamma=0.3, coef0=0.5)),
        ("rbf", lambda a, b: rbf_kernel(a, b, gamma=0.3)),
        ("sigmoid", lambda a, b: sigmoid_kernel(a, b, gamma=0.3, coef0=0.5)),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("block_bytes", [1, _decision.BLOCK_BYTES])
def test_decision_function_follows_from_the_attributes(monkeypatch, kernel, function, container, block_bytes):
    monkeypatch.setattr(_decision, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(_decision, "MIN_BLOCK_ROWS", 7)
    model = SVC(kernel=kernel, degree=2, gamma=0.3, coef0=0.5, decision_function_shape="ovo").fit(
        container(X), Y
    )
    K = function(X, X[model.support_])
    coef = model.dual_coef_.toarray() if sparse.issparse(model.dual_coef_) else model.dual_coef_
    ends = np.cumsum([0, *model.n_support_])
    own = [slice(*ends[c : c + 2]) for c in range(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = [K[:, own[i]] @ coef[j - 1, own[i]] + K[:, own[j]] @ coef[i, own[j]] for i, j in pairs]
    np.testing.assert_allclose(
        model.decision_function(container(X)), np.array(expected).T + model.intercept_, atol=1e-9
    )

    values = model.decision_function(container(X))
    votes = np.zeros((len(X), 3))
    for pair, (i, j) in enumerate(pairs):
        votes[:, i] += values[:, pair] > 0
        votes[:, j] += values[:, pair] <= 0
    np.testing.assert_array_equal(model.predict(container(X)), votes.argmax(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_dtype_is_predicted(dtype):
    for trained in (np.float32, np.float64):
        model = SVC(decision_function_shape="ovo").fit(X.astype(trained), Y)
        values = model.decision_function(X.astype(dtype))
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, model.decision_function(X), atol=1e-4)


def test_large_coefficients_are_multiplied_in_double_precision():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4)).astype(np.float32)
    y = np.sin(3 * X[:, 0]) + 0.3 * rng.standard_normal(300)
    model = SVR(C=1e6, gamma=0.05, max_iter=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.abs(model.dual_coef_).max() > 1e3
    np.testing.assert_allclose(model.predict(X), model.predict(X.astype(np.float64)), rtol=1e-12)


def test_predictions_of_few_rows_keep_the_layout_and_notice_other_vectors():
    model = SVC().fit(X, Y)
    first = model.decision_function(X[:1])
    assert model._kept_layout._kept is not None
    np.testing.assert_allclose(model.decision_function(X[:1]), first, rtol=0, atol=0)
    with pytest.raises(ValueError, match="read-only"):  # or the layout would be of other values
        model.support_vectors_[0] = 9.0
    model.support_vectors_ = model.support_vectors_ + 1.0
    assert (model.decision_function(X[:1]) != first).any()
    assert pickle.loads(pickle.dumps(model))._kept_layout._kept is None
    model.fit(X, Y)
    np.testing.assert_array_equal(model.decision_function(X[:1]), first)


@pytest.mark.parametrize("Estimator", [SVC, SVR])
def test_more_updates_than_an_int_holds(monkeypatch, Estimator):
    solve = _base.smo.solve

    def long(*args, **kwargs):
        solutions = solve(*args, **kwargs)
        return solutions._replace(n_iter=np.full(len(solutions.n_iter), 2**33 + 7))

    monkeypatch.setattr(_base.smo, "solve", long)
    assert np.all(Estimator().fit(X, Y).n_iter_ == np.iinfo(np.intc).max)


# Weights, classes


def test_a_class_that_loses_all_its_weight_is_never_predicted():
    weight = np.where(Y == 1, 0.0, 1.0)
    model = SVC(gamma=0.2, tol=1e-9, decision_function_shape="ovo").fit(X, Y, sample_weight=weight)
    alone = SVC(gamma=0.2, tol=1e-9).fit(X[Y != 1], Y[Y != 1])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.n_support_[1] == 0
    assert model.dual_coef_.shape[0] == 2
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    # The public sign of two classes is the opposite of that of a pair.
    np.testing.assert_allclose(model.decision_function(X)[:, 1], -alone.decision_function(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Solver terminated early")
@pytest.mark.parametrize("C", [1e-6, 1e6, np.inf])
@pytest.mark.parametrize("Estimator", [SVC, SVR, NuSVR])
def test_extreme_c(Estimator, C):
    if Estimator is NuSVR and np.inf == C:  # nu's share of it
        with pytest.raises(ValueError, match="not finite"):
            NuSVR(C=C).fit(X, Y)
        return
    model = Estimator(C=C, max_iter=50_000).fit(X, Y)
    assert np.isfinite(decision(model, X)).all()


# Kernels


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.lil_matrix])
@pytest.mark.parametrize("Estimator", ALL)
def test_callable_kernels_take_two_matrices(Estimator, container):
    # On one side of the origin, so that a one-class machine has a plane.
    A = container(X / 4 + 1)
    model, built_in = (Estimator(kernel=kernel, tol=1e-7).fit(A, Y) for kernel in (matrix_product, "linear"))
    np.testing.assert_allclose(model.intercept_, built_in.intercept_, rtol=1e-3, atol=1e-3)
    K = A @ A.T
    matrix = Estimator(kernel="precomputed", tol=1e-7).fit(K.toarray() if sparse.issparse(K) else K, Y)
    np.testing.assert_allclose(matrix.intercept_, built_in.intercept_, rtol=1e-3, atol=1e-3)
    assert not hasattr(model, "n_features_in_")
    assert not model._sparse
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(A), model.predict(A))


@njit
def gaussian(x, z):
    distance = 0.0
    for i in range(len(x)):
        distance += (x[i] - z[i]) ** 2
    return math.exp(-0.3 * distance)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("Estimator", ALL)
def test_compiled_kernels_are_as_the_built_in_one_of_their_formula(Estimator, container):
    A = container(X)
    params = {"tol": 1e-8}
    model = Estimator(kernel=fastml.Kernel(gaussian), **params).fit(A, Y)
    built_in = Estimator(kernel="rbf", gamma=0.3, **params).fit(A, Y)
    np.testing.assert_allclose(decision(model, A), decision(built_in, A), atol=1e-5)
    copy = pickle.loads(pickle.dumps(clone(model).fit(A, Y)))
    np.testing.assert_allclose(decision(copy, A), decision(model, A))


@pytest.mark.filterwarnings("ignore:The `probability`:FutureWarning")
@pytest.mark.parametrize("kernel", ["rbf", "precomputed", matrix_product])
def test_probabilities_of_every_kernel(kernel):
    A = X @ X.T if kernel == "precomputed" else X
    model = SVC(kernel=kernel, probability=True, random_state=0).fit(A, Y)
    p = model.predict_proba(A)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert (p > 0).all()
    assert (p.argmax(axis=1) == model.predict(A)).mean() > 0.9
    again = SVC(kernel=kernel, probability=True, random_state=0).fit(A, Y).predict_proba(A)
    np.testing.assert_array_equal(p, again)
    other = SVC(kernel=kernel, probability=True, random_state=1).fit(A, Y).predict_proba(A)
    assert (p != other).any()


# Estimators as objects


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("Estimator", ALL)
def test_pickles_and_clones(Estimator, container):
    model = Estimator().fit(container(X), Y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(decision(copy, container(X)), decision(model, container(X)))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("Estimator", ALL)
def test_fits_repeat_bit_for_bit(Estimator):
    a, b = Estimator().fit(X, Y), Estimator().fit(X, Y)
    np.testing.assert_array_equal(a.dual_coef_, b.dual_coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)


@pytest.mark.parametrize("form", ["csr", "unsorted", "duplicates"])
def test_sparse_input_is_left_as_it_is(form):
    A = sparse.csr_matrix(X[:, [0, 1, 2, 3]])
    if form == "unsorted":
        A.indices[:4], A.data[:4] = A.indices[:4][::-1].copy(), A.data[:4][::-1].copy()
        A.has_sorted_indices = False
    if form == "duplicates":
        halves = np.repeat(A.data / 2, 2)
        A = sparse.csr_matrix((halves, np.repeat(A.indices, 2), A.indptr * 2), A.shape)
    before = A.data.copy(), A.indices.copy(), A.indptr.copy()
    model = SVC(gamma=0.2).fit(A, Y)
    np.testing.assert_allclose(
        model.decision_function(A), SVC(gamma=0.2).fit(X, Y).decision_function(X), atol=1e-9
    )
    for array, copy in zip((A.data, A.indices, A.indptr), before):
        np.testing.assert_array_equal(array, copy)


def test_max_iter_counts_pair_updates_and_warns():
    with pytest.warns(ConvergenceWarning, match=r"Solver terminated early \(max_iter=3\)"):
        model = SVC(max_iter=3).fit(X, Y)
    assert model.n_iter_.tolist() == [3, 3, 3]
    assert model.n_iter_.dtype == np.int32
    assert model.fit_status_ == 1


# The parts


def test_votes_go_to_the_first_of_equals():
    functions = OneVsOne(np.array([1, 1, 1]), np.zeros(3))
    values = np.array([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, -1.0], [0.0, 1.0, 1.0]])
    assert functions.votes(values).tolist() == [0, 0, 2, 1]


def fit_sigmoid(values, positive):
    (A,), (B,) = fit_sigmoids(values, positive, np.zeros(len(values), np.intp), 1)
    return A, B


def test_sigmoids_of_many_pairs_are_those_of_each():
    """Of a pair without rows, of one without positive ones, of values that differ in size."""
    rng = np.random.default_rng(0)
    pair = rng.permutation(np.repeat(np.arange(7), [0, 5, 40, 40, 300, 2, 10]))
    values = rng.standard_normal(len(pair)) * np.array([1.0, 1.0, 1e-8, 1e8, 1.0, 1.0, 3.0])[pair]
    positive = (rng.random(len(pair)) < 1 / (1 + np.exp(-np.clip(values, -9, 9)))) & (pair != 1)
    A, B = fit_sigmoids(values, positive, pair, 7)
    assert (A[0], B[0]) == (0, 0)
    for k in range(1, 7):
        own = fit_sigmoid(values[pair == k], positive[pair == k])
        np.testing.assert_allclose((A[k], B[k]), own, rtol=1e-9)


def test_sigmoid_is_at_the_minimum_of_its_loss():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(500)
    positive = rng.random(500) < 1 / (1 + np.exp(-2 * values + 0.5))
    A, B = fit_sigmoid(values, positive)
    assert A < 0
    n_positive = positive.sum()
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (502 - n_positive))

    def loss(A, B):
        p = 1 / (1 + np.exp(A * values + B))
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()

    best = loss(A, B)
    for step in (-1e-3, 1e-3):
        assert loss(A + step, B) > best
        assert loss(A, B + step) > best


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_sigmoid_of_values_of_any_size(scale):
    values = np.linspace(-1, 1, 50) * scale
    A, B = fit_sigmoid(values, values > 0)
    p = 1 / (1 + np.exp(np.clip(A * values + B, -700, 700)))
    assert np.isfinite([A, B]).all()
    assert p[0] < 0.5 < p[-1] or scale == 1e-8


def test_coupling_returns_consistent_probabilities_and_minimises():
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(4), size=20)
    first, second = np.triu_indices(4, 1)
    r = true[:, first] / (true[:, first] + true[:, second])
    logits = np.log(1 / r - 1)
    np.testing.assert_allclose(couple(logits, np.ones(6), np.zeros(6), 4), true, atol=1e-9)

    logits = 2 * rng.standard_normal((30, 6))  # not consistent
    r = 1 / (1 + np.exp(logits))
    p = couple(logits, np.ones(6), np.zeros(6), 4)

    def objective(p):
        return (((1 - r) * p[:, first] - r * p[:, second]) ** 2).sum(axis=1)

    for _ in range(20):
        other = np.abs(p + 0.01 * rng.standard_normal(p.shape))
        assert (objective(other / other.sum(axis=1, keepdims=True)) >= objective(p)).all()


def test_coupling_at_certainty():
    values = np.array([[1e3, 1e3, -1e3], [-1e3, 1e3, 1e3]])
    p = couple(values, -np.ones(3), np.zeros(3), 3)
    assert np.isfinite(p).all()
    assert p[0].argmax() == 0


@pytest.mark.parametrize("n", [3, 5, 12, 101])
def test_folds_are_of_equal_size(n):
    folds = draw_folds(np.array([n, 0, 7]), np.random.RandomState(0))
    assert len(folds) == n + 7
    for of_pair in (folds[:n], folds[n:]):
        sizes = np.bincount(of_pair, minlength=5)
        assert len(sizes) == 5
        assert sizes.max() - sizes.min() <= 1
    assert (folds[:n] != np.sort(folds[:n])).any()


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_variance_by_blocks(monkeypatch, container):
    A = load_digits(return_X_y=True)[0].astype(np.float32)
    expected = A.var(dtype=np.float64)
    assert variance(container(A)) == expected
    monkeypatch.setattr("fastml.svm._training.SMALL_SIZE", 1000)
    assert variance(container(A)) == pytest.approx(expected, rel=1e-12)


# Many classes


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "estimator", [SVC(), NuSVC(nu=0.4), SVC(probability=True, random_state=0), SVC(kernel="precomputed")]
)
def test_what_is_done_for_a_pair_of_classes_is_not_python(estimator):
    """1,770 pairs of a few microseconds each: less than four calls of functions for each, of Python's or NumPy's."""
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((240, 5)), np.arange(240) % 60
    if estimator.kernel == "precomputed":
        rows = rows @ rows.T
    estimator.fit(rows, labels)
    profile = cProfile.Profile()
    profile.runcall(lambda: estimator.fit(rows, labels).predict(rows))
    assert pstats.Stats(profile).total_calls < 4 * 1770


@pytest.mark.parametrize("n_classes", [3, 40])
@pytest.mark.parametrize("name", ["SVC", "NuSVC"])
def test_many_classes_as_scikit_learn(name, n_classes):
    rng = np.random.default_rng(1)
    labels = np.arange(200) % n_classes
    rows = rng.standard_normal((n_classes, 4))[labels] * 2 + rng.standard_normal((200, 4))
    weights = rng.uniform(0.5, 2.0, 200) if name == "SVC" else np.ones(200)
    mine, other = (
        getattr(module, name)(tol=1e-6, decision_function_shape="ovo").fit(rows, labels, weights)
        for module in (fastml.svm, sklearn.svm)
    )
    np.testing.assert_allclose(mine.decision_function(rows), other.decision_function(rows), atol=1e-4)
    np.testing.assert_array_equal(mine.predict(rows), other.predict(rows))
    np.testing.assert_array_equal(mine.n_support_, other.n_support_)


def test_dual_coefficients_are_in_c_order():
    for labels in (np.arange(60) % 2, np.arange(60) % 4):
        model = SVC().fit(np.random.default_rng(0).standard_normal((60, 3)), labels)
        assert model.dual_coef_.flags.c_contiguous
        assert model._dual_coef_.flags.c_contiguous


@pytest.mark.parametrize("name", ["SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"])
@pytest.mark.parametrize("share", [1.0, 0.05])
def test_a_matrix_that_was_given_is_not_copied(monkeypatch, name, share):
    """Neither by fits of all rows nor by predictions of one function; and both are scikit-learn's."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 3))
    labels = (rows[:, 0] + (share == 1.0) * rng.standard_normal(300) > 0).astype(float)
    K = np.exp(-0.5 * np.square(rows[:, None] - rows).sum(axis=2))
    monkeypatch.setattr("fastml.solvers.smo._solve.LARGEST_WHOLE", 0)
    monkeypatch.setattr("fastml.kernels.cpu.smo.gather", lambda *arguments: pytest.fail("copied"))
    parameters = {"kernel": "precomputed", "tol": 1e-6}
    if name.startswith("Nu") or name == "OneClassSVM":
        parameters["nu"] = 0.5 * share
    mine, other = (getattr(module, name)(**parameters).fit(K, labels) for module in (fastml.svm, sklearn.svm))
    if name.endswith("R"):
        np.testing.assert_allclose(mine.predict(K), other.predict(K), atol=2e-3)
        np.testing.assert_allclose(mine.predict(K[:9]), other.predict(K[:9]), atol=2e-3)
        return
    values = other.decision_function(K)
    np.testing.assert_allclose(mine.decision_function(K), values, atol=2e-3)
    # Of a support vector on the margin of a OneClassSVM the value is 0, and its sign is of rounding.
    told = np.abs(values) > 0.01 * np.abs(values).max()
    assert told.sum() > 200
    np.testing.assert_array_equal(mine.predict(K)[told], other.predict(K)[told])
    few = told[:9]
    np.testing.assert_array_equal(mine.predict(K[:9])[few], other.predict(K[:9])[few])
