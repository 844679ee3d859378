"""Compile every CUDA kernel to PTX and through ptxas, without a GPU, a driver or the simulator.

    python tools/compile_cuda.py [--match REGEX] [--jobs N]

needs ``pip install ".[cuda-compile]"``. Prints registers, stack frame, spills and shared memory of every
kernel for each architecture; a stack frame is what the compiler could not keep in registers. Exits with 1 if
anything fails to compile.

A kernel family joins by a module ``fastml/kernels/cuda/_<family>_offline.py`` with ``kernels_to_compile()``,
which yields (name, Python function, Numba signature).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from importlib.metadata import files
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURES = ((8, 0), (9, 0))
PTXAS_REPORT = {
    "registers": r"Used (\d+) registers",
    "stack": r"(\d+) bytes stack frame",
    "spill_stores": r"(\d+) bytes spill stores",
    "spill_loads": r"(\d+) bytes spill loads",
    "shared": r"(\d+) bytes smem",
}


class Task(NamedTuple):
    module: str
    index: int
    name: str


def families():
    """The modules that list kernels."""
    folder = ROOT / "fastml" / "kernels" / "cuda"
    return [f"fastml.kernels.cuda.{path.stem}" for path in sorted(folder.glob("_*_offline.py"))]


@cache
def kernels(module):
    return list(import_module(module).kernels_to_compile())


def ptxas_path():
    """The ptxas of the nvidia-cuda-nvcc package; one from PATH may be older than the PTX."""
    for file in files("nvidia-cuda-nvcc") or ():
        if file.name == "ptxas":
            return file.locate()
    raise FileNotFoundError("the package nvidia-cuda-nvcc has no ptxas")


def compile_kernel(task):
    """Figures of one kernel on each architecture."""
    _, function, signature = kernels(task.module)[task.index]
    library = to_llvm(function, signature)
    return [assemble(library.get_asm_str(cc=architecture), architecture) for architecture in ARCHITECTURES]


def to_llvm(function, signature):
    """What NVVM makes PTX of, for any architecture.

    Type inference and lowering take half of the time, and would give the same for each architecture: Numba asks for
    it only below sm_60, and for tanh in fast-math below sm_75.
    """
    from numba.cuda import compiler, dispatcher

    lowest = min(ARCHITECTURES)
    # Device functions are compiled for the current device, which a machine without a GPU does not have.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=lowest)
    # What cuda.compile_ptx calls, and keeps to itself.
    library, _ = compiler._compile_pyfunc_with_fixup(
        function, signature, device=False, cc=lowest, abi="numba"
    )
    return library


def assemble(ptx, architecture):
    """Figures of ptxas' report."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        target = "sm_{}{}".format(*architecture)
        command = [ptxas_path(), "-v", "-arch", target, source, "-o", os.devnull]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = {name: re.search(pattern, report) for name, pattern in PTXAS_REPORT.items()}
    return {name: int(match.group(1)) if match else 0 for name, match in found.items()}


def print_report(task, future):
    error = future.exception()
    if error is not None:
        print(f"{'FAILED':>34}  {task.name}\n{error}\n{getattr(error, 'stderr', '')}")
        return
    for architecture, figures in zip(ARCHITECTURES, future.result()):
        target = "sm_{}{}".format(*architecture)
        spills = f"{figures['spill_stores']}/{figures['spill_loads']}"
        print(
            f"{figures['registers']:>5}{figures['stack']:>7}{spills:>14}{figures['shared']:>8}"
            f"  {target:<6}{task.name}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--match", default="", help="only kernels whose name contains this regular expression"
    )
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        parser.error("compiles nothing under NUMBA_ENABLE_CUDASIM")

    tasks = [
        Task(module, index, name)
        for module in families()
        for index, (name, _, _) in enumerate(kernels(module))
        if re.search(options.match, name)
    ]
    print(f"{'regs':>5}{'stack':>7}{'spills st/ld':>14}{'shared':>8}  {'arch':<6}kernel")
    start = time.perf_counter()
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        futures = [pool.submit(compile_kernel, task) for task in tasks]
        for task, future in zip(tasks, futures):
            print_report(task, future)
    failed = sum(future.exception() is not None for future in futures)
    print(
        f"{len(tasks)} compiled for {len(ARCHITECTURES)} architectures, {failed} failed,"
        f" {time.perf_counter() - start:.0f} s"
    )
    return 1 if failed or not tasks else 0


sys.path.insert(0, str(ROOT))

if __name__ == "__main__":
    sys.exit(main())
