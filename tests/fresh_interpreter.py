"""A fresh interpreter that finds the same fastml, for what concerns a whole process."""

import os
import subprocess
import sys
from pathlib import Path

import fastml

PACKAGE_FOLDER = str(Path(fastml.__file__).parents[1])
_OF_THE_TESTS = ("FASTML_CONFIG", "OMP_NUM_THREADS", "NUMBA_ENABLE_CUDASIM")


def run(*arguments, cwd=None, **environment):
    """The finished ``python *arguments``, without the options of the process that runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_THE_TESTS}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": PACKAGE_FOLDER, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def output_of(code, **environment):
    """Standard output of ``python -c code``, which must succeed."""
    finished = run("-c", code, **environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()
