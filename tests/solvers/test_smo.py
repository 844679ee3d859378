"""Duals of kernel machines: feasible, optimal by the KKT conditions, and where LIBSVM ends too."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from smo_problems import (
    KINDS,
    RBF,
    assert_feasible,
    assert_solved,
    kernel_matrix,
    labels,
    make_problem,
    objective,
    rounding,
    violation,
)

from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.solvers import smo
from fastml.solvers.smo import _kernel_values, _outer, _solve

# Enough for what converges at all within the time of a test.
MAX_ITER = 200_000


@pytest.fixture(params=["one block", "working sets"])
def way(request, monkeypatch):
    """Small problems are one block each; here also by working sets, of a size that takes several turns."""
    if request.param == "working sets":
        monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
        monkeypatch.setattr(_outer, "LARGEST_WORKING_SET", 24)
    return request.param


@st.composite
def data(draw, max_rows=60):
    """X with duplicates and constant features, labels and targets."""
    n = draw(st.integers(4, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.standard_normal((n, draw(st.integers(1, 5))))
    if draw(st.booleans()):
        X[n // 2 :] = X[: n - n // 2]
    if draw(st.booleans()):
        X[:, -1] = 1.0
    y = labels(rng, X, alone=draw(st.integers(0, 9)) == 0)
    return X, y, X[:, 0] + 0.3 * rng.standard_normal(n)


def bounds(rng, n, C, weighted):
    return C * rng.uniform(0.2, 2.0, n) if weighted else np.full(n, C)


@pytest.mark.parametrize("kind", KINDS)
def test_kkt_conditions(way, kind):
    @settings(max_examples=40)
    @given(data(), st.sampled_from([1e-6, 1e-2, 1.0, 1e3]), st.sampled_from([1e-8, 0.3, 1e4]), st.booleans())
    def hold(xyz, C, gamma, weighted):
        X, y, z = xyz
        kernel = KernelFunction("rbf", gamma=gamma)
        problem = make_problem(kind, y, z, bounds(np.random.default_rng(0), len(y), C, weighted))
        (solution,) = smo.solve(X, [problem], kernel, tol=1e-3, max_iter=MAX_ITER)
        assert_feasible(problem, solution.alpha)
        if solution.n_iter < MAX_ITER:
            assert_solved(problem, solution, kernel_matrix(X, kernel), 1e-3)

    hold()


@settings(max_examples=30)
@given(data(), st.sampled_from([1e4, 1e6]), st.sampled_from(["svc", "svr"]))
def test_very_large_C(xyz, C, kind):
    X, y, z = xyz
    problem = make_problem(kind, y, z, np.full(len(y), C))
    (solution,) = smo.solve(X, [problem], RBF, tol=1e-3, max_iter=MAX_ITER)
    assert_feasible(problem, solution.alpha)
    if solution.n_iter < MAX_ITER:
        assert_solved(problem, solution, kernel_matrix(X, RBF), 1e-3)


KERNELS = [
    KernelFunction("linear"),
    KernelFunction("poly", gamma=0.4, coef0=1.0, degree=2),
    KernelFunction("rbf", gamma=0.2),
    KernelFunction("sigmoid", gamma=0.1, coef0=-0.2),
]


def sklearn_twin(kind, kernel, C, tol, nu=0.4):
    shared = {
        "kernel": kernel.name,
        "gamma": kernel.gamma,
        "coef0": kernel.coef0,
        "degree": kernel.degree,
        "tol": tol,
        "max_iter": MAX_ITER,
    }
    match kind:
        case "svc":
            return SVC(C=C, **shared)
        case "svr":
            return SVR(C=C, epsilon=0.1, **shared)
        case "nu_svc":
            return NuSVC(nu=nu, **shared)
        case "nu_svr":
            return NuSVR(nu=nu, C=C, **shared)
        case "one_class":
            return OneClassSVM(nu=nu, **shared)


def twin_alpha(kind, twin, problem, n, r):
    """The dual variables of scikit-learn's estimator, as the problem has them; those of NuSVC are scaled by 1 / r."""
    signed = np.zeros(n)
    signed[twin.support_] = twin.dual_coef_[0] * (r if kind == "nu_svc" else 1.0)
    if kind in ("svr", "nu_svr"):
        return np.concatenate([np.maximum(signed, 0), np.maximum(-signed, 0)])
    return problem.y * signed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("C", [0.05, 20.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_as_scikit_learn(way, kind, kernel, C, dtype):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((150, 4)).astype(dtype)
    y, z = labels(rng, X), X[:, 0].astype(float) + 0.3 * rng.standard_normal(150)
    y = np.where(np.arange(150) < 75, y, -y[::-1])  # as many of either class: nu = 0.4 is feasible
    C = C if kind in ("svc", "svr", "nu_svr") else 1.0
    problem = make_problem(kind, y, z, np.full(150, C))
    twin = sklearn_twin(kind, kernel, C, 1e-5).fit(X.astype(float), z if "svr" in kind else y)
    (solution,) = smo.solve(X, [problem], kernel, tol=1e-5, max_iter=MAX_ITER)
    K = kernel_matrix(X, kernel)
    if max(solution.n_iter, *np.ravel(twin.n_iter_)) >= MAX_ITER:
        return
    assert solution.converged
    if kernel.name != "sigmoid":  # not definite: different local minima are right
        # NuSVC's alpha has been divided by its r of some 0.05, which is known to some 1e-5.
        rel = 1e-3 if kind == "nu_svc" else 1e-6 if dtype == np.float64 else 1e-5
        theirs = objective(problem, twin_alpha(kind, twin, problem, 150, solution.r), K)
        assert objective(problem, solution.alpha, K) == pytest.approx(theirs, rel=rel, abs=1e-9)
    if kernel.name == "rbf":  # else alpha is not unique, nor is rho
        scale = solution.r if kind == "nu_svc" else 1.0
        assert -solution.rho / scale == pytest.approx(float(twin.intercept_[0]), abs=2e-5 / scale)
    # Roundings of 150 kernel values add up to those of sqrt(150) that go the same way.
    noise = 0.0 if dtype == np.float64 else 12 * np.finfo(dtype).eps * C
    assert violation(problem, solution.alpha, K) <= 1e-5 * 1.01 + noise


@pytest.mark.parametrize("kind", KINDS)
def test_precomputed_kernels_that_are_not_definite(way, kind):
    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1), st.integers(4, 50), st.sampled_from([0.1, 1.0, 100.0]))
    def end(seed, n, C):
        rng = np.random.default_rng(seed)
        K = rng.standard_normal((n, n))
        K = K + K.T
        y = labels(rng, K)
        problem = make_problem(kind, y, rng.standard_normal(n), np.full(n, C))
        (solution,) = smo.solve(None, [problem], RBF, tol=1e-3, max_iter=MAX_ITER, precomputed=K)
        assert solution.n_iter < MAX_ITER
        assert_solved(problem, solution, K, 1e-3)

    end()


@pytest.mark.parametrize("cache_size", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("kind", ["svc", "svr", "nu_svc"])
def test_small_caches(kind, cache_size):
    """Less than one row, some rows, and all of them."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((200, 3))
    problem = make_problem(kind, labels(rng, X), X[:, 1], np.ones(200))
    (solution,) = smo.solve(X, [problem], RBF, tol=1e-4, cache_size=cache_size)
    assert_solved(problem, solution, kernel_matrix(X, RBF), 1e-4)


def test_a_cache_holds_what_it_is_allowed():
    cache = _outer_of(cache_mb=0.25, n=3000).cache
    assert cache.buffer.nbytes <= 0.25 * 2**20


def test_all_buffers_of_kernel_values_are_counted():
    outer = _outer_of(cache_mb=10.0, n=3000)
    # The block's matrix, and its rows as its solution may copy them.
    assert outer.cache.buffer.nbytes + 2 * outer.block_values.nbytes <= 10.0 * 2**20


def _outer_of(cache_mb, n):
    from fastml.kernels import for_device
    from fastml.solvers.smo._kernel_values import KernelValues, Workspace

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 2))
    backend = for_device("cpu")
    values = KernelValues(backend, X, RBF, None, np.float64)
    problem = make_problem("svc", labels(rng, X), None, np.ones(n))
    n_bytes = cache_mb * 2**20
    return _outer._Outer(
        backend.smo, values, problem, n_bytes, Workspace(backend.arrays, n_bytes, np.float64), None
    )


def one_vs_one(X, codes, C, n_classes):
    problems = []
    for a in range(n_classes):
        for b in range(a + 1, n_classes):
            rows = np.flatnonzero((codes == a) | (codes == b)).astype(np.int32)
            y = np.where(codes[rows] == a, 1.0, -1.0)
            problems.append(smo.Problem(rows, y, -np.ones(len(y)), np.full(len(y), C), np.zeros(len(y))))
    return problems


@pytest.mark.parametrize("storage", ["dense", "csr", "precomputed"])
def test_one_vs_one_problems_together(way, storage):
    rng = np.random.default_rng(1)
    X = np.where(rng.random((160, 6)) < 0.5, 0.0, rng.standard_normal((160, 6)))
    problems = one_vs_one(X, np.arange(160) % 4, 2.0, 4)
    K = kernel_matrix(X, RBF)
    given_X, precomputed = X, None
    if storage == "csr":
        present = X != 0
        indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
        given_X = CSR(X[present], np.nonzero(present)[1].astype(np.int32), indptr, X.shape)
    elif storage == "precomputed":
        given_X, precomputed = None, K
    solutions = smo.solve(given_X, problems, RBF, tol=1e-4, precomputed=precomputed)
    assert len(solutions) == 6
    for problem, solution in zip(problems, solutions):
        assert_solved(problem, solution, K, 1e-4)


def with_folds(problem, fold_of, start):
    """Cross-validation of a problem; ``start`` gives a feasible start for other bounds."""
    folds = []
    for fold in np.unique(fold_of[fold_of >= 0]):
        C = np.where(fold_of == fold, 0.0, problem.C)
        folds.append(problem._replace(C=C, alpha=start(C)))
    return problem._replace(folds=tuple(folds))


def remaining(fold, solution):
    """A fold's problem and solution without the variables that take no part: what it says in fewer words."""
    stays = fold.C > 0
    few = fold._replace(**{name: getattr(fold, name)[stays] for name in ("rows", "y", "p", "C", "alpha")})
    return few, solution._replace(alpha=solution.alpha[stays])


@pytest.mark.parametrize("kind", ["svc", "nu_svc", "svr", "one_class"])
def test_folds(way, kind):
    """Feasible and within tol of the KKT conditions, whatever they start from; decision values of all rows."""

    @settings(max_examples=30)
    @given(data(), st.sampled_from([1e-2, 1.0, 1e3]), st.sampled_from([1e-8, 0.3, 1e4]), st.booleans())
    def hold(xyz, C, gamma, weighted):
        X, y, z = xyz
        kernel = KernelFunction("rbf", gamma=gamma)
        rng = np.random.default_rng(0)
        C = bounds(rng, len(y), C, weighted)
        problem = make_problem(kind, y, z, C)
        # -1: held out of no fold.
        fold_of = rng.integers(-1, 3, len(problem.y))
        for sign in np.unique(problem.y):
            fold_of[np.flatnonzero(problem.y == sign)[0]] = -1

        def start(bounds):
            n = len(y)
            return make_problem(kind, y, z, bounds[:n]).alpha if kind != "svr" else np.zeros(2 * n)

        problem = with_folds(problem, fold_of, start)
        (solution,) = smo.solve(X, [problem], kernel, tol=1e-3, max_iter=MAX_ITER)
        K = kernel_matrix(X, kernel)
        assert len(solution.folds) == len(problem.folds)
        for fold, of_fold in zip(problem.folds, solution.folds):
            assert_feasible(fold, of_fold.alpha)
            if max(of_fold.n_iter, solution.n_iter) < MAX_ITER:
                assert_solved(*remaining(fold, of_fold), K, 1e-3)
                expected = (K[np.ix_(fold.rows, fold.rows)] * (fold.y * of_fold.alpha)).sum(axis=1)
                # gamma = 1e4 makes of an exponent's rounding some 1e-12 of a kernel value. The whole problem's
                # alphas have been taken away again.
                noise = rounding(fold, of_fold.alpha, K) + 1e-10 * float(solution.alpha.sum())
                assert np.abs(of_fold.decision - expected).max() <= noise

    hold()


@pytest.mark.parametrize("storage", ["computed", "precomputed"])
@pytest.mark.parametrize("cache_size", [1e-4, 0.01, 0.5, 100.0])
def test_folds_of_one_vs_one_problems(way, storage, cache_size):
    """Several problems at once, on one matrix or several, with little memory or plenty."""
    rng = np.random.default_rng(11)
    X = rng.standard_normal((120, 4))
    problems = [
        with_folds(problem, rng.permutation(len(problem.y)) % 5, lambda C: np.zeros(len(C)))
        for problem in one_vs_one(X, np.arange(120) % 3, 2.0, 3)
    ]
    K = kernel_matrix(X, RBF)
    if storage == "computed":
        solutions = smo.solve(X, problems, RBF, tol=1e-4, cache_size=cache_size)
    else:
        solutions = smo.solve(None, problems, RBF, tol=1e-4, cache_size=cache_size, precomputed=K)
    for problem, solution in zip(problems, solutions):
        assert_solved(problem, solution, K, 1e-4)
        assert len(solution.folds) == 5
        for fold, of_fold in zip(problem.folds, solution.folds):
            assert_solved(*remaining(fold, of_fold), K, 1e-4)
            (own,) = smo.solve(X, [remaining(fold, of_fold)[0]], RBF, tol=1e-4)
            assert of_fold.objective == pytest.approx(own.objective, rel=1e-4)


def test_folds_of_nearly_all_and_of_nothing(way):
    """A fold that leaves a variable of either sign; one that leaves all; a problem that max_iter ends."""
    rng = np.random.default_rng(12)
    X = rng.standard_normal((50, 3))
    problem = make_problem("svc", labels(rng, X), None, np.full(50, 5.0))
    C = np.zeros((2, 50))
    C[0, [np.argmax(problem.y), np.argmin(problem.y)]] = 5.0
    C[1] = 5.0
    folds = tuple(problem._replace(C=of_fold) for of_fold in C)
    (solution,) = smo.solve(X, [problem._replace(folds=folds)], RBF, tol=1e-5)
    K = kernel_matrix(X, RBF)
    assert_solved(*remaining(folds[0], solution.folds[0]), K, 1e-5)
    assert np.count_nonzero(solution.folds[0].alpha) == 2
    assert solution.folds[1].n_iter == 0
    assert_solved(folds[1], solution.folds[1], K, 1e-5)
    (stopped,) = smo.solve(X, [problem._replace(folds=folds)], RBF, tol=1e-5, max_iter=3)
    assert stopped.n_iter == stopped.folds[1].n_iter == 3
    assert not stopped.folds[1].converged
    assert_feasible(folds[1], stopped.folds[1].alpha)


def test_a_variable_is_held_out_of_one_fold(monkeypatch):
    monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
    problem = make_problem("svc", np.array([1.0, -1.0, 1.0]), None, np.ones(3))
    fold = problem._replace(C=np.array([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="several folds"):
        smo.solve(np.eye(3), [problem._replace(folds=(fold, fold))], RBF, tol=1e-3)


def test_folds_need_few_kernel_rows_of_their_own(monkeypatch):
    """They start at the whole problem's solution and advance together: not one more fit's worth for all five."""
    rng = np.random.default_rng(13)
    X = rng.standard_normal((3000, 5))
    y = labels(rng, X)
    problem = make_problem("svc", y, None, np.ones(3000))
    computed = []
    fill = _kernel_values.Columns.fill
    monkeypatch.setattr(
        _kernel_values.Columns,
        "fill",
        lambda self, rows, out: (computed.append(out.size), fill(self, rows, out)),
    )

    def values_of(problem):
        computed.clear()
        smo.solve(X, [problem], RBF, tol=1e-3, cache_size=20.0)
        return sum(computed)

    alone = values_of(problem)
    folds = values_of(with_folds(problem, rng.permutation(3000) % 5, lambda C: np.zeros(3000)))
    assert folds < 2 * alone


def test_no_problems():
    assert smo.solve(np.ones((3, 1)), [], RBF, tol=1e-3) == []


def test_results_repeat(way):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((180, 5)).astype(np.float32)
    problems = one_vs_one(X, np.arange(180) % 3, 5.0, 3)
    first, second = (smo.solve(X, problems, RBF, tol=1e-3) for _ in range(2))
    for one, other in zip(first, second):
        assert one.alpha.tobytes() == other.alpha.tobytes()
        assert one[1:6] == other[1:6]
        assert one.decision.tobytes() == other.decision.tobytes()


@pytest.mark.parametrize("max_iter", [0, 1, 37])
def test_max_iter_counts_pair_updates(way, max_iter):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((200, 5))
    problem = make_problem("svc", labels(rng, X), None, np.full(200, 10.0))
    (solution,) = smo.solve(X, [problem], RBF, tol=1e-5, max_iter=max_iter)
    assert solution.n_iter == max_iter
    assert not solution.converged
    assert_feasible(problem, solution.alpha)


def test_pair_updates_are_libsvms_number(monkeypatch):
    """One block takes LIBSVM's steps but for ties and the precision of scores: about as many of them."""
    rng = np.random.default_rng(6)
    X = rng.standard_normal((200, 4))
    y = labels(rng, X)
    (solution,) = smo.solve(X, [make_problem("svc", y, None, np.full(200, 10.0))], RBF, tol=1e-5)
    twin = SVC(C=10.0, gamma=RBF.gamma, tol=1e-5, shrinking=False).fit(X, y)
    assert solution.n_iter == pytest.approx(int(twin.n_iter_[0]), rel=0.25)


def test_float32_is_left_where_C_makes_it_too_coarse():
    X = np.ones((2, 3), np.float32)

    def precision(C, tol, kernel=RBF):
        return _solve._precision(
            X, [make_problem("svc", np.array([1.0, -1.0]), None, np.full(2, C))], kernel, tol
        )

    assert precision(1e3, 1e-3) == np.float32
    assert precision(1e5, 1e-3) == np.float64
    assert precision(1e3, 1e-5) == np.float64
    assert precision(5e3, 1e-3, KernelFunction("linear")) == np.float64  # k(x, x) = 3


def test_ctrl_c_is_heard_within_a_second(way):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((1500, 30))
    problem = make_problem("svc", rng.choice([-1.0, 1.0], 1500), None, np.full(1500, 1e9))
    kernel = KernelFunction("linear")  # not separable: C = 1e9 takes minutes
    pressed = []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.7, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        smo.solve(X, [problem], kernel, tol=1e-9)
    assert time.perf_counter() - pressed[0] < 1.0


def test_verbose_shows_the_violation(capsys):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((50, 2))
    smo.solve(X, [make_problem("svc", labels(rng, X), None, np.ones(50))], RBF, tol=1e-3, verbose=True)
    shown = capsys.readouterr().err
    assert "SMO" in shown
    assert "violation" in shown


def test_a_gradient_that_may_have_drifted_is_computed_anew(way):
    """C = 1e9 and tol = 1e-6: what is returned as converged is so by the exact gradient, as far as doubles go."""
    rng = np.random.default_rng(9)
    X = rng.standard_normal((60, 2))
    y = np.where(X[:, 0] + 0.05 * rng.standard_normal(60) > 0, 1.0, -1.0)
    problem = make_problem("svc", y, None, np.full(60, 1e9))
    kernel = KernelFunction("rbf", gamma=20.0)
    (solution,) = smo.solve(X, [problem], kernel, tol=1e-6, max_iter=MAX_ITER)
    assert_solved(problem, solution, kernel_matrix(X, kernel), 1e-6)
