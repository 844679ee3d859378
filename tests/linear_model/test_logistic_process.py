"""Logistic regressions that are interrupted, and what memory they take: X is used where it lies."""

import pytest
from fresh_interpreter import output_of
from interrupted_fit import assert_stopped_and_unchanged

SET_UP = """
import warnings
from fastml.linear_model import LogisticRegression, LogisticRegressionCV

warnings.simplefilter("ignore")
solver, storage, n_classes, n_Cs = {given}
rng = np.random.default_rng(0)
X = rng.standard_normal((30_000, 200), dtype=np.float32)
y = rng.integers(0, n_classes, len(X))
if storage == "csr":
    X = sparse.csr_matrix(np.where(np.abs(X) > 1.5, X, 0))
if n_Cs:
    model = LogisticRegressionCV(Cs=n_Cs, cv=5, solver=solver, l1_ratios=(0,), scoring="accuracy", tol=0.0)
    model.set_params(use_legacy_attributes=False)
else:
    model = LogisticRegression(solver=solver, max_iter=1).fit(X[:500], y[:500])
    model.set_params(max_iter=10**6, tol=0.0)
"""


@pytest.mark.parametrize(
    "given",
    [
        ("lbfgs", "dense", 2, 10_000),  # which ends soon where rounding stops it: many fits
        ("lbfgs", "csr", 10, 10_000),
        ("newton-cg", "dense", 10, 10_000),
        ("newton-cholesky", "dense", 2, 10_000),
        ("agd", "csr", 2, 0),
        ("saga", "dense", 10, 0),
    ],
)
def test_ctrl_c_stops_a_fit_and_leaves_the_estimator_as_it_was(given):
    assert_stopped_and_unchanged(SET_UP.format(given=given))


MEMORY = """
import sys, warnings
import numpy as np
from scipy import sparse
from fastml.linear_model import LogisticRegression

warnings.simplefilter("ignore")


def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


dtype, storage = sys.argv[1:]
some = np.random.default_rng(0).standard_normal((1000, 100))
if storage == "dense":
    X = np.empty((160_000_000 // 100 // np.dtype(dtype).itemsize, 100), dtype)
    for first in range(0, len(X), 1000):
        X[first : first + 1000] = some[: len(X) - first]
else:
    n_rows = 300_000
    data = np.empty(n_rows * 50, dtype)
    data.reshape(n_rows, -1)[...] = some[0, :50]
    indices = np.empty(data.size, np.int32)
    indices.reshape(n_rows, -1)[...] = np.arange(0, 100, 2)
    X = sparse.csr_array((data, indices, np.arange(0, data.size + 1, 50, dtype=np.int32)), (n_rows, 100), copy=False)
numbers = np.arange(X.shape[0], dtype=np.int32) * 7919
fits = [(LogisticRegression(max_iter=3, solver=solver), n) for solver, n in (("lbfgs", 2), ("lbfgs", 10), ("agd", 2))]
for model, n_classes in fits:
    model.fit(X[:200], numbers[:200] % n_classes)
before = kilobytes("VmRSS")
assert kilobytes("VmHWM") - before < 4096  # else a rise could hide below the peak of making X
for model, n_classes in fits:
    model.fit(X, numbers % n_classes)
    print(1024 * (kilobytes("VmHWM") - before))
"""


@pytest.mark.parametrize("storage", ["dense", "csr"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_X_is_not_copied(dtype, storage):
    code = MEMORY.replace("sys.argv[1:]", repr((dtype, storage)))
    rises = [int(line) for line in output_of(code).splitlines()]
    assert len(rises) == 3
    assert max(rises) <= 50e6
