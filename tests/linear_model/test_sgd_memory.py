"""How far the peak of the resident memory rises during a fit: X is used where it lies.

The fits run in a fresh process, after some on 100 rows. X is filled in place, so that the peak before the fit is
what X takes.
"""

import pytest
from fresh_interpreter import output_of

MB = 2**20
X_BYTES = 80 * MB
ALLOWED_RISE = 20 * MB

FIT = """
import warnings
import numpy as np
import fastml.linear_model
from scipy import sparse

warnings.simplefilter("ignore")
N_FEATURES = 120


def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def dense(dtype, order="C"):
    n_rows = {n_bytes} // N_FEATURES // np.dtype(dtype).itemsize
    X = np.empty((n_rows, N_FEATURES), dtype, order)
    some = 10 * np.random.default_rng(0).standard_normal((1000, N_FEATURES))
    for first in range(0, n_rows, 1000):
        X[first : first + 1000] = some[: len(X) - first]
    return X


def csr(dtype, index):
    entry_bytes = np.dtype(dtype).itemsize + np.dtype(index).itemsize
    n_rows = {n_bytes} // (N_FEATURES // 4) // entry_bytes
    data = np.empty(n_rows * (N_FEATURES // 4), dtype)
    data.reshape(n_rows, -1)[...] = np.random.default_rng(0).standard_normal(N_FEATURES // 4)
    indices = np.empty(data.size, index)
    indices.reshape(n_rows, -1)[...] = np.arange(0, N_FEATURES, 4)
    indptr = np.arange(0, data.size + 1, N_FEATURES // 4, dtype=index)
    return sparse.csr_array((data, indices, indptr), (n_rows, N_FEATURES), copy=False)


X = {X}
numbers = np.arange(X.shape[0], dtype=np.int32) * 7919
fits = [
    (getattr(fastml.linear_model, name)(max_iter=1, tol=None), numbers % n_classes)
    for name, n_classes in {estimators}
]
for model, y in fits:
    model.fit(X[:100], y[:100])
before = kilobytes("VmRSS")
assert kilobytes("VmHWM") - before < 4096  # else a rise could hide below the peak of making X
for model, y in fits:
    model.fit(X, y)
    print(1024 * (kilobytes("VmHWM") - before))
"""


def rises(X, *estimators):
    """Bytes by which the peak of this fit and those before it exceeds what was resident before all of them."""
    code = FIT
    for field, value in {"estimators": estimators, "X": X, "n_bytes": X_BYTES}.items():
        code = code.replace(f"{{{field}}}", str(value))
    return [int(line) for line in output_of(code).splitlines()]


@pytest.mark.parametrize(
    "X",
    ["dense('f4')", "dense('f8')", "csr('f4', 'i4')", "csr('f8', 'i8')"],
    ids=["f4", "f8", "csr f4", "csr f8"],
)
def test_X_is_not_copied(X):
    each = rises(X, ("SGDClassifier", 2), ("SGDClassifier", 10), ("SGDRegressor", 10), ("SGDOneClassSVM", 2))
    assert len(each) == 4
    assert max(each) <= ALLOWED_RISE


@pytest.mark.parametrize(
    ("X", "copy_bytes"),
    [
        ("dense('f4', 'F')", X_BYTES),
        ("dense('f8', 'F')", X_BYTES),
        ("dense('i8')", X_BYTES),
        ("dense('i4')", 2 * X_BYTES),
    ],
    ids=["f4 in Fortran order", "f8 in Fortran order", "i8", "i4 becomes f8"],
)
def test_X_is_converted_into_one_copy(X, copy_bytes):
    (rise,) = rises(X, ("SGDClassifier", 10))
    assert rise <= copy_bytes + ALLOWED_RISE
