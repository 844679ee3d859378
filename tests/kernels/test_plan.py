"""Plans: operations and functions in order, on threads that are started once a program."""

import os
import platform
import threading

import numpy as np
import pytest
from fresh_interpreter import output_of
from layer_problems import on_cuda, sent
from numpy.testing import assert_array_equal

from fastml.kernels import for_device
from fastml.kernels.cpu import _dense, _runtime


@pytest.fixture(params=["reference", "cpu", "cuda"])
def kernels(request):
    return request.getfixturevalue("cuda") if request.param == "cuda" else for_device(request.param)


def chain(kernels, n_layers=6, n=None, between=None):
    """A network whose layers' outputs are the next ones' inputs, and its last output; between: called amid."""
    rng, send = np.random.default_rng(0), kernels.arrays.send
    n = n or (6 if on_cuda(kernels) else 64)
    values = [send(rng.standard_normal((n, n)))]
    values += [send(np.full((n, n), np.nan)) for _ in range(n_layers)]
    weights = [send(rng.standard_normal((n, n)) / n**0.5) for _ in range(n_layers)]
    steps = [
        (kernels.dense.forward, (values[i], weights[i], None, values[i + 1], "relu")) for i in range(n_layers)
    ]
    if between is not None:
        steps.insert(n_layers // 2, between)
    return steps, values


def test_steps_run_in_order(kernels):
    steps, values = chain(kernels)
    fetch = kernels.arrays.fetch
    expected = fetch(values[0])
    for _, (_, W, *_) in steps:
        expected = np.maximum(expected @ fetch(W), 0.0)
    kernels.plan.run(kernels.plan.compile(steps))
    np.testing.assert_allclose(fetch(values[-1]), expected, rtol=1e-12, atol=1e-12)


def test_a_plan_reads_its_arrays_at_each_run(kernels):
    steps, values = chain(kernels)
    plan = kernels.plan.compile(steps, 2)
    kernels.plan.run(plan)
    first = kernels.arrays.fetch(values[-1]).copy()
    values[0] *= 2.0
    kernels.plan.run(plan)
    np.testing.assert_allclose(kernels.arrays.fetch(values[-1]), 2.0 * first, rtol=1e-12)


def test_any_function_may_stand_between_operations(kernels):
    seen = []
    steps, values = chain(kernels, between=(lambda array, scale: seen.append(array[0, 0] * scale), (None, 2)))
    steps[3] = (steps[3][0], (values[3], 2.0))
    plan = kernels.plan.compile(steps)
    kernels.plan.run(plan)
    kernels.plan.run(plan)
    assert [float(value) for value in seen] == [2.0 * float(values[3][0, 0])] * 2
    assert kernels.arrays.all_finite(values[-1])


def test_an_error_of_a_function_ends_the_run(kernels):
    def fail():
        raise ZeroDivisionError("here")

    steps, values = chain(kernels, between=(fail, ()))
    plan = kernels.plan.compile(steps)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="here"):
            kernels.plan.run(plan)
    assert kernels.arrays.all_finite(values[3])
    assert np.isnan(kernels.arrays.fetch(values[4])).all()


def test_an_empty_plan(kernels):
    kernels.plan.run(kernels.plan.compile([]))


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_results_do_not_depend_on_threads(n_threads):
    """Many runs, on more threads than there are cores: of a hundred thousand claims of parts each is made once."""
    kernels = for_device("cpu")
    steps, values = chain(kernels, n=256)
    kernels.plan.run(kernels.plan.compile(steps, 1))
    expected = [array.copy() for array in values[1:]]
    plan = kernels.plan.compile(steps, n_threads)
    for _ in range(100):
        for array in values[1:]:
            array.fill(np.nan)
        kernels.plan.run(plan)
        for array, same in zip(values[1:], expected, strict=True):
            assert_array_equal(array, same)


def test_bad_arguments_are_refused_when_a_plan_is_made(backend):
    bad = sent(backend, np.ones((2, 3)), np.ones((3, 4)), None, np.ones((2, 3)))
    with pytest.raises(ValueError, match="out must be of shape"):
        backend.plan.compile([(backend.dense.forward, tuple(bad))])


def test_arrays_live_as_long_as_the_plan():
    steps, values = chain(for_device("cpu"))
    last = values[-1]
    plan = for_device("cpu").plan.compile(steps)
    del steps, values
    for_device("cpu").plan.run(plan)
    assert np.isfinite(last).all()


def test_one_run_at_a_time():
    """The second of two runs of a plan that overlap is refused, and the first one not disturbed."""
    n = 1500
    X, W = np.ones((n, n)), np.ones((n, n))
    outs = [np.empty((n, n)) for _ in range(2)]
    program = _runtime.Program([_dense.forward(X, W, None, out) for out in outs], 1)
    outcomes = []

    def run():
        try:
            program.run()
            outcomes.append("done")
        except RuntimeError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [
        "A plan is being run by another thread: its arrays serve one run at a time.",
        "done",
    ]
    program.run()
    assert_array_equal(outs[1], n)


def test_a_child_of_fork_runs_a_plan_that_its_parent_is_running():
    kernels = for_device("cpu")
    n = 1500
    X, W, out = np.ones((n, n)), np.ones((n, n)), np.empty((n, n))
    plan = kernels.plan.compile([(kernels.dense.forward, (X, W, None, out))] * 4, 2)
    running = threading.Thread(target=kernels.plan.run, args=(plan,))
    running.start()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            out.fill(0.0)
            kernels.plan.run(plan)
            status = int(not (out == n).all())
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    running.join()
    assert_array_equal(out, n)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"),
    reason="only x86-64 and AArch64 are told to take subnormal numbers for 0",
)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_subnormal_numbers_are_zero_while_a_plan_runs(n_threads):
    """And are not, after it: what processors take a hundred times as long for, what is without gradient ends up as."""
    kernels = for_device("cpu")
    tiny = np.full((256, 256), 1e-40, "f4")
    out = np.full_like(tiny, np.nan)
    plan = kernels.plan.compile(
        [(kernels.dense.forward, (tiny, np.eye(256, dtype="f4"), None, out))], n_threads
    )
    kernels.plan.run(plan)
    assert_array_equal(out, 0.0)
    assert (tiny * np.float32(0.5) > 0).all()


def test_memory_that_is_not_there():
    """Scratch memory and partial sums are asked for when a plan is made."""
    code = """
import resource
import numpy as np
from fastml.kernels.cpu import dense, plan
X, W, out = np.ones((100, 50_000), "f4"), np.ones((50_000, 100), "f4"), np.ones((100, 100), "f4")
step = [(dense.forward, (X, W, None, out))]
plan.compile(step, 2)
address_space = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + 200_000, resource.RLIM_INFINITY))
kept = []
try:
    for _ in range(1000):
        kept.append(plan.compile(step, 2))
except MemoryError as error:
    del kept
    print(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
plan.run(plan.compile(step, 2))
print(out.min(), out.max())
"""
    message, values = output_of(code).splitlines()
    assert message.endswith("could not be allocated.")
    assert values == "50000.0 50000.0"
