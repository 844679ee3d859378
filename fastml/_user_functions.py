"""What objects have in common that are made of the user's compiled functions: equality, copies, and what is checked."""

import inspect
import sys
from abc import ABC, abstractmethod
from typing import Any


class UserFunctions(ABC):
    """Equal by its functions' code and numbers; pickled without machine code.

    Machine code stands in attributes whose names begin with ``_compiled``: it stays behind, and the functions are
    compiled anew where they are unpickled.
    """

    @abstractmethod
    def _functions(self) -> tuple[Any, ...]:
        """The functions; None stands for one that was not given."""

    def _numbers(self) -> tuple[Any, ...]:
        """What besides its functions makes it what it is."""
        return ()

    def _key(self) -> tuple[Any, ...]:
        return tuple(_function_key(f) for f in self._functions()) + self._numbers()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserFunctions) and type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_compiled")}


def check_compiled(name: str, function: Any) -> None:
    """Raise a TypeError if ``function`` is not decorated with ``numba.njit``."""
    if not is_compiled(function):
        raise TypeError(f"{name} must be a function decorated with numba.njit; got {function!r}.")


def is_compiled(function: Any) -> bool:
    # Numba takes half a second to import: a function that it has not seen is none of its.
    dispatcher = sys.modules.get("numba.core.dispatcher")
    return dispatcher is not None and isinstance(function, dispatcher.Dispatcher)


def _function_key(function: Any, inside: tuple[Any, ...] = ()) -> Any:
    """What makes two functions the same: their code and the values that Numba compiles into it, not the object.

    ``inside`` is the code of the functions whose keys this is a part of. One may be among them again: it calls
    itself, or names an attribute, ``np.exp``, as a function of its module is called.
    """
    if function is None:
        return None
    python = function.py_func
    if python.__code__ in inside:
        return python.__code__
    inside = (*inside, python.__code__)
    names = inspect.getclosurevars(python)
    values = {**names.globals, **names.nonlocals}
    return (
        python.__code__,
        python.__defaults__,
        tuple((name, _frozen(values[name], inside)) for name in sorted(values)),
    )


def _frozen(value: Any, inside: tuple[Any, ...]) -> Any:
    if is_compiled(value):
        return _function_key(value, inside)
    if hasattr(value, "tobytes"):  # an array
        return value.dtype.str, value.shape, value.tobytes()
    return value
