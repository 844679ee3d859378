"""``python -m fastml script.py``: run a program that imports from scikit-learn with fastml's estimators."""

import argparse
import functools
import importlib.machinery
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType

from fastml import _log
from fastml._config import set_config
from fastml._patch import patch_sklearn

_ExceptHook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def main(argv: Sequence[str] | None = None) -> None:
    """Set the options, patch scikit-learn, and become the program named on the command line."""
    parser = _parser()
    options = parser.parse_args(argv)
    program = [*(options.module or []), *options.program]
    if not program:
        parser.error("a script, or -m and a module, is required")
    if options.module is None and not os.path.exists(program[0]):
        parser.error(f"can't open file {program[0]!r}: no such file or directory")

    _configure(parser, options)
    patch_sklearn()
    sys.argv = program
    sys.excepthook = functools.partial(_hide_own_frames, sys.excepthook)
    if options.module is not None:
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
    else:
        _run_path(program[0])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastml",
        usage="%(prog)s [options] (script.py | -m module) [args ...]",
        description="Run a program with fastml's estimators in the place of scikit-learn's.",
        allow_abbrev=False,
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where the arithmetic runs")
    parser.add_argument("--n-threads", type=int, metavar="N", help="number of CPU threads; default: all")
    parser.add_argument("--verbose", action="store_true", help="print what ran where to standard error")
    # REMAINDER: whatever follows the program's name is the program's, options too.
    parser.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, metavar="module", help="run a module as a program"
    )
    parser.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _configure(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.verbose:
        _log.start_verbose()
    try:
        if options.device is not None:
            set_config(device=options.device)
        if options.n_threads is not None:
            set_config(n_threads=options.n_threads)
    except ValueError as error:
        parser.error(str(error))
    except RuntimeError as error:  # CUDA asked for, and not to be had
        parser.exit(1, f"{parser.prog}: {error}\n")


def _run_path(path: str) -> None:
    is_container = pkgutil.get_importer(path) is not None  # a folder or zip file with a __main__.py
    if not sys.flags.safe_path:
        # python -m put the working directory first, python script.py puts the script's; of a container,
        # runpy puts the container itself.
        del sys.path[0]
        if not is_container:
            sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    if is_container or path.endswith(".pyc"):
        runpy.run_path(path, run_name="__main__")
    else:
        _run_source(path)


def _run_source(path: str) -> None:
    """What runpy.run_path does, except that ``__main__`` outlives the run, as with ``python path``.

    Exit handlers and threads that outlast the script's last line may still pickle its functions. And
    ``__file__`` is absolute while ``sys.argv[0]`` is as given, which run_path cannot tell apart.
    """
    file = os.path.abspath(path)
    with io.open_code(file) as source:
        code = compile(source.read(), file, "exec", dont_inherit=True)
    module = ModuleType("__main__")
    # __spec__ stays None: multiprocessing takes a spec for "python -m".
    module.__file__, module.__loader__ = file, importlib.machinery.SourceFileLoader("__main__", file)
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _hide_own_frames(
    excepthook: _ExceptHook,
    exc_type: type[BaseException],
    exc_value: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Print a traceback that begins where the program does, as with plain python."""
    own_files = {main.__code__.co_filename, runpy.run_path.__code__.co_filename}
    while traceback is not None and traceback.tb_frame.f_code.co_filename in own_files:
        traceback = traceback.tb_next
    excepthook(exc_type, exc_value.with_traceback(traceback), traceback)


if __name__ == "__main__":
    main()
