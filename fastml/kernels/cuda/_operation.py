"""Kernel calls that are checked and laid out once, and run any number of times.

A family's function is written as a builder, which checks its arguments and gives calls without arguments, in order. To
lay out an array for a launch takes Numba longer than many a kernel runs; a plan does it once.
"""

import functools

import numpy as np

from fastml.kernels.cuda import _device

REAL = (np.dtype(np.float32), np.dtype(np.float64))


def as_function(build):
    """The kernel function whose calls ``build`` gives: called, it runs them once.

    Its attribute ``operation`` is ``build``, for ``plan.compile``.
    """

    @functools.wraps(build)
    def function(*args, **kwargs):
        for call in list(build(*args, **kwargs)):
            call()

    vars(function)["operation"] = build
    return function


def launch(kernel, blocks, threads, *arguments, shared_bytes=0):
    """A call of a kernel; arrays among the arguments are the device's, C-contiguous."""
    laid_out = [_device.argument(value) if hasattr(value, "dtype") else value for value in arguments]
    configuration = blocks, threads, _device.stream(), shared_bytes

    def call():
        # Not sooner: the simulator keeps the configuration in the kernel.
        kernel[configuration](*laid_out)

    return call


def elementwise(kernel, n, *arguments):
    """The call of a kernel whose threads stride over n elements; no call for none."""
    return [launch(kernel, *_device.elements(n), *arguments)] if n else []


def real_type(array, name):
    """The array's dtype: float32 or float64."""
    if array.dtype not in REAL:
        raise TypeError(f"{name} must be of float32 or float64; got {array.dtype}.")
    return array.dtype


def checked(array, dtype, name, shape):
    """An array of the device, which must be C-contiguous, of this dtype and shape."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(
            f"{name} must be C-contiguous and of {np.dtype(dtype)}; got {array.dtype}, "
            f"strides {array.strides}."
        )
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} must be of shape {tuple(shape)}; got {tuple(array.shape)}.")
    if not _device.is_own(array):
        raise TypeError(f"{name} must lie on the device; got {type(array).__name__}.")
    return array


def flat(array, dtype, name, shape):
    """``checked``, as a vector."""
    return checked(array, dtype, name, shape).reshape(-1)


def optional(array, dtype, name, shape):
    """``flat``, with an empty vector in place of None."""
    return _device.empty(0, dtype) if array is None else flat(array, dtype, name, shape)


def followed(array, dtype, name, shape):
    """A device's array of what a host's array holds at each run, and the calls that copy it; or the device's own.

    For the few numbers that change from run to run, which floor 2 keeps in host memory.
    """
    if array.dtype == dtype and tuple(array.shape) == tuple(shape) and not _device.is_own(array):
        copy = _device.empty(shape, dtype)
        return copy, [functools.partial(_device.overwrite, copy, array)]
    return checked(array, dtype, name, shape), []
