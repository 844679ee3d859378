"""Kernel machines in a process of their own: Ctrl-C, and how far a fit raises the peak of the resident memory."""

import re

import pytest
from fresh_interpreter import output_of
from interrupted_fit import assert_stopped_and_unchanged

INTERRUPTED = """
import warnings
from fastml.svm import SVC, SVR, OneClassSVM

warnings.simplefilter("ignore", FutureWarning)  # of `probability`
rng = np.random.default_rng(0)
X = rng.standard_normal(({n_rows}, 60))
if {storage!r} == "csr":
    X = sparse.csr_matrix(np.where(np.abs(X) > 1.0, X, 0))
y = rng.integers(0, {n_classes}, X.shape[0])
model = {model}
if {is_fitted}:
    model.fit(X[:50], y[:50])
"""


@pytest.mark.parametrize(
    ("storage", "n_rows", "n_classes", "model", "is_fitted"),
    [
        ("dense", 40_000, 2, "SVC(C=1e6)", False),
        ("csr", 40_000, 2, "SVC(C=1e6, cache_size=20)", True),
        ("dense", 1_900, 2, "SVC(C=1e9, kernel='linear', tol=1e-9)", False),
        ("dense", 10_000, 10, "SVC(C=1e9, kernel='linear', tol=1e-9)", True),
        ("dense", 10_000, 3, "SVC(C=1e4, probability=True)", False),
        ("csr", 30_000, 50, "SVR(C=1e6, epsilon=1e-3)", False),
        ("dense", 30_000, 2, "OneClassSVM(nu=0.5, tol=1e-9, gamma=1.0)", False),
    ],
)
def test_ctrl_c_stops_a_fit_and_leaves_the_estimator_as_it_was(storage, n_rows, n_classes, model, is_fitted):
    assert_stopped_and_unchanged(
        INTERRUPTED.format(
            storage=storage, n_rows=n_rows, n_classes=n_classes, model=model, is_fitted=is_fitted
        ),
        seconds=0.8,
    )


PEAK = """
import warnings
from pathlib import Path
import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from fastml.svm import SVC, SVR

warnings.simplefilter("ignore", FutureWarning)  # of `probability`
MB = 10**6
N_WIDE = 6_000
rng = np.random.default_rng(0)


def dense(dtype):
    return rng.standard_normal((12_000, 30)).astype(dtype)


def wide():
    columns = np.sort(rng.integers(0, 1_000_000 // 100, (N_WIDE, 100)) + 10_000 * np.arange(100)).astype(np.int32)
    starts = np.arange(0, columns.size + 1, 100, dtype=np.int32)
    return sparse.csr_array((rng.random(columns.size), columns.ravel(), starts), (N_WIDE, 1_000_000))


def bytes_of(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sparse.issparse(X) else X.nbytes


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


X = {X}
y = rng.integers(0, 3, X.shape[0])
model = {model}
warnings.simplefilter("ignore", ConvergenceWarning)
model.fit(X[:300], y[:300])
Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
before = peak()
model.fit(X, y)
print(peak() - before, (model.cache_size + 150) * MB + bytes_of(X))
"""


# 12,000 rows: a kernel matrix of 576 MB in float32.
@pytest.mark.parametrize(
    ("X", "model"),
    [
        ("dense('f4')", "SVC()"),
        ("dense('f8')", "SVC(cache_size=50)"),
        ("dense('f4')", "SVC(probability=True)"),
        ("dense('f4')", "SVR(cache_size=20)"),
        ("wide()", "SVC()"),
        # The cache is full long before the fit's end, and a step takes a row of 1,000,000 features.
        ("wide()", "SVC(kernel='linear', cache_size=20, max_iter=20_000)"),
    ],
)
def test_cache_size_bounds_the_peak(X, model):
    peak, bound = map(int, output_of(PEAK.replace("{X}", X).replace("{model}", model)).split())
    assert peak <= bound


SHORT_OF_MEMORY = """
import resource, warnings
import numpy as np
from fastml.svm import SVC, SVR

warnings.simplefilter("ignore")  # nine steps do not converge

rng = np.random.default_rng(0)
X = rng.standard_normal((12_000, 200))
y = rng.integers(0, 3, len(X))
model = {model}
model.fit(X[:300], y[:300])
before = dict(vars(model))
address_space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + {left_over}, resource.RLIM_INFINITY))
for _ in range(3):
    try:
        model.fit(X, y)
    except MemoryError as error:
        print(error)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(model.fit(X, y).shape_fit_)
"""


@pytest.mark.parametrize("left_over", [10_000_000, 100_000_000])
@pytest.mark.parametrize("model", ["SVC(cache_size=300, max_iter=9)", "SVR(cache_size=300, max_iter=9)"])
def test_memory_that_is_not_there(model, left_over):
    """The error says how much was asked for, the model is as it was, and a fit that has the memory succeeds."""
    *messages, shape = output_of(SHORT_OF_MEMORY.format(model=model, left_over=left_over)).splitlines()
    assert len(messages) == 3
    assert len(set(messages)) == 1
    assert re.search(r"\d+\.?\d* (bytes|[KMG]iB)", messages[0])
    assert shape == "(12000, 200)"
