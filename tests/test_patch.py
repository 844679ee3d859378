"""patch_sklearn: what is replaced and what is not, what pickles hold, what is logged, and the way back."""

import io
import logging
import pickle
import sys

import joblib
import pytest
import sklearn.linear_model
from fresh_interpreter import output_of
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model._stochastic_gradient import SGDClassifier as SklearnSGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastml
import fastml.linear_model

IRIS = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def unpatched_afterwards():
    yield
    fastml.unpatch_sklearn()


@pytest.fixture
def patched():
    fastml.patch_sklearn()
    return sklearn.linear_model


@pytest.fixture
def info(caplog):
    """The messages that the logger fastml has emitted at INFO."""
    caplog.set_level(logging.INFO, logger="fastml")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "fastml"]


SHARED = sorted(set(fastml.linear_model.__all__) & set(sklearn.linear_model.__all__))


def test_every_estimator_of_the_family_is_replaced(patched):
    assert SHARED
    for name in SHARED:
        assert getattr(patched, name) is getattr(fastml.linear_model, name)


def test_what_fastml_does_not_have_stays_and_private_modules_stay(patched):
    for name in set(patched.__all__) - set(fastml.linear_model.__all__):
        assert getattr(patched, name).__module__.startswith("sklearn.")
    for name in SHARED:
        original = next(c for c in getattr(patched, name).__mro__ if c.__module__.startswith("sklearn."))
        assert original.__name__ == name
        assert getattr(sys.modules[original.__module__], name) is original


def test_unpatch_restores_everything():
    attributes = dict(vars(sklearn.linear_model))
    validate_params = BaseEstimator._validate_params
    fastml.patch_sklearn()
    assert vars(sklearn.linear_model) != attributes
    fastml.unpatch_sklearn()
    assert vars(sklearn.linear_model) == attributes
    assert BaseEstimator._validate_params is validate_params


def test_patching_twice_and_unpatching_unpatched_are_harmless():
    attributes = dict(vars(sklearn.linear_model))
    validate_params = BaseEstimator._validate_params
    fastml.unpatch_sklearn()
    fastml.patch_sklearn()
    fastml.patch_sklearn()
    fastml.unpatch_sklearn()
    fastml.unpatch_sklearn()
    assert vars(sklearn.linear_model) == attributes
    assert BaseEstimator._validate_params is validate_params


@pytest.mark.parametrize("names", ["SGDClassifier", ["SGDClassifier"], iter({"SGDClassifier"})])
def test_only_names(names):
    fastml.patch_sklearn(names)
    assert sklearn.linear_model.SGDClassifier is fastml.linear_model.SGDClassifier
    assert sklearn.linear_model.SGDRegressor is not fastml.linear_model.SGDRegressor


def test_unknown_names_are_an_error_and_replace_nothing():
    with pytest.raises(ValueError, match=r"'names' must be among .*'SGDClassifier'.*Got \['Lasso'\]"):
        fastml.patch_sklearn(["SGDClassifier", "Lasso"])
    assert sklearn.linear_model.SGDClassifier is SklearnSGDClassifier


def test_anothers_replacement_is_left_alone(monkeypatch):
    monkeypatch.setattr(sklearn.linear_model, "Perceptron", sklearn.linear_model.Perceptron)  # restored last
    fastml.patch_sklearn()
    sklearn.linear_model.Perceptron = anothers = object()
    fastml.unpatch_sklearn()
    assert sklearn.linear_model.Perceptron is anothers


@pytest.mark.parametrize("first", ["fastml.linear_model", "fastml", "sklearn.linear_model"])
def test_import_order_does_not_matter(first):
    code = (
        f"import {first}, fastml; fastml.patch_sklearn()\n"
        "import sklearn.linear_model, fastml.linear_model\n"
        "from sklearn.linear_model import SGDClassifier\n"
        "from sklearn.linear_model._stochastic_gradient import SGDClassifier as theirs\n"
        "print(SGDClassifier is fastml.linear_model.SGDClassifier, SGDClassifier is not theirs,"
        " issubclass(SGDClassifier, theirs))"
    )
    assert output_of(code) == "True True True"


def test_ours_pickle_as_ours(patched):
    pickled = pickle.dumps(patched.SGDClassifier(random_state=0).fit(*IRIS))
    fastml.unpatch_sklearn()
    assert type(pickle.loads(pickled)) is fastml.linear_model.SGDClassifier


def test_sklearns_pickles_yield_sklearns_objects():
    pickled = pickle.dumps(sklearn.linear_model.SGDClassifier(random_state=0).fit(*IRIS))
    dumped = io.BytesIO()
    joblib.dump(sklearn.linear_model.Perceptron(), dumped)
    fastml.patch_sklearn()
    restored = pickle.loads(pickled)
    assert type(restored) is SklearnSGDClassifier
    assert type(pickle.loads(pickle.dumps(restored))) is SklearnSGDClassifier
    dumped.seek(0)
    assert type(joblib.load(dumped)).__module__ == "sklearn.linear_model._perceptron"


def class_module_and_state(estimator):
    return type(estimator).__module__.partition(".")[0], estimator.alpha


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_workers_receive_both_kinds(patched, backend):
    ours, theirs = patched.SGDClassifier(alpha=0.5), SklearnSGDClassifier(alpha=0.25)
    received = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(class_module_and_state)(estimator) for estimator in (ours, theirs)
    )
    assert received == [("fastml", 0.5), ("sklearn", 0.25)]


def test_grid_search_over_worker_processes(patched):
    search = GridSearchCV(patched.SGDClassifier(random_state=0), {"alpha": [1e-4, 1e-2]}, n_jobs=2, cv=2)
    assert type(search.fit(*IRIS).best_estimator_) is fastml.linear_model.SGDClassifier


def test_fits_in_sklearn_are_logged_once_with_the_reason(patched, info):
    RandomForestClassifier(n_estimators=3).fit(*IRIS)
    assert info() == ["RandomForestClassifier.fit ran in scikit-learn: fastml has no RandomForestClassifier"]


def test_a_class_imported_before_the_patch_is_logged_as_such(patched, info):
    SklearnSGDClassifier(max_iter=1000).fit(*IRIS)
    (message,) = info()
    assert message.startswith("SGDClassifier.fit ran in scikit-learn: the class is scikit-learn's")


def test_users_subclasses_are_logged_by_what_they_derive_from(patched, info):
    class Scaler(StandardScaler):
        pass

    class Own(BaseEstimator):
        def fit(self, X, y=None):
            return self

    Scaler().fit(IRIS[0])
    Own().fit(IRIS[0])
    assert info() == ["Scaler.fit ran in scikit-learn: fastml has no StandardScaler"]


def test_fastml_fits_inside_sklearns(patched, info):
    make_pipeline(StandardScaler(), patched.SGDClassifier(random_state=0)).fit(*IRIS)
    messages = info()
    assert "Pipeline.fit ran in scikit-learn: fastml has no Pipeline" in messages
    assert [m for m in messages if m.startswith("SGDClassifier")] == [
        "SGDClassifier.fit ran in fastml on cpu"
    ]


def test_bad_parameters_are_not_logged_as_a_fit(patched, info):
    with pytest.raises(ValueError, match="n_estimators"):
        RandomForestClassifier(n_estimators=-1).fit(*IRIS)
    assert info() == []


def test_nothing_is_logged_without_the_patch(info):
    fastml.patch_sklearn()
    fastml.unpatch_sklearn()
    StandardScaler().fit(IRIS[0])
    assert info() == []


def test_verbose_prints_until_unpatched(capsys):
    fastml.patch_sklearn(verbose=True)
    fastml.patch_sklearn(verbose=True)
    StandardScaler().fit(IRIS[0])
    fastml.unpatch_sklearn()
    StandardScaler().fit(IRIS[0])
    expected = "fastml: StandardScaler.fit ran in scikit-learn: fastml has no StandardScaler\n"
    assert capsys.readouterr().err == expected
    assert logging.getLogger("fastml").level == logging.NOTSET


def test_importing_fastml_configures_no_logging():
    code = (
        "import logging, fastml; logger = logging.getLogger('fastml')\n"
        "print(logging.root.handlers, logger.level, [type(h).__name__ for h in logger.handlers])"
    )
    assert output_of(code) == "[] 0 ['NullHandler']"
