"""The options: their values, whom they reach, and what the two resolvers make of them."""

import json
import multiprocessing
import os
import threading

import joblib
import pytest
from fresh_interpreter import output_of, run

import fastml
from fastml import _config, _cuda_available

DEFAULTS = {"device": "auto", "n_threads": None, "progress": False}


@pytest.fixture(autouse=True)
def restored_process_options(monkeypatch):
    """Each test starts from the defaults, whatever the environment says, and leaves nothing behind."""
    monkeypatch.setattr(_config, "_process_options", dict(DEFAULTS))
    monkeypatch.setattr(_config, "_n_threads_is_inherited", True)
    monkeypatch.setenv("FASTML_CONFIG", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(_cuda_available, "_missing_packages", lambda: ["numba-cuda", "cupy"])
    monkeypatch.setattr(_cuda_available, "_probe_gpus", lambda: (0, os.getpid()))


@pytest.fixture
def a_gpu(monkeypatch):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(_cuda_available, "_missing_packages", list)
    monkeypatch.setattr(_cuda_available, "_probe_gpus", lambda: (1, os.getpid()))


def test_defaults():
    assert json.loads(output_of("import fastml, json; print(json.dumps(fastml.get_config()))")) == DEFAULTS


def test_set_config_changes_only_what_is_given():
    fastml.set_config(n_threads=3)
    fastml.set_config(device="cpu")
    assert fastml.get_config() == {"device": "cpu", "n_threads": 3, "progress": False}
    fastml.set_config(n_threads=None)
    assert fastml.get_config()["n_threads"] is None


def test_get_config_is_a_copy():
    fastml.get_config()["device"] = "cuda"
    assert fastml.get_config() == DEFAULTS


BAD_OPTIONS = [
    ({"device": "gpu"}, ValueError, r"'device' must be a str among .*'auto'.*Got 'gpu'"),
    ({"device": None}, TypeError, r"'device' must be a str among .*Got None"),
    ({"n_threads": 0}, ValueError, r"'n_threads' must be None or an int in .*Got 0"),
    ({"n_threads": -1}, ValueError, r"'n_threads' .*Got -1"),
    ({"n_threads": 2.0}, TypeError, r"'n_threads' .*Got 2.0"),
    ({"n_threads": True}, TypeError, r"'n_threads' .*Got True"),
    ({"progress": 1}, TypeError, r"'progress' must be a bool. Got 1"),
    ({"threads": 2}, TypeError, "threads"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_options_are_named_and_change_nothing(options, error, message):
    with pytest.raises(error, match=message):
        fastml.set_config(**{"progress": True, **options})
    with pytest.raises(error, match=message), fastml.config_context(**options):
        pass
    assert fastml.get_config() == DEFAULTS


def test_config_context_nests_and_restores_on_exception():
    with fastml.config_context(device="cpu", n_threads=4):
        with fastml.config_context(n_threads=None, progress=True):
            assert fastml.get_config() == {"device": "cpu", "n_threads": None, "progress": True}
        with pytest.raises(KeyError), fastml.config_context(device="auto"):
            raise KeyError
        assert fastml.get_config() == {"device": "cpu", "n_threads": 4, "progress": False}
    assert fastml.get_config() == DEFAULTS


def test_config_context_is_this_threads_and_set_config_everyones():
    seen = []
    with fastml.config_context(n_threads=5):
        fastml.set_config(device="cpu")
        thread = threading.Thread(target=lambda: seen.append(fastml.get_config()))
        thread.start()
        thread.join()
    assert seen == [{"device": "cpu", "n_threads": None, "progress": False}]


LOKY = """
import joblib, fastml
from joblib.externals.loky import reusable_executor
from fastml._config import effective_n_threads

def report(_):
    return fastml.get_config()["n_threads"], fastml.get_config()["device"], effective_n_threads()

def ask_workers():
    return sorted(set(joblib.Parallel(n_jobs=2)(joblib.delayed(report)(i) for i in range(4))))

fastml.set_config(n_threads=3, device="cpu")
print(ask_workers())
fastml.set_config(n_threads=7)  # these workers are up already
print(ask_workers())
before = reusable_executor._executor
fastml.set_config(n_threads=7, device="cpu")
print(ask_workers(), reusable_executor._executor is before)
"""


def test_loky_workers_follow_set_config_and_share_the_cores():
    first, second, unchanged = output_of(LOKY, OMP_NUM_THREADS="1").splitlines()
    assert first == "[(3, 'cpu', 1)]"
    assert second == "[(7, 'cpu', 1)]"
    assert unchanged == "[(7, 'cpu', 1)] True"


MULTIPROCESSING = """
import multiprocessing, sys, fastml
from fastml._config import effective_n_threads

def report(_):
    return fastml.get_config()["n_threads"], effective_n_threads()

if __name__ == "__main__":
    fastml.set_config(n_threads=3)
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.map(report, [0]))
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_daemonic_workers_inherit_and_get_one_thread(tmp_path, start_method):
    script = tmp_path / "pool.py"
    script.write_text(MULTIPROCESSING)
    finished = run(script, start_method)
    assert (finished.stdout, finished.stderr) == ("[(3, 1)]\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "FASTML_CONFIG is not JSON"),
        ('{"threads": 2}', "FASTML_CONFIG must be a JSON object"),
        ("[]", "FASTML_CONFIG must be a JSON object"),
        ('{"n_threads": 0}', "'n_threads'"),
    ],
)
def test_a_malformed_environment_is_an_error(monkeypatch, text, message):
    monkeypatch.setenv("FASTML_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        _config._inherited()


def test_n_threads_default_is_all_usable_cores():
    assert _config.effective_n_threads() == joblib.cpu_count()


@pytest.mark.parametrize(
    ("omp_num_threads", "at_most"), [("1", 1), ("1,4", 1), ("", None), ("all", None), ("0", None)]
)
def test_omp_num_threads_bounds_the_default(monkeypatch, omp_num_threads, at_most):
    monkeypatch.setenv("OMP_NUM_THREADS", omp_num_threads)
    assert _config.effective_n_threads() == (at_most or joblib.cpu_count())


def test_n_threads_set_in_this_process_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    fastml.set_config(n_threads=6)
    assert _config.effective_n_threads() == 6
    with fastml.config_context(n_threads=2):
        assert _config.effective_n_threads() == 2
    with fastml.config_context(n_threads=None):
        assert _config.effective_n_threads() == 1


def test_device_follows_input_and_size_under_auto(a_gpu):
    assert _config.resolve_device("cpu", gpu_pays=False) == "cpu"
    assert _config.resolve_device("cpu", gpu_pays=True) == "cuda"
    assert _config.resolve_device("cuda", gpu_pays=False) == "cuda"


def test_explicit_device_beats_input(a_gpu):
    with fastml.config_context(device="cpu"):
        assert _config.resolve_device("cuda", gpu_pays=True) == "cpu"
    with fastml.config_context(device="cuda"):
        assert _config.resolve_device("cpu", gpu_pays=False) == "cuda"


def test_without_cuda_auto_stays_on_the_cpu(no_cuda):
    assert _config.resolve_device("cpu", gpu_pays=True) == "cpu"


MISSING = r'numba-cuda, cupy, a visible NVIDIA GPU.*pip install "fastml\[cuda\]"'


def test_without_cuda_asking_for_it_names_what_is_missing(no_cuda):
    with pytest.raises(RuntimeError, match=MISSING):
        fastml.set_config(device="cuda")
    with pytest.raises(RuntimeError, match=MISSING), fastml.config_context(device="cuda"):
        pass
    with pytest.raises(RuntimeError, match=MISSING):
        _config.resolve_device("cuda", gpu_pays=False)
    assert fastml.get_config() == DEFAULTS


def test_only_the_gpu_missing_suggests_no_installation(no_cuda, monkeypatch):
    monkeypatch.setattr(_cuda_available, "_missing_packages", list)
    with pytest.raises(RuntimeError, match="a visible NVIDIA GPU") as caught:
        fastml.set_config(device="cuda")
    assert "pip" not in str(caught.value)


def test_missing_packages_leave_the_driver_alone(no_cuda, monkeypatch):
    monkeypatch.setattr(_cuda_available, "_probe_gpus", lambda: pytest.fail("the driver was started"))
    assert not _cuda_available.cuda_usable()


def test_simulator_counts_as_cuda(no_cuda, monkeypatch):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert _cuda_available.missing_for_cuda() == []
    assert _config.resolve_device("cpu", gpu_pays=True) == "cuda"
    fastml.set_config(device="cuda")
    assert fastml.get_config()["device"] == "cuda"


def test_a_forked_child_knows_that_it_cannot_use_its_parents_cuda(a_gpu, monkeypatch):
    parent = os.getpid()
    monkeypatch.setattr(_cuda_available, "_probe_gpus", lambda: (1, parent))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        (missing,) = pool.apply(_cuda_available.missing_for_cuda)
    assert "forked" in missing
    assert _cuda_available.missing_for_cuda() == []


def test_looking_for_cuda_imports_neither_numba_nor_cupy():
    code = (
        "import sys, fastml._cuda_available as a; a.missing_for_cuda()\n"
        "print({'numba', 'cupy'} & {*sys.modules})"
    )
    assert output_of(code) == "set()"
