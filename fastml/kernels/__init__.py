"""Floor 1: the arithmetic, and the only place that knows a device.

``reference`` specifies, ``cpu`` and ``cuda`` implement: the same modules with the same functions.
"""

from importlib import import_module
from types import ModuleType


def for_device(device: str) -> ModuleType:
    """The backend that computes on ``device``: a package whose modules are the kernel families.

    Parameters
    ----------
    device : {"cpu", "cuda", "reference"}

    Returns
    -------
    module
        ``fastml.kernels.<device>``, imported at first need.
    """
    return import_module(f"fastml.kernels.{device}")
