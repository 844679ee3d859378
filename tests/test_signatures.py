"""A fastml estimator looks like its scikit-learn twin: signatures, parameters, deprecations, attributes."""

import inspect
import numbers
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sklearn.base import BaseEstimator, is_outlier_detector, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn_twins import find_twins

TWINS = find_twins()
each_twin = pytest.mark.parametrize("twin", TWINS, ids=str)

# Where a construction or a fit warns is compared below; elsewhere a twin's own warnings are of no interest.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_there_are_twins():
    assert TWINS


@each_twin
def test_ours_is_a_subclass_of_the_same_name(twin):
    assert issubclass(twin.ours, twin.theirs)
    assert twin.ours is not twin.theirs
    assert twin.ours.__name__ == twin.name
    assert twin.ours.__module__.startswith(f"fastml.{twin.family}")


@each_twin
def test_constructor_has_the_same_signature(twin):
    assert parameters(twin.ours.__init__) == parameters(twin.theirs.__init__)
    assert parameters(twin.ours) == parameters(twin.theirs)


@each_twin
def test_methods_have_the_same_signatures(twin):
    ours, theirs = (
        {name: parameters(method) for name, method in public_methods(cls)} for cls in (twin.ours, twin.theirs)
    )
    assert ours == theirs


@each_twin
def test_parameters_are_equal(twin):
    assert twin.ours().get_params() == twin.theirs().get_params()


@each_twin
def test_construction_and_fit_deprecate_the_same(twin):
    assert deprecations(lambda: fitted(twin.ours)) == deprecations(lambda: fitted(twin.theirs))


@each_twin
def test_documented(twin):
    assert inspect.cleandoc(twin.ours.__doc__ or "")
    assert [name for name, method in public_methods(twin.ours) if not inspect.getdoc(method)] == []


@each_twin
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fitted_attributes_are_of_the_same_names_and_kinds(twin, dtype):
    assert fitted_attributes(fitted(twin.ours, dtype)) == fitted_attributes(fitted(twin.theirs, dtype))


def parameters(function: Callable) -> list[tuple[str, str, object]]:
    """Name, kind and default of each parameter; annotations may differ."""
    signature = inspect.signature(function)
    return [(name, str(p.kind), p.default) for name, p in signature.parameters.items()]


def public_methods(cls: type) -> Iterator[tuple[str, Callable]]:
    for name in dir(cls):
        if not name.startswith("_") and callable(getattr(cls, name)):
            yield name, getattr(cls, name)


def fitted(cls: type, dtype: type = np.float64) -> BaseEstimator:
    """``cls`` with its defaults, fitted on sixty rows of the data that it is made for."""
    estimator = cls()
    X, y = (load_diabetes if is_regressor(estimator) else load_iris)(return_X_y=True)
    rows = slice(None, None, len(X) // 60)
    X, y = X[rows].astype(dtype), y[rows]
    return estimator.fit(X) if is_outlier_detector(estimator) else estimator.fit(X, y)


def deprecations(action: Callable[[], object]) -> list[tuple[type, str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    deprecating = (FutureWarning, DeprecationWarning)
    return [(w.category, str(w.message)) for w in caught if issubclass(w.category, deprecating)]


def fitted_attributes(estimator: BaseEstimator) -> dict[str, tuple | str]:
    """The kind of every public attribute that a fit has left, properties included."""
    names = [name for name in dir(estimator) if name.endswith("_") and not name.startswith("_")]
    return {name: kind(getattr(estimator, name)) for name in names if hasattr(estimator, name)}


def kind(value: object) -> tuple | str:
    """What a user's code may rely on: an array's dtype and dimensions, a number's sort, else the type."""
    if isinstance(value, np.ndarray):
        return "array", value.dtype, value.ndim
    if isinstance(value, numbers.Integral):
        return "integer"
    return "real" if isinstance(value, numbers.Real) else type(value).__name__
