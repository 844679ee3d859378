"""How far training has come, in terms of JSON: what Keras' own files have no place for.

Epoch and step, the generators, the metrics of an epoch under way, and what callbacks remember.
"""

import base64
import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastml.keras.random import (
    SeedGenerator,
    set_unseeded_generator,
    shuffling_generator,
    unseeded_generator,
)

VERSION = 1
_DTYPES = ("bool", "uint8", "uint32", "int32", "int64", "uint64", "float32", "float64")


def training_state(model: Any) -> dict[str, Any]:
    """All of it, for a model in ``fit`` or after it."""
    progress = model.progress
    state: dict[str, Any] = {
        "version": VERSION,
        "epoch": progress.epoch,
        "step": progress.step,
        "stop_training": bool(model.stop_training),
        "generators": _generators(model),
        "pass": None if progress.epochs is None else progress.epochs.position(),
        "metrics": [],
        "callbacks": [],
    }
    if progress.step:
        state["metrics"] = [_encoded(v.value) for metric in model.metrics for v in metric.variables]
    for name, callback in _named_callbacks(progress.callbacks):
        values = {key: _encoded(getattr(callback, key)) for key in callback.remembered}
        state["callbacks"].append({"name": name, "state": values})
    return state


def restore_training(model: Any, state: Any, path: str) -> None:
    """Go on from there, but for the model's own variables, which are elsewhere.

    For a model whose ``fit`` has begun: all is made that is set here.

    Raises
    ------
    ValueError
        If the state is of another model or training, or is none.
    """
    with Reading(path):
        _check_version(state)
        progress = model.progress
        progress.epoch, progress.step = _count(state["epoch"]), _count(state["step"])
        restore_generators(model, state["generators"])
        _restore_global_generators(state["generators"])
        if state["pass"] is not None:
            progress.epochs.resume(state["pass"], progress.step)
        restore_callbacks(model, state)
        model.stop_training = bool(state["stop_training"])


def restore_epoch(model: Any, state: Any, path: str) -> None:
    """Go on within an epoch, after callbacks have been told that it begins: what they did then was done before."""
    with Reading(path):
        restore_generators(model, state["generators"])
        _restore_global_generators(state["generators"])
        variables = [v for metric in model.metrics for v in metric.variables]
        if len(variables) != len(state["metrics"]):
            raise ValueError("the metrics are others")
        for variable, encoded in zip(variables, state["metrics"]):
            variable.assign(_decoded(encoded))
        restore_callbacks(model, state)


class Reading:
    """What does not go well in the block is the file's fault."""

    def __init__(self, path: str):
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | OverflowError | AttributeError | IndexError):
            raise ValueError(f"'{self.path}' does not fit the training at hand: {error}") from error


def _check_version(state: Any) -> None:
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ValueError(f"its training state is not of version {VERSION}")


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} counts nothing")
    return value


# Generators


def _seed_generators(model: Any) -> Iterator[SeedGenerator]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _seed_generators(layer)
        elif hasattr(layer, "seed_generator"):
            yield layer.seed_generator


def _generators(model: Any) -> dict[str, Any]:
    version, words, gauss = random.getstate()
    unseeded = unseeded_generator()
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - what callbacks and generators of batches draw from
    return {
        "layers": [generator.state.value.tolist() for generator in _seed_generators(model)],
        "shuffling": shuffling_generator().state.value.tolist(),
        "unseeded": None if unseeded is None else unseeded.state.value.tolist(),
        "python": [version, list(words), gauss],
        "numpy": [numpy_state[0], _encoded(numpy_state[1]), *numpy_state[2:]],
    }


def seed_and_counter(values: Any) -> np.ndarray:
    """A generator's state, from a list of two."""
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"{values!r} is no state of a generator")
    if not all(isinstance(value, int) and 0 <= value < 2**64 for value in values):
        raise ValueError(f"{values!r} is no state of a generator")
    return np.array(values, dtype=np.uint64)


def restore_generators(model: Any, generators: Any) -> None:
    """Those of the model's layers."""
    own = list(_seed_generators(model))
    if len(own) != len(generators["layers"]):
        raise ValueError(f"{len(own)} layers draw random numbers, {len(generators['layers'])} of the file")
    for generator, values in zip(own, generators["layers"]):
        generator.state.assign(seed_and_counter(values))


def _restore_global_generators(generators: Any) -> None:
    shuffling_generator().state.assign(seed_and_counter(generators["shuffling"]))
    _restore_unseeded(generators.get("unseeded"))  # which older files lack
    version, words, gauss = generators["python"]
    random.setstate((version, tuple(words), gauss))
    name, words, *rest = generators["numpy"]
    np.random.set_state((name, _decoded(words), *rest))  # noqa: NPY002


def _restore_unseeded(values: Any) -> None:
    if values is None:
        set_unseeded_generator(None)
        return
    generator = SeedGenerator(0)
    generator.state.assign(seed_and_counter(values))
    set_unseeded_generator(generator)


# Callbacks


def _named_callbacks(callbacks: Any) -> Iterator[tuple[str, Any]]:
    """Those that remember something, by class and place among those of the class."""
    uses: Counter[str] = Counter()
    for callback in () if callbacks is None else callbacks.callbacks:
        name = type(callback).__name__
        if getattr(callback, "remembered", ()):
            yield f"{name}/{uses[name]}", callback
            uses[name] += 1


def restore_callbacks(model: Any, state: Any) -> None:
    """Give callbacks back what they remembered; one that the file does not know begins anew."""
    known = {entry["name"]: entry["state"] for entry in state["callbacks"]}
    for name, callback in _named_callbacks(model.progress.callbacks):
        values = known.get(name, {})
        for key in callback.remembered:
            if key in values:
                setattr(callback, key, _decoded(values[key]))


# Values


def _encoded(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes())
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data.decode()}
    if isinstance(value, list | tuple):
        return [_encoded(element) for element in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(
        f"A callback can remember numbers, strings, arrays and lists of these. Received: {value!r}"
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(element) for element in value]
    if not isinstance(value, dict):
        return value
    if value["dtype"] not in _DTYPES:
        raise ValueError(f"{value['dtype']!r} is no dtype of a saved array")
    dtype, shape = np.dtype(value["dtype"]), tuple(_count(size) for size in value["shape"])
    data = base64.b64decode(value["data"], validate=True)
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} has {len(data)} bytes")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
