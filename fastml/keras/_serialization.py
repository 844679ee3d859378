"""Objects as dictionaries, and back, in the form that Keras 3 writes to files.

An object of a class that a file names by Keras' module and name becomes one of this package's class of that name; any
other name is refused. Nothing in a dictionary is executed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_PLAIN = (str, int, float, bool, type(None))

_classes: dict[str, type] = {}
_functions: dict[str, Callable] = {}
# What else names stand for, in all that is being made of one configuration.
_custom_objects: ContextVar[dict[str, Any]] = ContextVar("custom_objects", default={})  # noqa: B039


def public(module: str, *aliases: str) -> Callable[[Any], Any]:
    """Decorator: give a class or function a name that files know it by, ``keras.layers.Dense`` for one."""

    def register(target: Any) -> Any:
        names = _classes if isinstance(target, type) else _functions
        for name in (target.__name__, *aliases):
            names[f"{module}.{name}"] = target
        target.keras_module = module
        return target

    return register


def serialize_keras_object(obj: Any) -> Any:
    """``obj`` in the terms of JSON: plain values, lists, and dictionaries that name a class and its arguments.

    Raises
    ------
    TypeError
        If it is no object of this package.
    """
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, list | tuple):
        return type(obj)(serialize_keras_object(value) for value in obj)
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if getattr(obj, "keras_module", None) is None:
        raise TypeError(f"Cannot serialize object {obj} of type {type(obj)}: it is none of fastml.keras.")
    if not hasattr(obj, "get_config"):
        return _description(obj.keras_module, "function", obj.__name__, obj.__name__)
    described = _description(
        obj.keras_module, type(obj).__name__, serialize_keras_object(obj.get_config()), None
    )
    for part in ("build_config", "compile_config"):
        getter = getattr(obj, f"get_{part}", None)
        config = None if getter is None else getter()
        if config is not None:
            described[part] = serialize_keras_object(config)
    return described


def _description(module: str, class_name: str, config: Any, registered_name: str | None) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered_name,
    }


@contextmanager
def _known(custom_objects: dict[str, Any] | None) -> Iterator[None]:
    token = _custom_objects.set({**_custom_objects.get(), **(custom_objects or {})})
    try:
        yield
    finally:
        _custom_objects.reset(token)


def deserialize_keras_object(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The object that ``serialize_keras_object`` describes.

    Parameters
    ----------
    config : object
    custom_objects : dict of str to class or function, optional
        What else names may stand for, however deep in ``config``.

    Raises
    ------
    ValueError
        For a class or function that this package does not have; Lambda layers and pickled functions among them.
    """
    if isinstance(config, (*_PLAIN, np.ndarray, np.generic)):
        return config
    if isinstance(config, list | tuple):
        return type(config)(deserialize_keras_object(value, custom_objects) for value in config)
    if not isinstance(config, dict):
        raise TypeError(f"Could not parse config: {config}")
    if "class_name" not in config or "config" not in config:
        return {key: deserialize_keras_object(value, custom_objects) for key, value in config.items()}
    if config["class_name"] == "__numpy__":
        dtype = np.dtype(config["config"]["dtype"])
        if dtype.kind not in "biuf":
            # The length of a string is part of its dtype: of any size, for one that is empty.
            raise ValueError(f"Arrays must be of numbers. Received: dtype={dtype}")
        return np.array(config["config"]["value"], dtype=dtype)
    with _known(custom_objects):
        return _made(config)


def _made(config: dict[str, Any]) -> Any:
    target = _find(config)
    if not isinstance(target, type):
        return target
    instance = target.from_config(dict(config["config"] or {}))  # type: ignore[attr-defined]
    build_config = config.get("build_config")
    if build_config and not getattr(instance, "built", True):
        instance.build_from_config(build_config)
    if config.get("compile_config"):
        instance.compile_from_config(config["compile_config"])
    return instance


def _find(config: dict[str, Any]) -> Any:
    is_function = config["class_name"] == "function"
    name = config["config"] if is_function else config["class_name"]
    if name in _custom_objects.get():
        return _custom_objects.get()[name]
    found = (_functions if is_function else _classes).get(f"{config.get('module')}.{name}")
    if found is None:
        if name in ("Lambda", "__lambda__"):
            raise ValueError(
                "The file has a Lambda layer or function, which is a program. fastml.keras does not run programs from "
                "files."
            )
        raise ValueError(
            f"Could not locate {'function' if is_function else 'class'} '{name}' of module "
            f"'{config.get('module')}': fastml.keras does not have it. Full object config: {config}"
        )
    return found


class Names:
    """What the strings of one argument stand for: classes and functions of one module.

    Parameters
    ----------
    kind : str
        For messages: "loss".
    objects : dict of str to class or function
    """

    def __init__(self, kind: str, objects: dict[str, Any]):
        self.kind, self.objects = kind, objects

    def get(self, identifier: Any) -> Any:
        """The object that an argument stands for: a name, a dictionary, a class, or the object itself.

        Raises
        ------
        ValueError
            If it stands for none.
        """
        found = identifier
        if isinstance(identifier, dict):
            found = self.deserialize(identifier)
        elif isinstance(identifier, str):
            found = self.objects.get(identifier)
        if found is None or isinstance(found, str) or not callable(found):
            raise ValueError(f"Could not interpret {self.kind} identifier: {identifier}")
        return found() if isinstance(found, type) else found

    def deserialize(self, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        if isinstance(config, str):
            found = (custom_objects or {}).get(config, self.objects.get(config))
            return found() if isinstance(found, type) else found
        if isinstance(config, dict) and "module" not in config and config.get("class_name") in self.objects:
            found = self.objects[config["class_name"]]
            return found.from_config(dict(config.get("config") or {}))
        return deserialize_keras_object(config, custom_objects)
