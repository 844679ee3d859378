"""The harness itself: what it counts, what it lets through, what it refuses."""

import pytest
from sklearn_private_names import private_reads
from sklearn_suite import Verdict, judge, run_module, table
from sklearn_suite_plugin import Outcome

MODULE_UNDER_TEST = '''
import pytest
from sklearn import linear_model
from sklearn.linear_model import Lasso, Perceptron

X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


class Subclass(linear_model.SGDClassifier):
    """Defined at import, so the class must have been replaced by then."""


def test_fit():
    assert Perceptron.__module__.startswith("fastml.")
    Perceptron().fit(X, y)


def test_subclass():
    Subclass(loss="log_loss").fit(X, y).predict_proba(X)


def test_refused_by_the_constructor():
    with pytest.raises(TypeError):
        Perceptron(colour="blue")


def test_construction_alone():
    Perceptron().get_params()


def test_other_estimator():
    Lasso().fit(X, y)


@pytest.mark.parametrize("answer", [42])
def test_failing(answer):
    Perceptron().fit(X, y)
    assert answer == 41


def test_skipped():
    pytest.skip("no reason")


@pytest.mark.xfail
def test_expected_to_fail():
    raise AssertionError
'''


def test_calls_are_recorded(tmp_path):
    (tmp_path / "suite_module_under_test.py").write_text(MODULE_UNDER_TEST)
    outcomes = run_module("suite_module_under_test", path=tmp_path)
    assert {name: (outcome.result, outcome.ours) for name, outcome in outcomes.items()} == {
        "test_fit": ("passed", True),
        "test_subclass": ("passed", True),
        "test_refused_by_the_constructor": ("passed", True),
        "test_construction_alone": ("passed", False),
        "test_other_estimator": ("passed", False),
        "test_failing[42]": ("failed", True),
        "test_skipped": ("skipped", False),
        "test_expected_to_fail": ("skipped", False),
    }
    assert "assert 42 == 41" in outcomes["test_failing[42]"].detail


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path):
    (tmp_path / "suite_module_under_test.py").write_text("import no_such_module")
    with pytest.raises(RuntimeError, match="no_such_module"):
        run_module("suite_module_under_test", path=tmp_path)


READS_PRIVATE = "def test_a(clf):\n    clf._average_coef\n"
READS_PUBLIC = "def test_a(clf):\n    clf.coef_\n"


@pytest.mark.parametrize(
    ("outcome", "excepted", "source", "expected"),
    [
        (Outcome("passed", ours=True), {}, READS_PUBLIC, Verdict("m", passed=1)),
        (Outcome("passed", ours=False), {}, READS_PUBLIC, Verdict("m", not_ours=1)),
        (Outcome("skipped"), {}, READS_PUBLIC, Verdict("m", skipped=1)),
        (Outcome("failed"), {}, READS_PRIVATE, Verdict("m", failed=["test_a[1]\n"])),
        (Outcome("failed"), {"test_a[1]": "private"}, READS_PRIVATE, Verdict("m", listed=1)),
    ],
)
def test_verdict(outcome, excepted, source, expected):
    assert judge("m", {"test_a[1]": outcome}, excepted, source) == expected


@pytest.mark.parametrize(
    ("outcome", "excepted", "source", "complaint"),
    [
        (Outcome("passed", ours=True), {"test_a[1]": "private"}, READS_PRIVATE, "take it off the list"),
        (Outcome("failed"), {"test_a[1]": "hard"}, READS_PUBLIC, "reads no private name"),
        (Outcome("failed"), {"test_a[1]": " "}, READS_PRIVATE, "no reason given"),
        (Outcome("passed", ours=True), {"test_b": "private"}, READS_PRIVATE, "no such test"),
    ],
)
def test_a_list_out_of_date_is_refused(outcome, excepted, source, complaint):
    (stale,) = judge("m", {"test_a[1]": outcome}, excepted, source).stale
    assert complaint in stale


IMPORTS = """
import numpy as np
from sklearn.linear_model import _sgd_fast as sgd_fast
from sklearn.linear_model import _stochastic_gradient
from sklearn.linear_model._base import SPARSE_INTERCEPT_DECAY
from sklearn.utils._testing import assert_allclose
from sklearn.linear_model import SGDClassifier
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("sgd_fast.Hinge(1.0)", ["sklearn.linear_model._sgd_fast"]),
        ("SPARSE_INTERCEPT_DECAY", ["sklearn.linear_model._base.SPARSE_INTERCEPT_DECAY"]),
        ("import sklearn.svm._libsvm as fast; fast.fit()", ["sklearn.svm._libsvm"]),
        ("SGDClassifier()._allocate()", ["_allocate"]),
        ("hasattr(clf, '_average_coef')", ["_average_coef"]),
        ("monkeypatch.setattr(clf, '_fit', None)", ["_fit"]),
        ("assert_allclose(clf.coef_, 1)", []),
        ("np._core.arange(3)", []),
        ("clf.__class__", []),
        ("clf._attribute = 1", []),
        ("_own_function(clf)", []),
        ("print('_average_coef')", []),
        ("import sklearn; sklearn.svm._libsvm.fit()", ["_libsvm"]),
        ("import sklearn.utils; sklearn.utils._testing.raises()", []),
    ],
)
def test_private_reads(body, expected):
    source = f"{IMPORTS}\n\ndef test_a(clf, monkeypatch):\n    {body}\n"
    assert private_reads(source, "test_a") == expected


def test_private_reads_of_another_test_are_not_its_own():
    assert private_reads(f"{READS_PUBLIC}\n\ndef test_b(clf):\n    clf._secret\n", "test_a") == []


def test_table_ends_with_the_total():
    heading, *rows = table([Verdict("a", passed=3, skipped=1), Verdict("b", passed=2, failed=["test_c"])])
    assert heading.split() == ["passed", "listed", "not", "ours", "skipped", "failed"]
    assert [row.split() for row in rows][-1] == ["total", "5", "0", "0", "1", "1"]
