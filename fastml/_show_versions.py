"""What a bug report needs: versions, build, instruction set, threads, CUDA."""

import importlib
import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any

from fastml._config import effective_n_threads, get_config
from fastml._cuda_available import INSTALL_COMMAND, missing_for_cuda, simulated
from fastml._version import __version__

_DEPENDENCIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "joblib",
    "threadpoolctl",
    "tqdm",
    "numba-cuda",
    "cupy-cuda13x",
    "matplotlib",
    "h5py",
)


def show_versions() -> None:
    """Print versions, build, instruction set in use, threads and CUDA status, for bug reports.

    Dependencies are looked up, not imported.

    Examples
    --------
    >>> import fastml
    >>> fastml.show_versions()  # doctest: +SKIP
    """
    for title, entries in _sections().items():
        print(f"\n{title}:")
        for name, value in entries.items():
            print(f"{name:>16}: {value}")


def _sections() -> dict[str, dict[str, str]]:
    return {
        "System": _system(),
        "fastml": {"version": __version__, **_build()},
        "Dependencies": {name: _version_of(name) for name in _DEPENDENCIES},
        "Threads": _threads(),
        "CUDA": _cuda(),
    }


def _system() -> dict[str, str]:
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }


def _build() -> dict[str, str]:
    try:
        runtime: Any = importlib.import_module("fastml.kernels.cpu._runtime")
    except ImportError as error:  # not built, or FASTML_CPU asks for what the processor lacks: say which
        return {"build": f"unusable ({error})"}
    in_use, of_processor = runtime.level_name(runtime.LEVEL), runtime.level_name(runtime.PROCESSOR_LEVEL)
    return {
        "build": Path(runtime.__file__).name,
        "instruction set": f"{in_use} in use, the processor has {of_processor}",
    }


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _threads() -> dict[str, str]:
    return {"n_threads": str(get_config()["n_threads"]), "in use": str(effective_n_threads())}


def _cuda() -> dict[str, str]:
    entries = {"device": get_config()["device"]}
    if simulated():
        return {**entries, "status": "Numba's simulator"}
    missing = missing_for_cuda()
    if not missing:
        return {**entries, "status": "usable"}
    return {**entries, "status": f"missing: {', '.join(missing)}", "packages": INSTALL_COMMAND}
