"""Duals of kernel machines: feasible, optimal by the KKT conditions, and where LIBSVM ends too."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM
from smo_problems import (
    EPSILON,
    KINDS,
    MAX_ITER,
    NU,
    RBF,
    assert_feasible,
    assert_solved,
    bounds,
    data,
    kernel_matrix,
    labels,
    make_problem,
    objective,
    one_vs_one,
    solve,
    together,
    violation,
)

from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.solvers import smo
from fastml.solvers.smo import _outer, _solve


@pytest.mark.parametrize("kind", KINDS)
def test_kkt_conditions(way, kind):
    @settings(max_examples=examples(40))
    @given(data(), st.sampled_from([1e-6, 1e-2, 1.0, 1e3]), st.sampled_from([1e-8, 0.3, 1e4]), st.booleans())
    def hold(xyz, C, gamma, weighted):
        X, y, z = xyz
        kernel = KernelFunction("rbf", gamma=gamma)
        problem = make_problem(kind, y, z, bounds(np.random.default_rng(0), len(y), C, weighted))
        (solution,) = solve(X, [problem], kernel, tol=1e-3, max_iter=MAX_ITER)
        assert_feasible(problem, solution.alpha)
        if solution.n_iter < MAX_ITER:
            assert_solved(problem, solution, kernel_matrix(X, kernel), 1e-3)

    hold()


@settings(max_examples=examples(30))
@given(data(), st.sampled_from([1e4, 1e6]), st.sampled_from(["svc", "svr"]))
def test_very_large_C(xyz, C, kind):
    X, y, z = xyz
    problem = make_problem(kind, y, z, np.full(len(y), C))
    (solution,) = solve(X, [problem], RBF, tol=1e-3, max_iter=MAX_ITER)
    assert_feasible(problem, solution.alpha)
    if solution.n_iter < MAX_ITER:
        assert_solved(problem, solution, kernel_matrix(X, RBF), 1e-3)


KERNELS = [
    KernelFunction("linear"),
    KernelFunction("poly", gamma=0.4, coef0=1.0, degree=2),
    KernelFunction("rbf", gamma=0.2),
    KernelFunction("sigmoid", gamma=0.1, coef0=-0.2),
]


def sklearn_twin(kind, kernel, C, tol):
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
            return SVR(C=C, epsilon=EPSILON, **shared)
        case "nu_svc":
            return NuSVC(nu=NU, **shared)
        case "nu_svr":
            return NuSVR(nu=NU, C=C, **shared)
        case "one_class":
            return OneClassSVM(nu=NU, **shared)


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
    if "svr" in kind:  # with 20, kernels of low rank take more updates than MAX_ITER
        C = min(C, 2.0)
    elif kind != "svc":
        C = 1.0
    problem = make_problem(kind, y, z, np.full(150, C))
    twin = sklearn_twin(kind, kernel, C, 1e-5).fit(X.astype(float), z if "svr" in kind else y)
    (solution,) = solve(X, [problem], kernel, tol=1e-5, max_iter=MAX_ITER)
    K = kernel_matrix(X, kernel)
    assert np.max(twin.n_iter_) < MAX_ITER
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
    size = max(1.0, np.sqrt(np.square(K).mean(axis=1).max()))
    noise = 0.0 if dtype == np.float64 else 12 * np.finfo(dtype).eps * C * size
    assert violation(problem, solution.alpha, K) <= 1e-5 * 1.01 + noise


@pytest.mark.parametrize("kind", KINDS)
def test_precomputed_kernels_that_are_not_definite(way, kind):
    @settings(max_examples=examples(25))
    @given(st.integers(0, 2**32 - 1), st.integers(4, 50), st.sampled_from([0.1, 1.0, 100.0]))
    def end(seed, n, C):
        rng = np.random.default_rng(seed)
        K = rng.standard_normal((n, n))
        K = K + K.T
        y = labels(rng, K)
        problem = make_problem(kind, y, rng.standard_normal(n), np.full(n, C))
        (solution,) = solve(None, [problem], RBF, tol=1e-3, max_iter=MAX_ITER, precomputed=K)
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
    (solution,) = solve(X, [problem], RBF, tol=1e-4, cache_size=cache_size)
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
    solutions = solve(given_X, problems, RBF, tol=1e-4, precomputed=precomputed)
    assert len(solutions) == 6
    for problem, solution in zip(problems, solutions):
        assert_solved(problem, solution, K, 1e-4)


def test_no_problems():
    none = together([make_problem("svc", np.array([1.0, -1.0]), None, np.ones(2))]).some(np.empty(0, np.intp))
    solutions = smo.solve(np.ones((3, 1)), none, RBF, tol=1e-3)
    assert all(len(array) == 0 for array in (solutions.alpha, solutions.rho, solutions.n_iter))


def test_results_repeat(way):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((180, 5)).astype(np.float32)
    problems = one_vs_one(X, np.arange(180) % 3, 5.0, 3)
    first, second = (solve(X, problems, RBF, tol=1e-3) for _ in range(2))
    for one, other in zip(first, second):
        assert one.alpha.tobytes() == other.alpha.tobytes()
        assert (one.rho, one.n_iter) == (other.rho, other.n_iter)
        assert one.decision.tobytes() == other.decision.tobytes()


@pytest.mark.parametrize("max_iter", [0, 1, 37])
def test_max_iter_counts_pair_updates(way, max_iter):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((200, 5))
    problem = make_problem("svc", labels(rng, X), None, np.full(200, 10.0))
    (solution,) = solve(X, [problem], RBF, tol=1e-5, max_iter=max_iter)
    assert solution.n_iter == max_iter
    assert not solution.converged
    assert_feasible(problem, solution.alpha)


def test_pair_updates_are_libsvms_number():
    """One block takes LIBSVM's steps but for ties and the precision of scores: about as many of them."""
    rng = np.random.default_rng(6)
    X = rng.standard_normal((200, 4))
    y = labels(rng, X)
    (solution,) = solve(X, [make_problem("svc", y, None, np.full(200, 10.0))], RBF, tol=1e-5)
    twin = SVC(C=10.0, gamma=RBF.gamma, tol=1e-5, shrinking=False).fit(X, y)
    assert solution.n_iter == pytest.approx(int(twin.n_iter_[0]), rel=0.25)


def test_float32_is_left_where_C_makes_it_too_coarse():
    X = np.ones((2, 3), np.float32)

    def precision(C, tol, kernel=RBF):
        problem = make_problem("svc", np.array([1.0, -1.0]), None, np.full(2, C))
        return _solve._precision(X, problem, kernel, tol)

    assert precision(1e3, 1e-3) == np.float32
    assert precision(1e5, 1e-3) == np.float64
    assert precision(1e3, 1e-5) == np.float64
    assert precision(5e3, 1e-3, KernelFunction("linear")) == np.float64  # k(x, x) = 3


def test_float64_is_left_where_rounded_rows_would_not_show(rounded_rows, monkeypatch):
    def precision(X, C, tol, kernel=RBF):
        problem = make_problem("svc", np.array([1.0, -1.0]), None, np.full(2, C))
        return _solve._precision(X, problem, kernel, tol)

    X = np.ones((2, 3))
    assert precision(X, 1.0, 1e-3) == np.float64
    monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
    assert precision(X, 1.0, 1e-3) == np.float32
    assert precision(X, 1.0, 1e-7) == np.float64
    assert precision(X, 1e3, 1e-3) == np.float64
    assert precision(1e3 * X, 1.0, 1e-3) == np.float64
    assert precision(1e200 * X, 1.0, 1e-3) == np.float64
    for name in ("linear", "poly", "sigmoid"):
        assert precision(X, 1.0, 1e-3, KernelFunction(name)) == np.float32
        assert precision(1e3 * X, 1.0, 1e-3, KernelFunction(name)) == np.float64


@pytest.mark.parametrize("tol", [1e-3, 1e-5])
@pytest.mark.parametrize("offset", [0.0, 3.0, 30.0])
def test_rounded_rows_leave_the_optimum_where_libsvms_is(rounded_rows, offset, tol, monkeypatch):
    """Wherever float32 is taken for float64 rows, the dual objective is LIBSVM's to 1e-6, as in float64."""
    monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
    rng = np.random.default_rng(11)
    n_single = 0
    for C in (0.01, 1.0, 30.0):
        X = rng.standard_normal((300, 8)) + offset
        y = np.where(X[:, 0] + rng.standard_normal(300) > offset, 1.0, -1.0)
        problem = make_problem("svc", y, None, np.full(300, C))
        n_single += _solve._precision(X, problem, RBF, tol) == np.float32
        (solution,) = solve(X, [problem], RBF, tol=tol)
        twin = SVC(C=C, gamma=RBF.gamma, tol=1e-9).fit(X, y)
        alpha = np.zeros(300)
        alpha[twin.support_] = np.abs(twin.dual_coef_[0])
        K = rbf_kernel(X, gamma=RBF.gamma) * np.outer(y, y)
        ours, best = (0.5 * a @ K @ a - a.sum() for a in (solution.alpha, alpha))
        assert ours - best <= (1e-6 if tol < 1e-4 else 1e-4) * abs(best)
    assert n_single > 0 or offset == 30.0


def test_ctrl_c_is_heard_within_a_second(way):
    rng = np.random.default_rng(7)
    X = rng.standard_normal((1500, 30))
    problem = make_problem("svc", rng.choice([-1.0, 1.0], 1500), None, np.full(1500, 1e9))
    kernel = KernelFunction("linear")  # not separable: C = 1e9 takes minutes
    pressed, heard = [], []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    try:
        while not heard or (
            min(heard) >= 1.0 and len(heard) < 3
        ):  # something else may hold up one attempt, not each
            threading.Timer(0.7, press).start()
            with pytest.raises(KeyboardInterrupt):
                solve(X, [problem], kernel, tol=1e-9)
            heard.append(time.perf_counter() - pressed[-1])
    finally:
        signal.signal(signal.SIGINT, before)
    assert min(heard) < 1.0


def test_verbose_shows_the_violation(capsys):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((50, 2))
    solve(X, [make_problem("svc", labels(rng, X), None, np.ones(50))], RBF, tol=1e-3, verbose=True)
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
    (solution,) = solve(X, [problem], kernel, tol=1e-6, max_iter=MAX_ITER)
    assert_solved(problem, solution, kernel_matrix(X, kernel), 1e-6)
