"""Names of layers, losses, optimizers: the class's in snake case, and a number from the second of a kind on."""

import re
from collections import Counter
from collections.abc import Iterable

from fastml.keras._locks import ForkSafeLock

_uses: Counter[str] = Counter()
_lock = ForkSafeLock()


def to_snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def by_name(classes: Iterable[type]) -> dict[str, type]:
    """Classes by their names, and by these in snake case."""
    return {name: cls for cls in classes for name in (cls.__name__, to_snake_case(cls.__name__))}


def auto_name(class_name: str) -> str:
    """A name that no other object of this class has been given."""
    name = to_snake_case(class_name)
    with _lock:
        number = _uses[name]
        _uses[name] += 1
    return f"{name}_{number}" if number else name


def reset_names() -> None:
    _uses.clear()
