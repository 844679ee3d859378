"""The example that plots descents, on a few rows: its traces, its table and its picture."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.datasets import load_digits

PATH = Path(__file__).parents[1] / "examples" / "descent.py"
if not PATH.is_file():
    pytest.skip("the examples are only in the source tree", allow_module_level=True)

_spec = spec_from_file_location("descent", PATH)
descent = module_from_spec(_spec)
_spec.loader.exec_module(descent)

N_PASSES = 12


@pytest.fixture(scope="module", params=["dense", "csr"])
def problem(request):
    X, y = load_digits(return_X_y=True)
    X = (X[:300] / 16).astype(np.float32 if request.param == "dense" else np.float64)
    if request.param == "csr":
        X = sparse.csr_matrix(X)
    return descent.Problem(request.param, X, np.where(y[:300] % 2, 1, -1))


@pytest.fixture(scope="module")
def traces(problem):
    return descent.all_traces(problem, N_PASSES)


def test_all_solvers_go_down_from_the_same_point_towards_the_minimum(problem, traces):
    lowest = descent.lowest_loss(problem)
    at_zero = np.log(2.0)
    assert [trace.name for trace in traces] == list(descent.COLOURS)
    for trace in traces:
        assert 1 <= len(trace.loss) <= N_PASSES
        assert np.all(np.diff(trace.passes) > 0)
        assert trace.passes[-1] <= N_PASSES
        assert np.all(trace.loss > lowest - 1e-6)
        assert trace.loss[-1] < at_zero - 0.5 * (at_zero - lowest)
    for trace in traces[:3]:
        assert_allclose(trace.loss[0], at_zero, rtol=1e-5)
        assert np.all(np.diff(trace.seconds) > 0)
        assert np.all(np.diff(trace.loss) <= 0)


def test_more_of_a_batch_solver_s_passes_lead_to_the_minimum(problem):
    trace = descent.follow("L-BFGS", descent.lbfgs.search, problem, 400)
    assert_allclose(trace.loss[-1], descent.lowest_loss(problem), rtol=1e-5)


def test_a_picture_and_a_table_are_made_of_them(problem, traces, tmp_path):
    pytest.importorskip("matplotlib")
    lowest = descent.lowest_loss(problem)
    figure = descent.draw([problem], [traces], [lowest])
    by_passes, by_seconds = figure.axes
    assert len(by_passes.lines) == len(by_seconds.lines) == len(traces)
    figure.savefig(tmp_path / "descent.png")
    assert (tmp_path / "descent.png").stat().st_size > 1000
    reached = traces[2]._replace(
        loss=np.array([1.0, 0.5, 0.1]), passes=np.arange(1, 4), seconds=np.arange(3.0)
    )
    line = descent.table(problem, [reached], 0.1).splitlines()[1]
    assert line.split("within") == [
        "  L-BFGS            ",
        " 0.001:    3 passes, 2.000 s  ",
        " 1e-06:    3 passes, 2.000 s",
    ]


def test_the_script_says_what_it_leaves_out(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")

    def unavailable(**_):
        raise descent.DatasetUnavailableError("MNIST: no mirror answered")

    monkeypatch.setattr(descent, "load_mnist", unavailable)
    monkeypatch.delenv("FASTML_DATA", raising=False)
    output = tmp_path / "d.png"
    assert descent.main(["--rows", "250", "--passes", "2", "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "digits that ship in scikit-learn" in printed.err
    assert "a9a is left out" in printed.err
    assert "digits, even or odd: minimum" in printed.out
    assert output.is_file()
