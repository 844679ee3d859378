"""``python -m fastml`` runs a program as plain python would, but for whose estimators it imports."""

import json
import signal
import sys
import textwrap
import zipfile

import pytest
from fresh_interpreter import PACKAGE_FOLDER, run

WHO = "from sklearn.linear_model import SGDClassifier; print(SGDClassifier.__module__.partition('.')[0])"
SITUATION = """
import json, sys
print(json.dumps([__name__, __file__, sys.argv, sys.path[:2], __spec__ and __spec__.name, __package__ or ""]))
import __main__
assert vars(__main__) is globals()
"""


@pytest.fixture
def script(tmp_path):
    def write(text, name="program.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_an_unchanged_script_and_its_modules_get_fastml(script):
    script(WHO, "own_module.py")
    finished = run("-m", "fastml", script(f"{WHO}\nimport own_module"))
    assert (finished.stdout, finished.stderr, finished.returncode) == ("fastml\nfastml\n", "", 0)
    assert run(script(WHO)).stdout == "sklearn\n"


def test_an_unchanged_module_gets_fastml(script, tmp_path):
    script(WHO, "package/__main__.py")
    script("", "package/__init__.py")
    assert run("-m", "fastml", "-m", "package", cwd=tmp_path).stdout == "fastml\n"


@pytest.mark.parametrize("relative", [False, True])
def test_situation_of_a_script(script, tmp_path, relative):
    path = script(SITUATION, "folder/program.py")
    arguments = ["folder/program.py" if relative else path, "--device", "x", "-m", "--", "-h", "--verbose"]
    ours = run("-m", "fastml", "--device", "cpu", *arguments, cwd=tmp_path)
    theirs = run(*arguments, cwd=tmp_path)
    assert theirs.stdout
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


def test_situation_of_a_linked_script(script, tmp_path):
    link = tmp_path / "link.py"
    link.symlink_to(script(SITUATION, "folder/program.py"))
    ours, theirs = run("-m", "fastml", link), run(link)
    assert (ours.stdout, ours.stderr) == (theirs.stdout, "")


@pytest.mark.parametrize("flag", ["-P", "-I"])
def test_safe_path_is_respected(script, flag):
    path = script("import sys; print(sys.path[0])")
    code = (
        "import sys; sys.argv[1:] = [{!r}]; sys.path.append({!r}); from fastml.__main__ import main; main()"
    )
    ours = run(flag, "-c", code.format(str(path), PACKAGE_FOLDER))
    assert (ours.stdout, ours.stderr) == (run(flag, path).stdout, "")


@pytest.mark.parametrize("module", ["package", "package.inner"])
@pytest.mark.parametrize("spelled", [["-m", "{}"], ["-m{}"]])
def test_situation_of_a_module(script, tmp_path, module, spelled):
    script("", "package/__init__.py")
    script(SITUATION, "package/__main__.py")
    script(SITUATION, "package/inner.py")
    arguments = [*(part.format(module) for part in spelled), "a", "--device", "-m", "b", "--help"]
    ours = run("-m", "fastml", "--device", "cpu", *arguments, cwd=tmp_path)
    theirs = run(*arguments, cwd=tmp_path)
    assert theirs.stdout
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


def test_a_folder_and_a_zip_file_run(script, tmp_path):
    code = f"import sys\nprint(__name__, sys.argv, sys.path[0])\n{WHO}"
    folder = script(code, "folder/__main__.py").parent
    archive = tmp_path / "program.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", code)
    for program in (folder, archive):
        finished = run("-m", "fastml", program, "x")
        assert finished.stdout == f"__main__ {[str(program), 'x']} {program}\nfastml\n", finished.stderr


ENDINGS = {
    "plain": ("pass", 0),
    "exit code": ("raise SystemExit(7)", 7),
    "exit message": ("import sys; sys.exit('no good')", 1),
    "exception": ("def f():\n    1 / 0\nf()", 1),
    "chained": ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e", 1),
    "syntax": ("x = (", 1),
    "own excepthook": ("import sys\nsys.excepthook = lambda *e: print('hook', e[0])\n1 / 0", 1),
    "atexit": ("import atexit; atexit.register(print, 'bye')", 0),
    "interrupt": ("raise KeyboardInterrupt", -signal.SIGINT),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_programs_end_as_with_plain_python(script, ending):
    text, returncode = ENDINGS[ending]
    path = script(text)
    ours, theirs = run("-m", "fastml", path), run(path)
    assert ours.returncode == theirs.returncode == returncode
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


def test_an_exception_in_a_module(script, tmp_path):
    script("def f():\n    1 / 0\nf()", "failing.py")
    ours = run("-m", "fastml", "-m", "failing", cwd=tmp_path)
    assert ours.returncode == 1
    assert ours.stderr.startswith(
        f'Traceback (most recent call last):\n  File "{tmp_path}/failing.py", line 3'
    )
    assert ours.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_main_outlives_the_script(script):
    path = script("""
        import pickle, threading, time
        class Point: pass
        def later():
            threading.main_thread().join()
            print(type(pickle.loads(pickle.dumps(Point()))).__qualname__)
        threading.Thread(target=later).start()
    """)
    finished = run("-m", "fastml", path)
    assert (finished.stdout, finished.stderr) == ("Point\n", "")


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_the_scripts_own_functions_reach_worker_processes(script, start_method):
    path = script(f"""
        import multiprocessing
        from sklearn.linear_model import SGDClassifier
        def alpha(estimator):
            return estimator.alpha, type(estimator).__module__.partition(".")[0]
        if __name__ == "__main__":
            with multiprocessing.get_context("{start_method}").Pool(1) as pool:
                print(pool.map(alpha, [SGDClassifier(alpha=0.5)]))
    """)
    finished = run("-m", "fastml", path)
    assert finished.stdout == "[(0.5, 'fastml')]\n", finished.stderr


def test_options_are_set(script):
    path = script("import fastml, json; print(json.dumps(fastml.get_config()))")
    finished = run("-m", "fastml", "--device", "cpu", "--n-threads", "3", path)
    assert json.loads(finished.stdout) == {"device": "cpu", "n_threads": 3, "progress": False}


def test_verbose_prints_what_ran_where(script):
    path = script("""
        from sklearn.datasets import load_iris
        from sklearn.linear_model import SGDClassifier
        from sklearn.preprocessing import StandardScaler
        X, y = load_iris(return_X_y=True)
        SGDClassifier().fit(StandardScaler().fit(X).transform(X), y)
    """)
    finished = run("-m", "fastml", "--device", "cpu", "--verbose", path)
    assert finished.stderr.splitlines() == [
        "fastml: StandardScaler.fit ran in scikit-learn: fastml has no StandardScaler",
        "fastml: SGDClassifier.fit ran in fastml on cpu",
    ]
    assert run("-m", "fastml", "--device", "cpu", path).stderr == ""


USAGE_ERRORS = [
    ([], "a script, or -m and a module, is required"),
    (["-m"], "a script, or -m and a module, is required"),
    (["--verbose"], "a script, or -m and a module, is required"),
    (["--colour", "x.py"], "unrecognized arguments: --colour"),
    (["--dev", "cpu", "x.py"], "unrecognized arguments: --dev"),
    (["--device", "gpu", "x.py"], "argument --device: invalid choice: 'gpu'"),
    (["--n-threads", "two", "x.py"], "argument --n-threads: invalid int value: 'two'"),
    (["--n-threads", "0", sys.executable], "'n_threads' must be None or an int"),
    (["no_such_file.py"], "can't open file 'no_such_file.py'"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE_ERRORS)
def test_usage_errors(arguments, message):
    finished = run("-m", "fastml", *arguments)
    assert finished.returncode == 2
    assert finished.stderr.startswith("usage: python -m fastml")
    assert message in finished.stderr


def test_a_missing_module():
    finished = run("-m", "fastml", "-m", "no_such_module")
    assert finished.returncode == 1
    assert "No module named no_such_module" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_cuda_that_cannot_be_had_is_an_error(script):
    blocked = "import sys; sys.modules['numba_cuda'] = None; sys.argv = ['', '--device', 'cuda', {!r}]\n"
    code = blocked + "import fastml.__main__ as m; m.main()"
    finished = run("-c", code.format(str(script("print('ran')"))), CUDA_VISIBLE_DEVICES="")
    assert (finished.stdout, finished.returncode) == ("", 1)
    assert "device='cuda' cannot be had here. Missing: " in finished.stderr
    assert "Traceback" not in finished.stderr


def test_help():
    finished = run("-m", "fastml", "--help")
    assert finished.returncode == 0
    for option in ("--device", "--n-threads", "--verbose", "-m"):
        assert option in finished.stdout
