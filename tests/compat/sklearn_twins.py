"""fastml's estimators, each beside the scikit-learn class of the same name.

Found, not listed: an estimator enters every test that asks for its twin by standing in its family's
``__all__``.
"""

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from sklearn.base import BaseEstimator

import fastml


@dataclass(frozen=True)
class Twin:
    """One estimator: ``family`` is the package that has it in both libraries, such as ``linear_model``."""

    family: str
    name: str
    ours: type
    theirs: type

    def __str__(self):
        return self.name


def find_twins() -> list[Twin]:
    """Every public estimator of fastml that scikit-learn has too, in order of family and name.

    scikit-learn's classes are read when this is called, so call it before anything is patched.
    """
    return [twin for family in _shared_families() for twin in _twins_of(family)]


def _shared_families() -> list[str]:
    packages = [module.name for module in pkgutil.iter_modules(fastml.__path__) if module.ispkg]
    return sorted(name for name in packages if find_spec(f"sklearn.{name}") is not None)


def _twins_of(family: str) -> list[Twin]:
    ours, theirs = import_module(f"fastml.{family}"), import_module(f"sklearn.{family}")
    return [
        Twin(family, name, getattr(ours, name), getattr(theirs, name))
        for name in sorted(_public_estimators(ours))
        if hasattr(theirs, name)
    ]


def _public_estimators(module: ModuleType) -> list[str]:
    public = {name: getattr(module, name) for name in module.__all__}
    return [
        name for name, value in public.items() if isinstance(value, type) and issubclass(value, BaseEstimator)
    ]
