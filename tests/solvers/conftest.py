import numpy as np
import pytest

from fastml.solvers.smo import _outer, _solve


@pytest.fixture(params=["one block", "working sets"])
def way(request, monkeypatch):
    """Small problems are one block each; here also by working sets, of a size that takes several turns."""
    if request.param == "working sets":
        monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
        monkeypatch.setattr(_outer, "LARGEST_WORKING_SET", 24)
    return request.param


@pytest.fixture
def rounded_rows():
    """For tests of where rows of float64 are rounded, which is nowhere else."""


@pytest.fixture(autouse=True)
def exact_rows(request, monkeypatch):
    """What a test holds to float64's precision is to be computed in it."""
    if "rounded_rows" not in request.fixturenames:
        monkeypatch.setattr(_solve, "_sensitivity", lambda X, kernel: np.inf)
