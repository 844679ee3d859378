"""show_versions tells a bug report's reader what ran, without importing what it tells of."""

import importlib
import importlib.metadata
import sys

from fresh_interpreter import output_of

import fastml
from fastml import _show_versions


def test_sections_and_versions(capsys):
    assert fastml.show_versions() is None
    out = capsys.readouterr().out
    for title in ("System:", "fastml:", "Dependencies:", "Threads:", "CUDA:"):
        assert f"\n{title}\n" in out
    assert f"version: {fastml.__version__}\n" in out
    assert f"numpy: {importlib.metadata.version('numpy')}\n" in out
    assert sys.executable in out


def test_instruction_set():
    runtime = importlib.import_module("fastml.kernels.cpu._runtime")
    told = _show_versions._build()["instruction set"]
    assert told.startswith(f"{runtime.level_name(runtime.LEVEL)} in use")
    assert told.endswith(runtime.level_name(runtime.PROCESSOR_LEVEL))


def test_a_level_that_the_processor_lacks_is_told_not_raised():
    out = output_of("import fastml; fastml.show_versions()", FASTML_CPU="v99")
    assert "build: unusable (FASTML_CPU='v99'" in out


def test_threads():
    with fastml.config_context(n_threads=3):
        assert _show_versions._threads() == {"n_threads": "3", "in use": "3"}


def test_cuda_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(_show_versions, "simulated", lambda: False)
    monkeypatch.setattr(_show_versions, "missing_for_cuda", lambda: ["cupy", "a visible NVIDIA GPU"])
    told = _show_versions._cuda()
    assert told["status"] == "missing: cupy, a visible NVIDIA GPU"
    assert "fastml[cuda]" in told["packages"]


def test_cuda_simulator(monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert _show_versions._cuda()["status"] == "Numba's simulator"


def test_nothing_heavy_is_imported():
    code = (
        "import sys, fastml; fastml.show_versions()\n"
        "assert not {'numba', 'cupy', 'matplotlib', 'h5py', 'tqdm'} & {*sys.modules}"
    )
    output_of(code)
