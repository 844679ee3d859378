"""What the solver keeps of rows laid out for the kernels: as much as it may, and right values from it."""

import numpy as np
import pytest
from smo_problems import RBF

from fastml.kernels import for_device
from fastml.solvers.smo import _kernel_values
from fastml.solvers.smo._kernel_values import KernelValues

N_CLASSES, N_EACH = 4, 60


@pytest.fixture
def values(monkeypatch):
    """Of four classes, of which two fit in, laid out and as rows."""
    X = np.random.default_rng(0).standard_normal((N_CLASSES * N_EACH, 32))
    monkeypatch.setattr(_kernel_values, "ROWS_TO_KEEP", N_EACH)
    monkeypatch.setattr(_kernel_values, "BYTES_TO_KEEP", 2.5 * 2 * X.nbytes / N_CLASSES)
    return KernelValues(for_device("cpu"), X, RBF, None, np.float64)


def rows_of(*classes):
    return np.concatenate([np.arange(c * N_EACH, (c + 1) * N_EACH, dtype=np.int32) for c in classes])


def test_what_is_kept_is_bounded_and_used_again(values):
    laid_out = []
    for i, j in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]:
        pair = rows_of(j, i)  # falls where one class ends, as rows of a problem may
        columns = values.columns_to_keep(pair)
        laid_out.append({id(prepared) for _, prepared in columns.parts})
        assert len(columns.parts) == 2
        assert values._bytes_laid_out() <= _kernel_values.BYTES_TO_KEEP
        out = np.empty((5, len(pair)))
        columns.fill(np.arange(5, dtype=np.int32), out)
        differences = values.X[:5, None] - values.X[None, pair]
        np.testing.assert_allclose(out, np.exp(-RBF.gamma * (differences**2).sum(axis=2)), rtol=1e-9)
    assert laid_out[0] & laid_out[1]
    assert laid_out[1] & laid_out[2]


def test_working_sets_are_not_kept(values):
    values.columns(rows_of(0, 1))
    assert values._bytes_laid_out() == 0
