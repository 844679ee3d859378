"""Threads of the kernels: how many there are, where they run, and that they sleep when there is nothing to do."""

import json
import os
import sys

import pytest
from fresh_interpreter import output_of

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads are looked at in /proc")

FITS = """
import json, os, threading, time
import numpy as np
import fastml
from fastml.linear_model import SGDClassifier

fastml.set_config(n_threads=2)
rng = np.random.default_rng(0)
X = rng.standard_normal((20_000, 60), dtype=np.float32)
y = rng.integers(0, 5, len(X))
fit = lambda: SGDClassifier(max_iter=2, tol=None, random_state=0).fit(X, y)
tasks = lambda: {int(task) for task in os.listdir("/proc/self/task")}
"""

FROM_SEVERAL_THREADS = (
    FITS
    + """
before = tasks()
fit()
first = tasks() - before
callers = [threading.Thread(target=lambda: [fit() for _ in range(10)]) for _ in range(3)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
time.sleep(0.5)  # Python has joined a thread a little before the system has
print(json.dumps([len(first), len(tasks() - before - first)]))
"""
)

AFTERWARDS = (
    FITS
    + """
fit()
time.sleep(0.05)
spent = time.process_time()
time.sleep(1.0)
print(time.process_time() - spent)
"""
)

MOVED = (
    FITS
    + """
before = tasks()
fit()
(worker,) = tasks() - before
own, other = sorted(os.sched_getaffinity(0))[:2]
seen = []
for processors in [{own}, {other}, {own, other}]:
    os.sched_setaffinity(0, processors)
    fit()
    seen.append(sorted(os.sched_getaffinity(worker)))
print(json.dumps([own, other, seen]))
"""
)


def test_fits_from_several_threads_share_one_worker():
    assert json.loads(output_of(FROM_SEVERAL_THREADS)) == [1, 0]


def test_a_worker_sleeps_after_a_fit():
    assert float(output_of(AFTERWARDS)) < 0.2


@pytest.mark.skipif(PROCESSORS < 2, reason="needs two processors")
def test_a_worker_follows_its_caller():
    """To where the caller may run, and there off the processor that it is on."""
    own, other, (first, second, both) = json.loads(output_of(MOVED))
    assert (first, second) == ([own], [other])
    assert both in ([own], [other])
