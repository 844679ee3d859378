"""What the tests of a layer's kernels share: calls beside the reference, central differences, and threads."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis_profiles import examples
from numpy.testing import assert_allclose, assert_array_equal

import fastml
from fastml.kernels import for_device

DTYPES = (np.float32, np.float64)

# Of the examples that a test asks for, one in so many on CUDA: in the simulator a kernel takes milliseconds.
CUDA_SHARE = 12


def on_cuda(backend: ModuleType) -> bool:
    return backend.__name__.endswith(".cuda")


def examples_on(backend: ModuleType, number: int) -> int:
    """``max_examples`` of a test that asks for this number."""
    return examples(-(-number // CUDA_SHARE) if on_cuda(backend) else number)


def sent(backend: ModuleType, *args: Any) -> list[Any]:
    """Arrays on the backend's device, with gaps where they have some, and other arguments as they are."""

    def on_device(arg):
        if not isinstance(arg, np.ndarray):
            return arg
        if arg.flags.c_contiguous or not on_cuda(backend):
            return backend.arrays.send(arg)
        return backend.arrays.send(np.repeat(arg, 2, axis=-1))[..., ::2]

    return [on_device(arg) for arg in args]


def called(backend: ModuleType, name: str, *args: Any) -> list[np.ndarray]:
    """All arrays among the arguments of ``family.function``, after a call on copies of them.

    An array that is given twice is one array in the call, too.
    """
    family, function = name.split(".")
    sent = {id(arg): backend.arrays.send(arg.copy()) for arg in args if isinstance(arg, np.ndarray)}
    getattr(getattr(backend, family), function)(*(sent.get(id(arg), arg) for arg in args))
    return [backend.arrays.fetch(sent[id(arg)]) for arg in args if isinstance(arg, np.ndarray)]


def agree(
    backend: ModuleType, name: str, *args: Any, units: float = 8.0, scale: float = 1.0
) -> list[np.ndarray]:
    """Hold a call to the reference: every array, those that are only read included. What it left is returned.

    ``units`` are multiples of the arrays' rounding error, relative and, times ``scale``, absolute.
    """
    expected, got = called(for_device("reference"), name, *args), called(backend, name, *args)
    kinds = [array.dtype for array in got if array.dtype.kind == "f"]
    tolerance = units * max((float(np.finfo(kind).eps) for kind in kinds), default=0.0)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == theirs.dtype
        if ours.dtype.kind == "f":
            assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)
        else:
            assert_array_equal(ours, theirs)
    return got


def central_differences(
    function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, dout: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """The gradient of sum(dout function(x)) by each element of x, in float64."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = np.sum(dout * (function(above) - function(below))) / (2.0 * step)
    return gradient


def same_on_threads(backend: ModuleType, name: str, *args: Any) -> None:
    """One thread and two leave the same bits. (The arguments are large enough for two.)"""
    results = []
    for n_threads in (1, 2):
        with fastml.config_context(n_threads=n_threads):
            results.append([array.tobytes() for array in called(backend, name, *args)])
    assert results[0] == results[1]
