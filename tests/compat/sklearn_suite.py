"""Run one of scikit-learn's installed test modules on fastml's classes and judge the outcome.

Each module runs in a process of its own: the classes have to be replaced before the module is imported, and
no other test should see them replaced.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
from sklearn_private_names import private_reads
from sklearn_suite_plugin import Outcome

HERE = Path(__file__).parent
EXCEPTIONS = HERE / "exceptions.toml"


@dataclass
class Verdict:
    """The tests of one module, counted, and what is wrong with them."""

    module: str
    passed: int = 0
    listed: int = 0
    not_ours: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, ...]:
        return self.passed, self.listed, self.not_ours, self.skipped, len(self.failed)


def read_exceptions() -> dict[str, dict[str, str]]:
    """Per module, the tests excepted and the reason for each."""
    return tomllib.loads(EXCEPTIONS.read_text())


def run_module(module: str, classes: str = "fastml", path: Path | None = None) -> dict[str, Outcome]:
    """The outcome of every test of ``module``, by its name with its parameters.

    Parameters
    ----------
    module : str
        Dotted name of an importable test module.
    classes : {"fastml", "sklearn"}
        Whose classes the tests get.
    path : Path, optional
        A folder to import ``module`` from.

    Raises
    ------
    RuntimeError
        If the run itself broke: the module can't be imported, or the process died.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        run = subprocess.run(
            _command(module, classes, report),
            cwd=folder,
            env=_environment(path),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            # An error of collection ends stdout; the stack of a crash starts stderr.
            output = f"{run.stdout[-6000:]}\n{run.stderr[:6000]}"
            raise RuntimeError(f"{module} ended with {run.returncode}:\n{output}")
        outcomes = json.loads(report.read_text())
    return {name: Outcome(**outcome) for name, outcome in outcomes.items()}


def _command(module: str, classes: str, report: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "-c", str(HERE / "sklearn_suite.ini")),
        *("-p", "sklearn_suite_plugin", "-p", "no:cacheprovider", "--disable-warnings"),
        *("--suite-report", str(report), "--suite-classes", classes),
        *_family_option(module),
        *("--pyargs", module),
    ]


def _family_option(module: str) -> list[str]:
    """scikit-learn's test modules lie in the package whose classes they test."""
    package, *path = module.split(".")
    return ["--suite-family", path[0]] if package == "sklearn" else []


def _environment(path: Path | None) -> dict[str, str]:
    """This process's environment, less what it tells pytest; the child must import the same fastml."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    fastml = Path(find_spec("fastml").origin).parents[1]
    folders = [str(folder) for folder in (HERE, path, fastml) if folder is not None]
    environment["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [environment.get("PYTHONPATH")])])
    return environment


def judge(module: str, outcomes: dict[str, Outcome], excepted: dict[str, str], source: str) -> Verdict:
    """Hold ``outcomes`` against the tests that are excepted; ``source`` is the test module's text."""
    verdict = Verdict(module)
    for name, outcome in outcomes.items():
        if name in excepted:
            _judge_listed(verdict, name, outcome, source)
        else:
            _judge_unlisted(verdict, name, outcome)
    verdict.stale += [f"{name}: no such test" for name in excepted if name not in outcomes]
    verdict.stale += [f"{name}: no reason given" for name, reason in excepted.items() if not reason.strip()]
    return verdict


def _judge_listed(verdict: Verdict, name: str, outcome: Outcome, source: str) -> None:
    if outcome.result != "failed":
        verdict.stale.append(f"{name}: {outcome.result}; take it off the list")
    elif not private_reads(source, name.partition("[")[0].split("::")[-1]):
        verdict.stale.append(f"{name}: reads no private name of scikit-learn, so it may not be excepted")
    else:
        verdict.listed += 1


def _judge_unlisted(verdict: Verdict, name: str, outcome: Outcome) -> None:
    if outcome.result == "failed":
        verdict.failed.append(f"{name}\n{_indent(outcome.detail[-1500:])}")
    elif outcome.result == "skipped":
        verdict.skipped += 1
    elif outcome.ours:
        verdict.passed += 1
    else:
        verdict.not_ours += 1


def _indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def module_source(module: str) -> str:
    return Path(find_spec(module).origin).read_text()


def table(verdicts: list[Verdict]) -> list[str]:
    """The counts of every module and their total, one line each."""
    columns = ("passed", "listed", "not ours", "skipped", "failed")
    total = tuple(map(sum, zip(*(verdict.counts for verdict in verdicts), strict=True)))
    rows = [(verdict.module, verdict.counts) for verdict in verdicts] + [("total", total)]
    width = max(len(name) for name, _ in rows)
    heading = f"{'':{width}}" + "".join(f"{column:>10}" for column in columns)
    return [
        heading,
        *(f"{name:{width}}" + "".join(f"{count:10}" for count in counts) for name, counts in rows),
    ]
