"""scikit-learn's installed tests are the acceptance of fastml's estimators."""

import pytest
from sklearn_suite import Verdict, judge, module_source, read_exceptions, run_module, table

# A family that comes later adds the modules that test it in scikit-learn.
MODULES = [
    "sklearn.linear_model.tests.test_base",
    "sklearn.linear_model.tests.test_logistic",
    "sklearn.linear_model.tests.test_passive_aggressive",
    "sklearn.linear_model.tests.test_perceptron",
    "sklearn.linear_model.tests.test_ridge",
    "sklearn.linear_model.tests.test_sgd",
    "sklearn.neural_network.tests.test_mlp",
    "sklearn.svm.tests.test_bounds",
    "sklearn.svm.tests.test_sparse",
    "sklearn.svm.tests.test_svm",
]


@pytest.mark.parametrize("module", MODULES)
def test_fastml_passes_scikit_learns_tests(module: str, verdicts: list[Verdict]):
    outcomes = run_module(module)
    verdict = judge(module, outcomes, read_exceptions().get(module, {}), module_source(module))
    verdicts.append(verdict)
    assert not verdict.failed, complaint(verdict)
    assert not verdict.stale, "\n".join(["exceptions.toml is out of date:", *verdict.stale])
    assert verdict.passed, f"no test of {module} called an estimator of fastml's"


def test_exceptions_are_of_modules_that_run():
    assert set(read_exceptions()) <= set(MODULES)


def complaint(verdict: Verdict) -> str:
    """What failed, and whether scikit-learn's own classes fail there too: then the machine is to blame."""
    baseline = run_module(verdict.module, classes="sklearn")
    theirs = [name for name, outcome in baseline.items() if outcome.result == "failed"]
    return "\n".join(
        [*table([verdict]), *verdict.failed, f"fail with scikit-learn's own classes too: {theirs}"]
    )
