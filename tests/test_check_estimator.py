"""scikit-learn's battery of estimator checks: none fails on fastml's class that passes on scikit-learn's."""

from collections import Counter

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils._test_common.instance_generator import PER_ESTIMATOR_CHECK_PARAMS
from sklearn.utils.estimator_checks import check_estimator
from sklearn_twins import find_twins


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("twin", find_twins(), ids=str)
def test_what_passes_on_scikit_learns_class_passes_on_ours(twin, monkeypatch):
    # Checks that scikit-learn runs on several instances of the class, such as one for each solver.
    if twin.theirs in PER_ESTIMATOR_CHECK_PARAMS:
        monkeypatch.setitem(PER_ESTIMATOR_CHECK_PARAMS, twin.ours, PER_ESTIMATOR_CHECK_PARAMS[twin.theirs])
    ours, theirs = run_checks(twin.ours()), run_checks(twin.theirs())
    outcomes = {
        check: ours.get(check, ("not run", "")) for check, (status, _) in theirs.items() if status == "passed"
    }
    lost = {check: outcome for check, outcome in outcomes.items() if outcome[0] != "passed"}
    assert not lost, "\n".join(
        f"{name} #{n}: {status} {error}" for (name, n), (status, error) in lost.items()
    )
    assert ours.keys() == theirs.keys()


def run_checks(estimator: BaseEstimator) -> dict[tuple[str, int], tuple[str, str]]:
    """Status and exception of every check, by its name and a number: some run more than once."""
    seen = Counter()
    results = {}
    for check in check_estimator(estimator, on_skip=None, on_fail=None):
        name = check["check_name"]
        results[name, seen[name]] = (check["status"], repr(check["exception"]))
        seen[name] += 1
    return results
