"""The pytest plugin of a process that runs one of scikit-learn's test modules.

Before the test module is imported, the classes in scikit-learn's public packages are replaced by fastml's, so
that ``from sklearn.linear_model import SGDClassifier``, ``linear_model.SGDClassifier`` and a subclass written
at the module's top level are all fastml's. scikit-learn's private modules keep their own classes: those are
not what a user imports. Only the classes of the family that the module tests are replaced: those of other
families are what it compares with. (``test_sgd`` holds ``SGDOneClassSVM``'s offset to within 1.3e-6 of
``OneClassSVM``'s on data where the optimum is 0 and the former stops at 1.64e-6: LIBSVM, which stops at 3.5e-7,
passes, and an exact solution would not.)

While a test runs, the public methods of the replaced classes tell that they were called: a test that calls
none says nothing about fastml, however green it is.
"""

import copy
import functools
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn_twins import find_twins

AvailableIf = type(available_if(bool)(bool))


@dataclass
class Outcome:
    """What one test did, and whether it called a replaced class.

    ``result`` is "passed", "failed" or "skipped". One that scikit-learn itself expects to fail is "skipped".
    """

    result: str = "passed"
    ours: bool = False
    detail: str = ""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scikit-learn's suite")
    group.addoption("--suite-report", type=Path, required=True, help="the JSON file to write outcomes to")
    group.addoption(
        "--suite-classes",
        choices=("fastml", "sklearn"),
        default="fastml",
        help="whose classes the tests get; sklearn shows what fails for reasons that are not fastml's",
    )
    group.addoption("--suite-family", help="the package whose classes are replaced (default: every one)")


def pytest_configure(config: pytest.Config) -> None:
    recorder = Recorder(config.getoption("--suite-report"))
    family = config.getoption("--suite-family")
    for twin in find_twins():
        if family not in (None, twin.family):
            continue
        replacement = twin.ours if config.getoption("--suite-classes") == "fastml" else twin.theirs
        record_calls(replacement, recorder.note_call)
        setattr(import_module(f"sklearn.{twin.family}"), twin.name, replacement)
    config.pluginmanager.register(recorder)


class Recorder:
    """Collects the outcome of every test by its name and writes them when the run ends."""

    def __init__(self, report: Path):
        self._report = report
        self._outcomes: dict[str, Outcome] = {}
        self._called = False

    def note_call(self) -> None:
        self._called = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._called = False
        handled = yield
        self._outcomes[_name(item.nodeid)].ours = self._called
        return handled

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = self._outcomes.setdefault(_name(report.nodeid), Outcome())
        if report.failed:
            outcome.result, outcome.detail = "failed", report.longreprtext
        elif report.skipped and outcome.result == "passed":
            outcome.result = "skipped"

    def pytest_sessionfinish(self) -> None:
        outcomes = {name: asdict(outcome) for name, outcome in self._outcomes.items()}
        self._report.write_text(json.dumps(outcomes))


def _name(nodeid: str) -> str:
    """``test_fit[SGDClassifier]`` of ``path/to/test_sgd.py::test_fit[SGDClassifier]``."""
    return nodeid.partition("::")[2]


def record_calls(cls: type, note_call: Callable[[], None]) -> None:
    """Make every public method of ``cls``, and a constructor that raises, call ``note_call``.

    What every estimator has from ``BaseEstimator`` (``get_params`` and its kin) is left out.
    """
    for name in sorted(set(dir(cls)) - set(dir(BaseEstimator))):
        attribute = inspect.getattr_static(cls, name)
        if name.startswith("_"):
            continue
        if inspect.isfunction(attribute):
            setattr(cls, name, _noting_a_call(attribute, note_call))
        elif isinstance(attribute, AvailableIf):
            # Wrapped inside the descriptor: the method must stay unavailable where it was.
            recorded = copy.copy(attribute)
            recorded.fn = _noting_a_call(attribute.fn, note_call)
            setattr(cls, name, recorded)
    cls.__init__ = _noting_a_refusal(cls.__init__, note_call)


def _noting_a_call(method: Callable, note_call: Callable[[], None]) -> Callable:
    @functools.wraps(method)
    def noting(*args, **kwargs):
        note_call()
        return method(*args, **kwargs)

    return noting


def _noting_a_refusal(init: Callable, note_call: Callable[[], None]) -> Callable:
    @functools.wraps(init)
    def noting(*args, **kwargs):
        try:
            init(*args, **kwargs)
        except Exception:
            note_call()
            raise

    return noting
