"""Whether CUDA can be used here, found out without importing Numba or CuPy."""

import ctypes
import functools
import importlib.util
import os

INSTALL_COMMAND = 'pip install "fastml[cuda]"'

# import name -> the distribution that has it
_PACKAGES = {"numba_cuda": "numba-cuda", "cupy": "cupy"}
_GPU = "a visible NVIDIA GPU"
_OWN_PROCESS = "a process of its own (this one was forked from one that had already initialised CUDA)"


def simulated() -> bool:
    """Whether Numba's CUDA simulator stands in for a GPU, which ``NUMBA_ENABLE_CUDASIM=1`` asks for."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def missing_for_cuda() -> list[str]:
    """What CUDA lacks here, in words; empty where it can be used.

    The simulator counts as CUDA, and needs neither CuPy nor a GPU.
    """
    if simulated():
        return []
    missing = _missing_packages()
    n_gpus, probed_by = _probe_gpus()
    if n_gpus == 0:
        missing.append(_GPU)
    elif probed_by != os.getpid():
        missing.append(_OWN_PROCESS)
    return missing


def cuda_usable() -> bool:
    """Whether kernels can run on CUDA here; where packages are missing the driver is not even started."""
    return simulated() or (not _missing_packages() and not missing_for_cuda())


def require_cuda() -> None:
    """Raise RuntimeError, naming what is missing and the command that installs it, unless CUDA is usable."""
    missing = missing_for_cuda()
    if not missing:
        return
    message = f"device='cuda' cannot be had here. Missing: {', '.join(missing)}."
    if _missing_packages():
        message += f" Install the packages with: {INSTALL_COMMAND}"
    raise RuntimeError(message)


def _missing_packages() -> list[str]:
    return [name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None]


@functools.cache
def _probe_gpus() -> tuple[int, int]:
    """How many GPUs the driver shows (CUDA_VISIBLE_DEVICES respected), and the process that asked it.

    A forked child inherits the answer but not the driver's state, which CUDA cannot rebuild there: hence
    the process id.
    """
    return _count_gpus(), os.getpid()


def _count_gpus() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:  # no driver, hence no GPU
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
