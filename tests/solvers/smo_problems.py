"""Dual problems of every estimator, and direct checks of their solutions."""

from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st

from fastml._kernel import KernelFunction
from fastml.solvers import smo
from fastml.solvers.smo import Problems

# Enough for what converges at all within the time of a test.
MAX_ITER = 200_000

# Of the problems that have such.
NU, EPSILON = 0.4, 0.1

KINDS = ("svc", "svr", "nu_svc", "nu_svr", "one_class")


def solve(X, problems, *arguments, **options):
    """The solution of each of a list of single problems, all given to the solver at once, with numbers for arrays."""
    if not problems:
        return []
    solutions = smo.solve(X, together(problems), *arguments, **options)
    return [one_of(solutions, k) for k in range(len(problems))]


def together(problems):
    """Single problems, none nu or all, as the solver takes them."""
    of_variables = (np.concatenate(arrays) for arrays in zip(*(problem[:5] for problem in problems)))
    starts = np.cumsum([0, *(len(problem.y) for problem in problems)])
    folds = tuple(together(folds) for folds in zip(*(problem.folds for problem in problems), strict=True))
    return Problems(*of_variables, starts, problems[0].nu, folds)


def one_of(solutions, k):
    own = slice(*solutions.starts[k : k + 2])
    return SimpleNamespace(
        alpha=solutions.alpha[own],
        decision=solutions.decision[own],
        folds=tuple(one_of(fold, k) for fold in solutions.folds),
        **{name: getattr(solutions, name)[k] for name in ("rho", "r", "n_iter", "converged")},
    )


def kernel_matrix(X, kernel):
    """In float64, entry by entry from the definition."""
    X = np.asarray(X, np.float64)
    match kernel.name:
        case "linear":
            return X @ X.T
        case "poly":
            return (kernel.gamma * (X @ X.T) + kernel.coef0) ** kernel.degree
        case "sigmoid":
            return np.tanh(kernel.gamma * (X @ X.T) + kernel.coef0)
        case "rbf":
            return np.exp(-kernel.gamma * np.square(X[:, None] - X).sum(axis=-1))


def labels(rng, X, alone=False):
    """Of two classes that overlap; both occur. alone: all of one class but one."""
    y = np.where(X[:, 0] + 0.7 * rng.standard_normal(len(X)) > 0, 1.0, -1.0)
    if alone or abs(y.sum()) == len(y):
        y = np.ones(len(y))
        y[rng.integers(len(y))] = -1.0
    return y


def fill_up(total, C):
    """The first variables at their bounds, up to this sum: LIBSVM's start of nu problems."""
    before = np.concatenate([[0.0], np.cumsum(C)[:-1]])
    return np.clip(total - before, 0.0, C)


def make_problem(kind, y, z, C):
    """The dual problem of an estimator: y are class labels, z targets of regression, C bounds of each row."""
    n = len(y)
    once = np.arange(n, dtype=np.int32)
    twice, signs = np.concatenate([once, once]), np.repeat([1.0, -1.0], n)
    match kind:
        case "svc":
            return Problems.single(once, y, -np.ones(n), C, np.zeros(n))
        case "svr":
            p = np.concatenate([EPSILON - z, EPSILON + z])
            return Problems.single(twice, signs, p, np.concatenate([C, C]), np.zeros(2 * n))
        case "one_class":
            return Problems.single(once, np.ones(n), np.zeros(n), C, fill_up(NU * C.sum(), C))
        case "nu_svc":
            alpha = np.zeros(n)
            smaller = min(C[y > 0].sum(), C[y < 0].sum())
            for sign in (1.0, -1.0):
                alpha[y == sign] = fill_up(NU * smaller, C[y == sign])
            return Problems.single(once, y, np.zeros(n), C, alpha, nu=True)
        case "nu_svr":
            alpha = fill_up(NU * C.sum() / 2, C)
            return Problems.single(
                twice,
                signs,
                np.concatenate([-z, z]),
                np.concatenate([C, C]),
                np.concatenate([alpha, alpha]),
                nu=True,
            )


def violation(problem, alpha, K):
    """m(a) - M(a) from the definition (Chang & Lin 2011, eqs. 6 and 11)."""
    y, C = problem.y, problem.C
    Q = (y[:, None] * y) * K[np.ix_(problem.rows, problem.rows)]
    minus_y_gradient = -y * (Q @ alpha + problem.p)
    up = np.where(y > 0, alpha < C, alpha > 0)
    low = np.where(y > 0, alpha > 0, alpha < C)
    groups = [y > 0, y < 0] if problem.nu else [np.ones(len(y), bool)]
    return max(
        minus_y_gradient[up & group].max(initial=-np.inf) - minus_y_gradient[low & group].min(initial=np.inf)
        for group in groups
    )


def objective(problem, alpha, K):
    signed = problem.y * alpha
    return 0.5 * signed @ K[np.ix_(problem.rows, problem.rows)] @ signed + problem.p @ alpha


def rounding(problem, alpha, K):
    """How far rounding may move the gradient of a variable: of the sums in it, and of alpha itself."""
    rows = np.abs(K[np.ix_(problem.rows, problem.rows)])
    return 64 * np.finfo(float).eps * (float((rows @ alpha).max()) + float(np.abs(problem.p).max()))


def assert_feasible(problem, alpha):
    assert ((alpha >= 0) & (alpha <= problem.C)).all()
    # 200,000 updates, which is where tests stop, have moved a sum by 1.1e-12 of it.
    tolerance = 1e-11 * max(1.0, float(np.abs(problem.alpha).sum()), float(alpha.sum()))
    assert abs(problem.y @ alpha - problem.y @ problem.alpha) <= tolerance
    if problem.nu:
        assert abs(alpha.sum() - problem.alpha.sum()) <= tolerance


def assert_solved(problem, solution, K, tol):
    """Feasible, within tol of the KKT conditions, and its scalars those of alpha."""
    assert solution.converged
    assert_feasible(problem, solution.alpha)
    noise = rounding(problem, solution.alpha, K)
    assert violation(problem, solution.alpha, K) <= tol * (1 + 1e-6) + noise
    decision = K[problem.rows][:, problem.rows] @ (problem.y * solution.alpha)
    # The sum of all updates, whose rounding may add up to a hundredth of tol, or as far as alpha's own.
    np.testing.assert_allclose(solution.decision, decision, rtol=1e-6, atol=0.01 * tol + noise)
    assert_levels(problem, solution, K, tol + noise)


def assert_levels(problem, solution, K, tol):
    """rho, and r in nu problems, lie where free variables' gradients do, and bounded ones allow."""
    y, C, alpha = problem.y, problem.C, solution.alpha
    gradient = K[np.ix_(problem.rows, problem.rows)] @ (y * alpha) + y * problem.p
    level = solution.rho + (y * solution.r if problem.nu else 0.0)
    grows = np.where(y > 0, alpha < C, alpha > 0)
    shrinks = np.where(y > 0, alpha > 0, alpha < C)
    for own in [y > 0, y < 0] if problem.nu else [np.ones(len(y), bool)]:
        if not (own & grows).any() or not (own & shrinks).any():
            continue
        assert (gradient - level)[own & grows].min() >= -1.001 * tol
        assert (gradient - level)[own & shrinks].max() <= 1.001 * tol


RBF = KernelFunction("rbf", gamma=0.5)


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


def one_vs_one(X, codes, C, n_classes):
    problems = []
    for a in range(n_classes):
        for b in range(a + 1, n_classes):
            rows = np.flatnonzero((codes == a) | (codes == b)).astype(np.int32)
            y = np.where(codes[rows] == a, 1.0, -1.0)
            problems.append(Problems.single(rows, y, -np.ones(len(y)), np.full(len(y), C), np.zeros(len(y))))
    return problems
