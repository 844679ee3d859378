"""``import fastml`` costs next to nothing: what is heavy is imported at first need."""

import pkgutil
import sys

import pytest
from fresh_interpreter import output_of

import fastml


def test_import_loads_nothing_beyond_numpy_and_sklearn():
    code = (
        "import sys, numpy, sklearn\nbefore = {m.partition('.')[0] for m in sys.modules}\nimport fastml\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules} - before))"
    )
    added = set(output_of(code).split())
    assert "fastml" in added
    assert added - sys.stdlib_module_names == {"fastml"}


def test_import_alone_loads_no_third_party_package():
    code = (
        "import sys; before = {*sys.modules}; import fastml\n"
        "print(*{m.partition('.')[0] for m in {*sys.modules} - before})"
    )
    # multiprocessing's second name for the main module is in no list of the standard library.
    assert set(output_of(code).split()) - sys.stdlib_module_names == {"fastml", "__mp_main__"}


def test_submodules_are_attributes_at_first_use():
    submodules = {module.name for module in pkgutil.iter_modules(fastml.__path__) if module.name[0] != "_"}
    assert "linear_model" in submodules
    assert submodules | set(fastml.__all__) == set(dir(fastml))
    assert output_of("import fastml; print(fastml.linear_model.__name__)") == "fastml.linear_model"


def test_all_is_there():
    for name in fastml.__all__:
        assert getattr(fastml, name) is not None
    assert fastml.Loss is fastml.Loss


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="module 'fastml' has no attribute 'SGDClassifier'"):
        fastml.SGDClassifier  # noqa: B018
