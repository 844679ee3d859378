"""The table at the end of a run: how much of scikit-learn's own suite fastml passes."""

import pytest
from sklearn_suite import Verdict, table

VERDICTS = pytest.StashKey[list[Verdict]]()


@pytest.fixture(scope="session")
def verdicts(pytestconfig: pytest.Config) -> list[Verdict]:
    """What is put into this list is printed when the run ends."""
    return pytestconfig.stash.setdefault(VERDICTS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    verdicts = config.stash.get(VERDICTS, [])
    if verdicts:
        terminalreporter.section("scikit-learn's own tests on fastml's classes")
        for line in table(verdicts):
            terminalreporter.write_line(line)
