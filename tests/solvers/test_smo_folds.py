"""Cross-validation of duals: each fold's solution is as good as any problem's, wherever it started."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import examples
from smo_problems import (
    MAX_ITER,
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
    rounding,
    solve,
)

from fastml._kernel import KernelFunction
from fastml.solvers.smo import Problems, _kernel_values, _solve


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
    few = Problems.single(*(array[stays] for array in fold[:5]), nu=fold.nu)
    of_few = {"alpha": solution.alpha[stays], "decision": solution.decision[stays]}
    return few, SimpleNamespace(**{**vars(solution), **of_few})


@pytest.mark.parametrize("kind", ["svc", "nu_svc", "svr", "one_class"])
def test_folds(way, kind):
    """Feasible and within tol of the KKT conditions, whatever they start from; decision values of all rows."""

    @settings(max_examples=examples(30))
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
        (solution,) = solve(X, [problem], kernel, tol=1e-3, max_iter=MAX_ITER)
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
        solutions = solve(X, problems, RBF, tol=1e-4, cache_size=cache_size)
    else:
        solutions = solve(None, problems, RBF, tol=1e-4, cache_size=cache_size, precomputed=K)
    for problem, solution in zip(problems, solutions):
        assert_solved(problem, solution, K, 1e-4)
        assert len(solution.folds) == 5
        for fold, of_fold in zip(problem.folds, solution.folds):
            own_problem, of_remaining = remaining(fold, of_fold)
            assert_solved(own_problem, of_remaining, K, 1e-4)
            (own,) = solve(X, [own_problem], RBF, tol=1e-4)
            least = objective(own_problem, own.alpha, K)
            assert objective(own_problem, of_remaining.alpha, K) == pytest.approx(least, rel=1e-4)


def test_folds_of_nearly_all_and_of_nothing(way):
    """A fold that leaves a variable of either sign; one that leaves all; a problem that max_iter ends."""
    rng = np.random.default_rng(12)
    X = rng.standard_normal((50, 3))
    problem = make_problem("svc", labels(rng, X), None, np.full(50, 5.0))
    C = np.zeros((2, 50))
    C[0, [np.argmax(problem.y), np.argmin(problem.y)]] = 5.0
    C[1] = 5.0
    folds = tuple(problem._replace(C=of_fold) for of_fold in C)
    (solution,) = solve(X, [problem._replace(folds=folds)], RBF, tol=1e-5)
    K = kernel_matrix(X, RBF)
    assert_solved(*remaining(folds[0], solution.folds[0]), K, 1e-5)
    assert np.count_nonzero(solution.folds[0].alpha) == 2
    assert solution.folds[1].n_iter == 0
    assert_solved(folds[1], solution.folds[1], K, 1e-5)
    (stopped,) = solve(X, [problem._replace(folds=folds)], RBF, tol=1e-5, max_iter=3)
    assert stopped.n_iter == stopped.folds[1].n_iter == 3
    assert not stopped.folds[1].converged
    assert_feasible(folds[1], stopped.folds[1].alpha)


def test_a_variable_is_held_out_of_one_fold(monkeypatch):
    monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
    problem = make_problem("svc", np.array([1.0, -1.0, 1.0]), None, np.ones(3))
    fold = problem._replace(C=np.array([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="several folds"):
        solve(np.eye(3), [problem._replace(folds=(fold, fold))], RBF, tol=1e-3)


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
        solve(X, [problem], RBF, tol=1e-3, cache_size=20.0)
        return sum(computed)

    alone = values_of(problem)
    folds = values_of(with_folds(problem, rng.permutation(3000) % 5, lambda C: np.zeros(3000)))
    assert folds < 2 * alone
