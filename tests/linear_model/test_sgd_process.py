"""Fits in a process that is interrupted, that has several threads, or that forks."""

import os
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from fresh_interpreter import PACKAGE_FOLDER, output_of
from interrupted_fit import assert_stopped_and_unchanged
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

import fastml
from fastml.linear_model import SGDClassifier, SGDRegressor

N_ROWS, N_FEATURES = 20_000, 60
_rng = np.random.default_rng(0)
X = _rng.standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
CLASSES = _rng.integers(0, 5, N_ROWS)
TARGETS = {"binary": CLASSES > 2, "multiclass": CLASSES}

each_target = pytest.mark.parametrize("target", TARGETS)

INTERRUPTED = """
from fastml.linear_model import SGDClassifier, SGDRegressor

rng = np.random.default_rng(0)
X = rng.standard_normal((100_000, 200), dtype=np.float32)
y = rng.integers(0, {n_classes}, len(X)) if {n_classes} else rng.standard_normal(len(X))
if {storage!r} == "csr":
    X = sparse.csr_matrix(np.where(np.abs(X) > 1.5, X, 0))
model = (SGDClassifier if {n_classes} else SGDRegressor)(max_iter=10**6, tol=None, alpha=1e-3)
if {is_fitted}:
    model.set_params(max_iter=1).fit(X, y).set_params(max_iter=10**6)
"""


@pytest.mark.parametrize(
    ("storage", "n_classes", "is_fitted"),
    [("dense", 2, False), ("dense", 10, True), ("dense", 0, False), ("csr", 2, True)],
)
def test_ctrl_c_stops_a_fit_and_leaves_the_estimator_as_it_was(storage, n_classes, is_fitted):
    assert_stopped_and_unchanged(
        INTERRUPTED.format(storage=storage, n_classes=n_classes, is_fitted=is_fitted)
    )


def fit(target="multiclass", seed=0, model=SGDClassifier):
    return model(max_iter=3, tol=None, random_state=seed, average=True).fit(X, TARGETS[target])


def test_fits_in_several_threads_are_as_if_alone():
    jobs = [
        (target, seed, model)
        for target in TARGETS
        for seed in (0, 1)
        for model in (SGDClassifier, SGDRegressor)
    ]
    alone = [fit(*job) for job in jobs]
    results = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(position):
        start.wait()
        results[position] = fit(*jobs[position])

    for _ in range(3):
        threads = [threading.Thread(target=run, args=(position,)) for position in range(len(jobs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result, expected in zip(results, alone):
            assert_array_equal(result.coef_, expected.coef_)
            assert_array_equal(result.intercept_, expected.intercept_)


FORKED = """
import os, pickle, signal, sys
import numpy as np
import fastml
from fastml.linear_model import SGDClassifier

fastml.set_config(n_threads=2)
rng = np.random.default_rng(0)
X = rng.standard_normal((20_000, 60), dtype=np.float32)
y = rng.integers(0, int(sys.argv[1]), len(X))
fit = lambda: SGDClassifier(max_iter=3, tol=None, random_state=0).fit(X, y).coef_
expected = fit()
child = os.fork()
if child == 0:
    signal.alarm(60)  # kills a child that hangs
    os._exit(0 if np.array_equal(fit(), expected) else 1)
_, status = os.waitpid(child, 0)
assert np.array_equal(fit(), expected)
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_fit_in_a_forked_child_of_a_process_that_fitted_with_two_threads(n_classes, tmp_path):
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    finished = subprocess.run(
        [sys.executable, script, str(n_classes)],
        env={**os.environ, "PYTHONPATH": PACKAGE_FOLDER},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.stdout == "0\n", finished.stderr


FORKED_DURING_A_FIT = """
import os, signal, threading
import numpy as np
import fastml
from fastml.linear_model import SGDClassifier

fastml.set_config(n_threads=2)
rng = np.random.default_rng(0)
X = rng.standard_normal((20_000, 60), dtype=np.float32)
y = rng.integers(0, 5, len(X))
fit = lambda epochs: SGDClassifier(max_iter=epochs, tol=None, random_state=0).fit(X, y).coef_
expected = fit(3)
busy = threading.Thread(target=fit, args=(200,))
busy.start()
codes = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if np.array_equal(fit(3), expected) else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
busy.join()
print(codes)
"""


def test_forks_while_another_thread_fits():
    assert output_of(FORKED_DURING_A_FIT) == "[0, 0, 0, 0, 0]"


@each_target
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib_backends(backend, target):
    fastml.set_config(n_threads=2)
    try:
        expected = [fit(target, seed).coef_ for seed in range(3)]
        with joblib.parallel_config(backend=backend, n_jobs=2):
            results = joblib.Parallel()(joblib.delayed(fit)(target, seed) for seed in range(3))
    finally:
        fastml.set_config(n_threads=None)
    for result, coef in zip(results, expected):
        assert_array_equal(result.coef_, coef)


@each_target
def test_grid_search_with_two_jobs(target):
    alone, parallel = (
        GridSearchCV(
            SGDClassifier(max_iter=2, tol=None, random_state=0), {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=n_jobs
        ).fit(X, TARGETS[target])
        for n_jobs in (None, 2)
    )
    assert_array_equal(parallel.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert_array_equal(parallel.best_estimator_.coef_, alone.best_estimator_.coef_)
