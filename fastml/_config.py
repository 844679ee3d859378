"""The package's options: for the process, for the workers it starts, and for the thread at hand."""

import functools
import json
import multiprocessing
import numbers
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from fastml._cuda_available import cuda_usable, require_cuda

Device: TypeAlias = Literal["auto", "cpu", "cuda"]

# How worker processes learn what the process that started them was set to.
ENVIRONMENT_VARIABLE = "FASTML_CONFIG"

_DEFAULTS = {"device": "auto", "n_threads": None, "progress": False}
_DEVICES = ("auto", "cpu", "cuda")


class _Keep(Enum):
    """Marks an option that was not given: None is a value of ``n_threads``."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "<unchanged>"


_KEEP = _Keep.KEEP


def _check_device(device: Any) -> Device:
    if not isinstance(device, str):
        raise TypeError(f"'device' must be a str among {_DEVICES}. Got {device!r} instead.")
    if device not in _DEVICES:
        raise ValueError(f"'device' must be a str among {_DEVICES}. Got {device!r} instead.")
    return device  # type: ignore[return-value]


def _check_n_threads(n_threads: Any) -> int | None:
    if n_threads is None:
        return None
    message = f"'n_threads' must be None or an int in the range [1, inf). Got {n_threads!r} instead."
    if isinstance(n_threads, bool) or not isinstance(n_threads, numbers.Integral):
        raise TypeError(message)
    if n_threads < 1:
        raise ValueError(message)
    return int(n_threads)


def _check_progress(progress: Any) -> bool:
    if not isinstance(progress, bool):
        raise TypeError(f"'progress' must be a bool. Got {progress!r} instead.")
    return progress


_CHECKS = {"device": _check_device, "n_threads": _check_n_threads, "progress": _check_progress}


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _CHECKS[name](value) for name, value in options.items() if value is not _KEEP}


def _inherited() -> dict[str, Any]:
    """The options that the process which started this one left in the environment."""
    text = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if not text:
        return {}
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"The environment variable {ENVIRONMENT_VARIABLE} is not JSON: {text!r}.") from error
    if not isinstance(options, dict) or not options.keys() <= _DEFAULTS.keys():
        raise ValueError(
            f"The environment variable {ENVIRONMENT_VARIABLE} must be a JSON object with keys among "
            f"{tuple(_DEFAULTS)}. Got {text!r} instead."
        )
    return _checked(options)


_lock = threading.Lock()
_process_options: dict[str, Any] = {**_DEFAULTS, **_inherited()}
# A worker's share of the cores is decided by whoever started it, an n_threads set here by whoever set it.
_n_threads_is_inherited = True
_thread_options: ContextVar[Mapping[str, Any]] = ContextVar("fastml_options", default=MappingProxyType({}))


def set_config(
    *,
    device: Device | _Keep = _KEEP,
    n_threads: int | _Keep | None = _KEEP,
    progress: bool | _Keep = _KEEP,
) -> None:
    """Set options for the whole process and the joblib workers it starts.

    Options that are not given keep their value. Workers that joblib's loky backend holds ready were
    started under the old options; they are shut down, after the work they have in hand, and the next
    ``joblib.Parallel`` starts new ones.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where the arithmetic runs. ``"auto"``, the default at import, leaves device arrays where they lie
        and otherwise takes the GPU where one can be used and the problem is large enough to pay for the
        transfer. ``"cpu"`` and ``"cuda"`` beat where the input lies.
    n_threads : int or None
        Number of CPU threads, at least 1. None, the default at import, stands for all usable cores: CPU
        affinity, cgroup limits and ``OMP_NUM_THREADS`` are respected.
    progress : bool
        Whether long computations show a progress bar. False at import.

    Raises
    ------
    TypeError, ValueError
        If an option has a wrong type or value; then no option is changed.
    RuntimeError
        If ``device="cuda"`` and CUDA cannot be used here; the message names what is missing.

    See Also
    --------
    config_context : Set options for a block of code in one thread.
    get_config : The options in force.

    Examples
    --------
    >>> import fastml
    >>> fastml.set_config(n_threads=2)
    >>> fastml.get_config()["n_threads"]
    2
    >>> fastml.set_config(n_threads=None)
    """
    global _n_threads_is_inherited
    options = _checked({"device": device, "n_threads": n_threads, "progress": progress})
    if options.get("device") == "cuda":
        require_cuda()
    with _lock:
        if "n_threads" in options:
            _n_threads_is_inherited = False
        if options.items() <= _process_options.items():
            return
        _process_options.update(options)
        os.environ[ENVIRONMENT_VARIABLE] = json.dumps(_process_options)
        _retire_loky_workers()


def get_config() -> dict[str, Any]:
    """Return the options in force in this thread.

    Returns
    -------
    config : dict
        Keys ``"device"``, ``"n_threads"`` and ``"progress"``; a copy.

    See Also
    --------
    set_config : Set options for the process.
    config_context : Set options for a block of code in one thread.
    """
    return {**_process_options, **_thread_options.get()}


@contextmanager
def config_context(
    *,
    device: Device | _Keep = _KEEP,
    n_threads: int | _Keep | None = _KEEP,
    progress: bool | _Keep = _KEEP,
) -> Iterator[None]:
    """Set options for a block of code, in this thread only.

    Contexts nest; on the way out, by an exception too, the options before the block are in force again.
    Other threads and joblib workers are not affected.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        See `set_config`.
    n_threads : int or None
        See `set_config`.
    progress : bool
        See `set_config`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As in `set_config`.

    Examples
    --------
    >>> import fastml
    >>> with fastml.config_context(n_threads=1):
    ...     fastml.get_config()["n_threads"]
    1
    """
    options = _checked({"device": device, "n_threads": n_threads, "progress": progress})
    if options.get("device") == "cuda":
        require_cuda()
    token = _thread_options.set({**_thread_options.get(), **options})
    try:
        yield
    finally:
        _thread_options.reset(token)


def effective_n_threads() -> int:
    """Number of CPU threads that a computation started now, in this thread, should use.

    A daemonic multiprocessing worker is one of several on the same cores and gets 1. joblib's loky workers
    find their share in ``OMP_NUM_THREADS``, which bounds what they inherited, as it bounds "all cores"
    everywhere; elsewhere an ``n_threads`` set in this very process is taken as it is.
    """
    if multiprocessing.current_process().daemon:
        return 1
    of_this_thread = _thread_options.get()
    if "n_threads" in of_this_thread:
        wanted, is_inherited = of_this_thread["n_threads"], False
    else:
        wanted, is_inherited = _process_options["n_threads"], _n_threads_is_inherited
    if wanted is not None and not is_inherited:
        return wanted
    limit = _omp_num_threads()
    n_threads = _usable_cores(os.getpid()) if wanted is None else wanted
    return n_threads if limit is None else min(n_threads, limit)


def resolve_device(device_of_input: str, gpu_pays: bool) -> Literal["cpu", "cuda"]:
    """Decide where a computation runs.

    Parameters
    ----------
    device_of_input : {"cpu", "cuda"}
        Where the input lies.
    gpu_pays : bool
        Whether host input is large enough for the GPU to win, its transfer included.

    Returns
    -------
    device : {"cpu", "cuda"}
        The configured device; under ``"auto"`` the input's, or ``"cuda"`` where that pays and can be used.

    Raises
    ------
    RuntimeError
        If the device is CUDA, by configuration or by input, and cannot be used.
    """
    device = get_config()["device"]
    if device == "auto":
        if device_of_input == "cuda":
            device = "cuda"
        else:
            return "cuda" if gpu_pays and cuda_usable() else "cpu"
    if device == "cuda":
        require_cuda()
    return device


@functools.lru_cache(maxsize=1)
def _usable_cores(pid: int) -> int:
    """CPU affinity and cgroup limits taken into account; asked once per process, as forks may be pinned."""
    import joblib

    return joblib.cpu_count()


def _omp_num_threads() -> int | None:
    # OpenMP allows one number per nesting level, "4,2"; the outermost is ours. OpenMP runtimes, too, ignore
    # what is not a number.
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _retire_loky_workers() -> None:
    """Shut down the workers that loky keeps for reuse: they have read the environment already."""
    for name in ("joblib.externals.loky.reusable_executor", "loky.reusable_executor"):
        # Not imported, no workers. Asking loky's public function for the executor would start one.
        executor = getattr(sys.modules.get(name), "_executor", None)
        if executor is not None:
            executor.shutdown(wait=True)
