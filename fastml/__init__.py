"""scikit-learn's estimators with the arithmetic rewritten in C, Numba and CUDA; so far those of SGD.

Submodules are imported at first use: ``import fastml`` alone loads no numerical library.
"""

import importlib
import pkgutil
from typing import Any

from fastml._config import config_context, get_config, set_config
from fastml._loss import Loss
from fastml._patch import patch_sklearn, unpatch_sklearn
from fastml._show_versions import show_versions
from fastml._version import __version__
from fastml.kernels.user_kernel import Kernel

__all__ = [
    "Kernel",
    "Loss",
    "__version__",
    "config_context",
    "get_config",
    "patch_sklearn",
    "set_config",
    "show_versions",
    "unpatch_sklearn",
]

_SUBMODULES = frozenset(
    module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"fastml.{name}")
    raise AttributeError(f"module 'fastml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES})
