"""Arrays and matrix products on the device: CuPy's and cuBLAS' on a GPU, NumPy's in Numba's simulator.

Structured arrays, which CuPy lacks, are Numba's device arrays. Everything is queued on CuPy's current stream.
"""

from functools import cache

import numpy as np
from numba import cuda

from fastml.kernels.cuda._warp import LANES, MAX_THREADS, SIMULATOR


class _SimulatedArray(np.ndarray):
    """An array that the simulator counts as the device's, so that it is told from the host's."""


@cache
def array_module():
    """CuPy or its stand-in; imported at first use, since kernels also compile where there is no CuPy."""
    if SIMULATOR:
        return np
    import cupy

    return cupy


def is_own(array):
    """Whether an array is of the kind that this module makes."""
    if SIMULATOR:
        return isinstance(array, _SimulatedArray)
    return isinstance(array, (array_module().ndarray, cuda.devicearray.DeviceNDArray))


def to_device(array):
    """C-ordered copy of a host array on the device."""
    if SIMULATOR:
        return np.array(array, order="C").view(_SimulatedArray)
    array = np.asarray(array, order="C")
    if array.dtype.names is not None:
        return cuda.to_device(array, stream=stream())
    return array_module().asarray(array)


def to_host(array):
    """NumPy array of the same values, once the device has come to them."""
    if SIMULATOR:
        return np.array(array)
    if array.dtype.names is not None:
        return array.copy_to_host(stream=stream())
    return array_module().asnumpy(array)


def empty(shape, dtype):
    array = array_module().empty(shape, dtype)
    return array.view(_SimulatedArray) if SIMULATOR else array


def free_bytes():
    """Memory that may still be had on the device; None in the simulator, whose arrays are the host's."""
    if SIMULATOR:
        return None
    xp = array_module()
    return xp.cuda.runtime.memGetInfo()[0] + xp.get_default_memory_pool().free_bytes()


def stream():
    """The stream that arrays and kernels share, as a launch takes it."""
    return 0 if SIMULATOR else cuda.external_stream(array_module().cuda.get_current_stream().ptr)


def synchronize():
    """Wait for all that is queued."""
    if not SIMULATOR:
        array_module().cuda.get_current_stream().synchronize()


def as_own(array):
    """An array that another library has on the device, without a copy."""
    xp = array_module()
    return xp.asarray(array) if hasattr(array, "__cuda_array_interface__") else xp.from_dlpack(array)


def flat_records(records, dtype):
    """View of a device array of records as a matrix of ``dtype``, one row per record."""
    return records.view(dtype).reshape(len(records), records.dtype.itemsize // np.dtype(dtype).itemsize)


def grid(n, limit=65_535):
    """Blocks of a launch over n things: one for each, up to what a grid's second dimension can have.

    Two in the simulator, which starts a block's threads anew for each: kernels stride over the rest.
    """
    return max(1, min(n, 2 if SIMULATOR else limit))


def threads(n):
    """Threads of a block over n things: a power of two of warps."""
    count = LANES
    while count < MAX_THREADS and count < n:
        count *= 2
    return LANES if SIMULATOR else count


def elements(n):
    """Blocks and threads of a launch whose threads stride over n elements and don't wait for each other.

    Fewer in the simulator, which starts a thread of Python for each.
    """
    if SIMULATOR:
        return (1 if n <= 64 else 2), 2
    return max(1, min(-(-n // MAX_THREADS), 4096)), MAX_THREADS


def team(n):
    """Threads of a block that share n elements: as ``threads``, but few in the simulator."""
    return 4 if SIMULATOR else threads(n)


def argument(array):
    """An array as a recorded launch takes it: what a launch would make of it each time is made once."""
    if SIMULATOR:
        return strided(array)
    return cuda.as_cuda_array(array)


def product(A, B, out):
    """out = A B, of matrices whose lines lie one after another along either axis."""
    if 0 in out.shape:
        return
    if A.shape[1] == 0:
        out.fill(0)
    elif SIMULATOR:
        with np.errstate(all="ignore"):
            np.matmul(A, B, out=out)
    else:
        array_module().dot(A, B, out=out)


def overwrite(array, values):
    """Set a device's C-contiguous array from host memory."""
    values = np.broadcast_to(np.asarray(values, array.dtype), array.shape)
    if SIMULATOR:
        np.copyto(array, values)
    else:
        # On the stream, so that the host does not wait for what is queued before.
        stream = array_module().cuda.get_current_stream()
        array.set(np.ascontiguousarray(values).reshape(array.shape), stream)


def strided(array):
    """An array whose rows may lie apart, as a launch takes it: the simulator only does if it looks like its own."""
    if not SIMULATOR:
        return array
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    return FakeCUDAArray(array)
