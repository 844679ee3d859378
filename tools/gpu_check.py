"""Everything that needs a GPU, in one go: builds, tests, benchmarks, and one short table last.

    python tools/gpu_check.py

Runs from the source tree and needs no network. The machine needs an NVIDIA GPU and driver, a C compiler,
Python 3.12 and: numpy, scipy, scikit-learn, numba, numba-cuda, CuPy, PyTorch, Cython, setuptools, pytest,
pytest-timeout, hypothesis, joblib, threadpoolctl, tqdm. Ends within 8 minutes: each stage has a limit of its
own, and what comes too late is cut off.

A kernel family joins by its tests in ``tests/kernels``, estimator tests by the mark ``gpu``, a benchmark by a
file ``benchmarks/gpu_<family>.py`` with ``run() -> list[dict]``: keys "benchmark", "unit", and a figure per
contender, lower is better, ours first. Writes ``benchmarks/results/gpu-<card>.json``.
"""

import argparse
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TOTAL_LIMIT_S = 460
LABELS = ("benchmark", "unit")


class Stage(NamedTuple):
    name: str
    command: list[str]
    limit_s: float


class Outcome(NamedTuple):
    name: str
    seconds: float
    result: str

    @property
    def failed(self):
        return self.result.startswith(("failed", "cut off"))


def stages(results_folder):
    """What is run, in order; a benchmark leaves its results as JSON in the folder."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q"]
    listed = [
        Stage("build", [python, "setup.py", "build_ext", "--inplace"], 120),
        Stage("kernel contract", [*pytest, "tests/kernels"], 240),
        Stage("estimators", [*pytest, "tests", "--ignore=tests/kernels", "-m", "gpu"], 120),
    ]
    for path in sorted((ROOT / "benchmarks").glob("gpu_*.py")):
        output = Path(results_folder, f"{path.stem}.json")
        command = [python, __file__, "--benchmark", str(path), "--output", str(output)]
        listed.append(Stage(path.stem, command, 120))
    return listed


def run_stage(stage, deadline):
    limit = max(1.0, min(stage.limit_s, deadline - time.monotonic()))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment.pop("NUMBA_ENABLE_CUDASIM", None)
    print(f"--- {stage.name} (at most {limit:.0f} s)", flush=True)
    start = time.monotonic()
    try:
        status = subprocess.run(stage.command, cwd=ROOT, env=environment, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        result = f"cut off after {limit:.0f} s"
    else:
        result = "ok" if status == 0 else f"failed ({status})"
    return Outcome(stage.name, time.monotonic() - start, result)


def card_name():
    """Name of the GPU that CuPy sees, or why there is none."""
    command = [
        sys.executable,
        "-c",
        "import cupy; print(cupy.cuda.runtime.getDeviceProperties(0)['name'].decode())",
    ]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        sys.exit(f"no GPU to check on: {process.stderr.strip().splitlines()[-1]}")
    return process.stdout.strip()


def print_table(card, outcomes, benchmarks):
    print(f"\n{card}")
    for outcome in outcomes:
        print(f"{outcome.name:<20}{outcome.seconds:>6.0f} s  {outcome.result}")
    for row in benchmarks:
        contenders = ((name, figure) for name, figure in row.items() if name not in LABELS)
        print(
            f"{row['benchmark']} [{row['unit']}]: " + ", ".join(f"{n} {figure:g}" for n, figure in contenders)
        )


def write_results(card, outcomes, benchmarks):
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    content = {
        "card": card,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": [outcome._asdict() for outcome in outcomes],
        "benchmarks": benchmarks,
    }
    slug = re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-")
    (folder / f"gpu-{slug}.json").write_text(json.dumps(content, indent=2) + "\n")


def check():
    deadline = time.monotonic() + TOTAL_LIMIT_S
    card = card_name()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = [run_stage(stage, deadline) for stage in stages(folder)]
        benchmarks = [row for path in sorted(Path(folder).iterdir()) for row in json.loads(path.read_text())]
    write_results(card, outcomes, benchmarks)
    print_table(card, outcomes, benchmarks)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", type=Path, help="only run this file's benchmark")
    parser.add_argument("--output", type=Path, help="where --benchmark writes its results, as JSON")
    options = parser.parse_args()
    if options.benchmark is None:
        return check()
    results = runpy.run_path(str(options.benchmark))["run"]()
    text = json.dumps(results, indent=2)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
