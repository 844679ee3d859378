"""Floor 1: the arithmetic, and the only place that knows a device.

``reference`` specifies, ``cpu`` and ``cuda`` implement: the same modules with the same functions.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


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


def arrays_of(array: Any) -> ModuleType:
    """The ``arrays`` family of the backend that an array belongs to.

    Parameters
    ----------
    array : array
        In host memory, or made by a backend's ``arrays``.

    Returns
    -------
    module
    """
    on_cuda = "fastml.kernels.cuda" in sys.modules and for_device("cuda").arrays.is_own(array)
    return for_device("cuda" if on_cuda else "cpu").arrays
