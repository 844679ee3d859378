"""Functions of the user's in float32, as built-in ones are computed on float32 rows.

What Numba infers of ``s = 0.0`` is float64, and of all that is added to it: on float32 rows twice the vectors, and
conversions besides. In ``in_single_precision`` a function's numbers are float32: those in its code, those that it takes
from around it, and those of the functions that it calls.
"""

import inspect
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np

from fastml._user_functions import is_compiled


def in_single_precision(python: FunctionType) -> FunctionType:
    """The function with its float64 numbers rounded to float32; itself if that would make one zero or infinite.

    Parameters
    ----------
    python : function
        That ``numba.njit`` compiles. The functions that it calls are converted if they are Numba's.
    """
    try:
        return _function(python, {})
    except OverflowError:
        return python


def _function(python: FunctionType, made: dict[FunctionType, Any]) -> FunctionType:
    code = python.__code__
    names = inspect.getclosurevars(python)
    module = dict(python.__globals__)
    # Before what it calls is looked at: that may call it.
    closure = tuple(CellType() for _ in code.co_freevars)
    single = FunctionType(_code(code), module, python.__name__, None, closure or None)
    made[python] = single
    module.update((name, _value(value, made)) for name, value in names.globals.items())
    for name, cell in zip(code.co_freevars, closure, strict=True):
        cell.cell_contents = _value(names.nonlocals[name], made)
    single.__defaults__ = _value(python.__defaults__, made)
    return single


def _code(code: CodeType) -> CodeType:
    return code.replace(co_consts=tuple(_value(constant, {}) for constant in code.co_consts))


def _value(value: Any, made: dict[FunctionType, Any]) -> Any:
    if isinstance(value, float):  # of NumPy's, too
        return _number(value)
    if type(value) is tuple:
        return tuple(_value(one, made) for one in value)
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return np.array([_number(number) for number in value.ravel().tolist()], np.float32).reshape(
            value.shape
        )
    if is_compiled(value):
        return _compiled(value, made)
    return value


def _compiled(dispatcher: Any, made: dict[FunctionType, Any]) -> Any:
    import numba

    python = dispatcher.py_func
    if python in made:
        single = made[python]
        return numba.njit(single) if isinstance(single, FunctionType) else single
    single = numba.jit(**dispatcher.targetoptions)(_function(python, made))
    made[python] = single
    return single


def _number(value: float) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(value)
    if np.isfinite(value) and value != 0.0 and not (np.isfinite(single) and single != 0.0):
        raise OverflowError(value)
    return single
