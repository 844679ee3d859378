"""fastml.Loss: what it takes, and when two are the same."""

import copy
import ctypes
import pickle

import numpy as np
import pytest
from fresh_interpreter import output_of, run
from numba import njit

from fastml import Loss

C_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)


def plain(y, margin):
    return 0.5 * (margin - y) ** 2


@njit
def value(y, margin):
    return 0.5 * (margin - y) ** 2


@njit
def derivative(y, margin):
    return margin - y


@njit
def identity(margin):
    return margin


def scaled(factor):
    """Losses that differ in nothing but a number of their closure."""

    @njit
    def scaled_value(y, margin):
        return factor * (margin - y) ** 2

    @njit
    def scaled_derivative(y, margin):
        return 2.0 * factor * (margin - y)

    return Loss(scaled_value, scaled_derivative)


@pytest.mark.parametrize("bad", [plain, lambda y, margin: 0.0, "hinge", 3, None])
@pytest.mark.parametrize("name", ["value", "derivative"])
def test_a_function_that_is_not_jitted(name, bad):
    with pytest.raises(TypeError, match=f"{name} must be a function decorated with numba.njit; got"):
        Loss(**{"value": value, "derivative": derivative, name: bad})


@pytest.mark.parametrize("bad", [plain, "hinge", 3])
@pytest.mark.parametrize("name", ["second_derivative", "inverse_link"])
def test_an_optional_function_that_is_not_jitted(name, bad):
    with pytest.raises(TypeError, match=f"{name} must be a function decorated with numba.njit; got"):
        Loss(value, derivative, **{name: bad})


def test_a_function_that_is_not_jitted_where_numba_has_not_been_imported():
    finished = run("-c", "from fastml import Loss\nLoss(max, min)")
    assert "TypeError: value must be a function decorated with numba.njit" in finished.stderr


@pytest.mark.parametrize("lipschitz", [0.0, -1.0, np.nan])
def test_lipschitz_that_is_not_positive(lipschitz):
    with pytest.raises(ValueError, match="lipschitz must be a positive number or None; got"):
        Loss(value, derivative, lipschitz=lipschitz)


def test_compiled_functions_are_called_by_their_address():
    loss = Loss(value, derivative)
    assert C_FUNCTION(loss.value_address)(1.0, 4.0) == 4.5
    assert C_FUNCTION(loss.derivative_address)(1.0, 4.0) == 3.0


@pytest.mark.parametrize(
    "body", ["return 'text'", "return y.margin", "return undefined_name"], ids=["text", "attribute", "name"]
)
@pytest.mark.parametrize("name", ["value", "derivative"])
def test_a_function_that_does_not_compile_is_named(name, body):
    scope = {}
    exec(f"def bad(y, margin):\n    {body}", scope)
    loss = Loss(**{"value": value, "derivative": derivative, name: njit(scope["bad"])})
    with pytest.raises(TypeError, match=f"{name} must compile as a function of two float64"):
        getattr(loss, f"{name}_address")


def test_a_division_by_zero_is_no_exception():
    reciprocal = njit(lambda y, margin: y / margin)
    assert C_FUNCTION(Loss(reciprocal, derivative).value_address)(1.0, 0.0) == np.inf


def test_equal_by_their_functions():
    assert scaled(2.0) == scaled(2.0)
    assert hash(scaled(2.0)) == hash(scaled(2.0))
    assert scaled(2.0) is not scaled(2.0)


@pytest.mark.parametrize(
    "other",
    [
        Loss(derivative, value),
        Loss(value, value),
        Loss(value, derivative, second_derivative=value),
        Loss(value, derivative, inverse_link=identity),
        Loss(value, derivative, lipschitz=1.0),
        "squared_error",
        None,
    ],
)
def test_different_by_any_part(other):
    assert Loss(value, derivative) != other


def test_different_by_closure():
    assert scaled(2.0) != scaled(3.0)


@pytest.mark.parametrize(
    "make_copy", [copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))]
)
@pytest.mark.parametrize("is_compiled", [False, True])
def test_copies_are_equal_and_work(make_copy, is_compiled):
    loss = Loss(value, derivative, inverse_link=identity, lipschitz=1.0)
    if is_compiled:
        assert loss.value_address
    copied = make_copy(loss)
    assert copied == loss
    assert hash(copied) == hash(loss)
    assert copied.lipschitz == 1.0
    assert copied.inverse_link(3.0) == 3.0
    assert copied.derivative_address


def test_pickled_for_another_process(tmp_path):
    """A function of a script goes by value: the process that reads it has no such script."""
    write = (
        "import pickle\nfrom numba import njit\nfrom fastml import Loss\n"
        "value = njit(lambda y, margin: margin - y)\n"
        f"pickle.dump(Loss(value, value), open({str(tmp_path / 'loss')!r}, 'wb'))\n"
    )
    read = f"import pickle\nprint(pickle.load(open({str(tmp_path / 'loss')!r}, 'rb')).value(1.0, 3.0))\n"
    output_of(write)
    assert output_of(read) == "2.0"


def test_representation():
    assert repr(Loss(value, derivative)) == "Loss(value, derivative)"
