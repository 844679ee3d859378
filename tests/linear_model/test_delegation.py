"""No fit of fastml.linear_model runs in scikit-learn, as docs/architecture.md says."""

import inspect
import logging
import warnings
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse

import fastml.linear_model

DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"

# Where scikit-learn's fits are computed, and what other code of its might be asked to do one.
FITTING = {
    "sklearn.linear_model._base": ("_preprocess_data", "make_dataset"),
    "sklearn.linear_model._ridge": ("_ridge_regression", "sag_solver"),
    "sklearn.linear_model._logistic": ("_logistic_regression_path", "_fit_liblinear", "sag_solver"),
    "sklearn.linear_model._stochastic_gradient": ("fit_binary",),
    "sklearn.model_selection._search": ("BaseSearchCV.fit",),
}

TWINS = sorted(set(fastml.linear_model.__all__) & set(sklearn.linear_model.__all__))

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3))
Y = (X[:, 0] + 0.3 * rng.standard_normal(40) > 0).astype(int)

# Beside the solvers that an estimator's parameter constraints name.
OTHER_PARAMETERS = {
    "LogisticRegression": [{"l1_ratio": 0.0}, {"l1_ratio": 1.0}],
    "LogisticRegressionCV": [
        {"Cs": 2, "cv": 2, "l1_ratios": (share,), "scoring": "accuracy", "use_legacy_attributes": False}
        for share in (0.0, 1.0)
    ],
    "Ridge": [{}, {"positive": True}, {"fit_intercept": False}],
    "RidgeClassifier": [{}, {"positive": True}, {"fit_intercept": False}],
    "RidgeCV": [{}, {"cv": 2}, {"gcv_mode": "svd"}],
    "RidgeClassifierCV": [{}, {"cv": 2}],
    "LinearRegression": [{}, {"positive": True}],
}


def solvers_of(name):
    (constraint,) = [getattr(fastml.linear_model, name)._parameter_constraints.get("solver", [])]
    return sorted(set().union(*(options.options for options in constraint))) or [None]


def configurations():
    for name in TWINS:
        for solver, others in product(solvers_of(name), OTHER_PARAMETERS.get(name, [{}])):
            yield name, solver, others


@pytest.fixture
def ran_in_sklearn(monkeypatch):
    """Names of scikit-learn's functions that were called, fits of its classes included."""
    called = []

    def record(owner, name, label):
        original = getattr(owner, name)
        wrapped = lambda *args, **kwargs: (called.append(label), original(*args, **kwargs))[1]  # noqa: E731
        monkeypatch.setattr(owner, name, wrapped)

    for module, names in FITTING.items():
        for name in names:
            owner = import_module(module)
            for part in name.split(".")[:-1]:
                owner = getattr(owner, part)
            record(owner, name.rpartition(".")[2], name)
    for name in TWINS:
        for parent in getattr(sklearn.linear_model, name).__mro__:
            if "fit" in vars(parent) and not inspect.isabstract(parent):
                record(parent, "fit", f"{parent.__name__}.fit")
    return called


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_no_fit_runs_in_scikit_learn(ran_in_sklearn, caplog, storage):
    caplog.set_level(logging.INFO, logger="fastml")
    fitted = set()
    for name, solver, others in configurations():
        ran_in_sklearn.clear()
        caplog.clear()
        parameters = others if solver is None else {**others, "solver": solver}
        estimator = getattr(fastml.linear_model, name)(**parameters)
        target = () if name == "SGDOneClassSVM" else (Y,)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                estimator.fit(storage(X), *target)
            except (ValueError, TypeError):  # a pair that there is not: an l1 penalty by lbfgs
                continue
        fitted.add((name, solver))
        assert ran_in_sklearn == [], (name, parameters)
        assert [record.getMessage() for record in caplog.records] == [f"{name}.fit ran in fastml on cpu"]
    everything = {(name, solver) for name, solver, _ in configurations()}
    # No singular values, nor non-negative least squares, are to be had of sparse rows.
    assert fitted == everything if storage is np.asarray else len(fitted) > len(everything) // 2


def test_scikit_learns_own_fits_are_recorded(ran_in_sklearn):
    """The record that the test above finds empty does fill."""
    for solver in ("liblinear", "saga"):
        sklearn.linear_model.LogisticRegression(solver=solver, max_iter=1000).fit(X, Y)
    assert {"_fit_liblinear", "sag_solver", "LogisticRegression.fit"} <= set(ran_in_sklearn)


def test_the_docs_say_so():
    assert (
        "no fit of `fastml.linear_model` runs in scikit-learn" in " ".join(DOCS.read_text().split()).lower()
    )
