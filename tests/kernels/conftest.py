"""The backends that the kernel tests run on.

Where there is no GPU, CUDA kernels run in Numba's simulator. That is decided by the environment when Numba is
first imported, for the whole process: the simulator is only switched on if this folder is all that is tested.
"""

import os
import sys
import warnings
from pathlib import Path

import pytest

from fastml._cuda_available import missing_for_cuda, simulated

_HERE = Path(__file__).parent
# Threads of the simulator wait for each other at barriers, and the interpreter hands over at these intervals
# (its default is 5 ms).
_SIMULATOR_SWITCH_INTERVAL_S = 1e-3


def pytest_configure(config):
    paths = (Path(arg.split("::")[0]).resolve() for arg in config.args)
    alone = all(path.is_relative_to(_HERE) for path in paths)
    if alone and "numba" not in sys.modules and missing_for_cuda():
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"


@pytest.fixture
def cuda():
    """The CUDA backend: on the GPU if there is one, else in the simulator."""
    missing = missing_for_cuda()
    if missing:
        pytest.fail(f"no CUDA ({', '.join(missing)}) and no simulator: run pytest {_HERE} by itself")
    from fastml.kernels import for_device

    if not simulated():
        yield for_device("cuda")
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SIMULATOR_SWITCH_INTERVAL_S)
    try:
        with warnings.catch_warnings():
            # NumPy's scalars stand in for the GPU's numbers, which overflow silently.
            warnings.simplefilter("ignore", RuntimeWarning)
            yield for_device("cuda")
    finally:
        sys.setswitchinterval(interval)


@pytest.fixture(params=["cpu", "cuda"])
def backend(request):
    """Each backend in turn: what ``for_device`` returns."""
    if request.param == "cuda":
        return request.getfixturevalue("cuda")
    from fastml.kernels import for_device

    return for_device(request.param)
