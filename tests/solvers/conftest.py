import pytest

from fastml.solvers.smo import _outer, _solve


@pytest.fixture(params=["one block", "working sets"])
def way(request, monkeypatch):
    """Small problems are one block each; here also by working sets, of a size that takes several turns."""
    if request.param == "working sets":
        monkeypatch.setattr(_solve, "LARGEST_WHOLE", 0)
        monkeypatch.setattr(_outer, "LARGEST_WORKING_SET", 24)
    return request.param
