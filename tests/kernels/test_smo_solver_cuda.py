"""The SMO solver on CUDA: one call from host arrays to solutions, beside the CPU's.

Here, and not beside the solver's other tests, since the simulator is only switched on for this folder.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_gram import laplacian

from fastml import Kernel
from fastml._csr import CSR
from fastml._kernel import KernelFunction
from fastml.solvers.smo import Problems, _solve, solve

TOL = 0.05


def one_vs_one(rng, n_classes, n, C=1.0):
    """Rows of classes around points of their own, and a problem for each pair of classes."""
    labels = np.arange(n) % n_classes
    X = rng.standard_normal((n, 3)) + 2.0 * rng.standard_normal((n_classes, 3))[labels]
    rows, y, sizes = [], [], [0]
    for a in range(n_classes):
        for b in range(a + 1, n_classes):
            rows.append(np.flatnonzero((labels == a) | (labels == b)).astype(np.int32))
            y.append(np.where(labels[rows[-1]] == a, 1.0, -1.0))
            sizes.append(len(y[-1]))
    m = sum(sizes)
    problems = Problems(
        np.concatenate(rows),
        np.concatenate(y),
        -np.ones(m),
        np.full(m, C),
        np.zeros(m),
        np.cumsum(sizes),
    )
    return X, problems


def regression(rng, n):
    """Every row twice, as in SVR; and its nu form."""
    X, ones = rng.standard_normal((n, 2)), np.ones(n)
    z = np.sin(X[:, 0])
    rows, y = np.tile(np.arange(n, dtype=np.int32), 2), np.repeat([1.0, -1.0], n)
    C, start = np.tile(ones, 2), np.tile(np.where(np.arange(n) < n // 4, 1.0, 0.0), 2)
    svr = Problems.single(rows, y, np.concatenate([0.1 - z, 0.1 + z]), C, np.zeros(2 * n))
    return X, [svr, Problems.single(rows, y, np.concatenate([-z, z]), C, start, nu=True)]


def to_csr(X):
    kept = np.abs(X) > 0.3
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    return CSR(X[kept], np.nonzero(kept)[1].astype(np.int32), indptr, X.shape)


def objectives(problems, solutions):
    alpha = solutions.alpha
    each = alpha * (0.5 * problems.y * solutions.decision + problems.p)
    return np.add.reduceat(each, problems.starts[:-1])


def assert_agree(X, problems, kernel, precomputed=None):
    """Optimal to the same tolerance; each solution's objective bounds the other's from above."""
    ours, cpus = (
        solve(X, problems, kernel, tol=TOL, device=device, precomputed=precomputed)
        for device in ("cuda", "cpu")
    )
    starts = problems.starts[:-1]
    for part, ours_of, cpus_of in zip(
        (problems, *problems.folds), (ours, *ours.folds), (cpus, *cpus.folds), strict=True
    ):
        assert ours_of.converged.all()
        assert type(ours_of.alpha) is np.ndarray
        kept = np.add.reduceat(part.y * (ours_of.alpha - part.alpha), starts)
        assert_allclose(kept, 0.0, atol=1e-9)
        # Strong duality: an alpha that violates by tol is within tol times sum(C) of the least objective.
        off = TOL * np.add.reduceat(part.C, starts)
        assert (np.abs(objectives(part, ours_of) - objectives(part, cpus_of)) <= off).all()
        assert (np.abs(ours_of.rho - cpus_of.rho) <= 4 * TOL).all()


@pytest.fixture(params=["one block", "working sets"])
def way(request, cuda, monkeypatch):
    if request.param == "working sets":
        monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
    return request.param


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("name", ["rbf", "linear"])
def test_one_vs_one(dtype, layout, name):
    X, problems = one_vs_one(np.random.default_rng(0), 3, 24)
    X = X.astype(dtype)
    assert_agree(X if layout == "dense" else to_csr(X), problems, KernelFunction(name, 0.3))


@pytest.mark.usefixtures("way")
def test_folds():
    X, problems = one_vs_one(np.random.default_rng(5), 3, 24)
    held_out = np.arange(len(problems.y)) % 16 % 3
    folds = tuple(problems._replace(C=np.where(held_out == fold, 0.0, problems.C)) for fold in range(3))
    assert_agree(X, problems._replace(folds=folds), KernelFunction("rbf", 0.3))


@pytest.mark.usefixtures("way")
def test_rows_that_stand_twice():
    X, both = regression(np.random.default_rng(0), 16)
    for problem in both:
        assert_agree(X, problem, KernelFunction("rbf", 0.5))


@pytest.mark.usefixtures("way")
def test_a_kernel_of_the_users_own():
    X, problems = one_vs_one(np.random.default_rng(1), 2, 12)
    assert_agree(X, problems, KernelFunction("custom", function=Kernel(laplacian)))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_precomputed_matrix(n_classes):
    X, problems = one_vs_one(np.random.default_rng(2), n_classes, 18)
    K = np.exp(-0.3 * np.square(X[:, None] - X).sum(axis=-1))
    assert_agree(None, problems, None, precomputed=K)


def test_all_problems_of_a_classifier_are_one_launch(cuda, monkeypatch):
    launches = []
    solve_blocks = cuda.smo.solve_blocks

    def counted(blocks, *arguments):
        launches.append(len(blocks.spans))
        return solve_blocks(blocks, *arguments)

    monkeypatch.setattr(cuda.smo, "solve_blocks", counted)
    X, problems = one_vs_one(np.random.default_rng(3), 4, 20)
    solutions = solve(X, problems, KernelFunction("rbf", 0.3), tol=TOL, device="cuda")
    assert len(solutions.rho) == 6
    assert launches == [6]


def test_memory_for_values_is_what_x_leaves_free(cuda, monkeypatch):
    calls = []
    for module, name in ((cuda.arrays, "send"), (cuda.smo, "value_bytes")):
        original = getattr(module, name)

        def recorded(value, original=original, name=name):
            calls.append((name, value))
            return original(value)

        monkeypatch.setattr(module, name, recorded)
    X, problems = one_vs_one(np.random.default_rng(4), 2, 12)
    solve(X, problems, KernelFunction("rbf", 0.3), tol=TOL, device="cuda")
    names = [name for name, _ in calls]
    assert any(value is X for _, value in calls[: names.index("value_bytes")])


def test_max_iter_ends_it_on_the_update(cuda):
    X, problems = one_vs_one(np.random.default_rng(4), 3, 24)
    solutions = solve(X, problems, KernelFunction("rbf", 0.3), tol=1e-3, max_iter=2, device="cuda")
    assert (solutions.n_iter == 2).all()
    assert not solutions.converged.any()
