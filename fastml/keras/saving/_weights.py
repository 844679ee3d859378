"""The HDF5 file of weights, in Keras' layout: ``layers/dense_1/vars/0``.

A layer's group is named after its class and its place among the layers of that class: names that users give do not
matter. The optimizer's variables are in ``optimizer/vars``.
"""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastml.keras._naming import to_snake_case
from fastml.keras.saving._archive import FREE_BYTES, MAX_EXPANSION

MAX_OBJECTS = 100_000


def require_h5py() -> Any:
    """The module h5py.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return import_module("h5py")
    except ImportError as error:
        raise ImportError(
            "Models are saved in HDF5 files, for which h5py is needed: pip install fastml[keras]"
        ) from error


class Owner(NamedTuple):
    """What has variables: a layer, or the optimizer.

    Attributes
    ----------
    path : str
        Of its group; "" for the model itself.
    """

    path: str
    owner: Any
    variables: Sequence[Any]


def owners(model: Any) -> Iterator[Owner]:
    """Whatever has a group in a model's file."""
    yield from _owners_of_layers(model, "")
    if model.compiled and model.optimizer is not None:
        yield Owner("optimizer", model.optimizer, model.optimizer.variables)


def _owners_of_layers(model: Any, path: str) -> Iterator[Owner]:
    yield Owner(path, model, [])
    uses: Counter[str] = Counter()
    for layer in model.layers:
        kind = to_snake_case(type(layer).__name__)
        name = f"{kind}_{uses[kind]}" if uses[kind] else kind
        uses[kind] += 1
        inner = f"{path}/layers/{name}" if path else f"layers/{name}"
        if hasattr(layer, "layers"):
            yield from _owners_of_layers(layer, inner)
            continue
        yield Owner(inner, layer, layer.weights)
        activation: Any = getattr(layer, "activation", None)
        if hasattr(activation, "weights"):  # a layer
            yield Owner(f"{inner}/activation", activation, activation.weights)


def write_weights(model: Any, file: BinaryIO) -> None:
    """Write all variables of a model, and of its optimizer."""
    with require_h5py().File(file, "w") as h5:
        for path, owner, variables in owners(model):
            group = h5.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = owner.name
            for number, variable in enumerate(variables):
                group[str(number)] = variable.value


class WeightsFile:
    """Such a file, open for reading.

    Parameters
    ----------
    file : binary file
    path : str
        For messages.
    size : int
        Of the file.

    Attributes
    ----------
    n_bytes : int
        What all its arrays take in memory.

    Raises
    ------
    ValueError
        If it is no HDF5 file, if it has links, or if it declares arrays that it does not hold.
    """

    def __init__(self, file: BinaryIO, path: str, size: int):
        self._h5py = require_h5py()
        self.path = path
        try:
            self._file = self._h5py.File(file, "r")
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"'{path}' has no weights that can be read, in an HDF5 file: {error}") from error
        try:
            self.n_bytes = self._measured(size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "WeightsFile":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._file.close()

    def _measured(self, size: int) -> int:
        """The size of all arrays, which a few bytes could declare as anything."""
        # What a visitor returns ends the visit; exceptions do not get through h5py here.
        link = self._file.visititems_links(self._elsewhere)
        if link is not None:
            raise ValueError(f"'{self.path}' is not loaded: {link} to elsewhere.")
        n_objects = declared = stored = 0

        def visit(name: str, found: Any) -> bool | None:
            nonlocal n_objects, declared, stored
            n_objects += 1
            if isinstance(found, self._h5py.Dataset):
                declared += math.prod(found.shape or ()) * found.dtype.itemsize
                stored += found.id.get_storage_size()
            return True if n_objects > MAX_OBJECTS else None

        if self._file.visititems(visit):
            raise ValueError(f"'{self.path}' is not loaded: it has more than {MAX_OBJECTS} objects.")
        if declared > FREE_BYTES + MAX_EXPANSION * min(stored, size):
            raise ValueError(
                f"'{self.path}' is not loaded: its arrays would take {declared} bytes, and it stores {stored}."
            )
        return declared

    def _elsewhere(self, name: str, link: Any) -> str | None:
        """What a link is called that is not to the thing itself."""
        hard = isinstance(link, self._h5py.HardLink)
        return None if hard else f"'{name}' is a {type(link).__name__}"

    def _variables_group(self, path: str) -> Any:
        found: Any = self._file
        walked = ""
        for name in (*path.split("/"), "vars") if path else ("vars",):
            walked = f"{walked}/{name}"
            if name not in found:
                return {}
            found = found[name]
            if not isinstance(found, self._h5py.Group):
                raise ValueError(f"'{self.path}' is not loaded: '{walked}' is no group.")
        return found

    def _dataset(self, group: Any, path: str, number: int, variable: Any) -> Any:
        """An array that fits a variable."""
        where = f"'{path}/vars/{number}'"
        dataset = group.get(str(number))
        if not isinstance(dataset, self._h5py.Dataset):
            raise ValueError(f"'{self.path}' is not loaded: {where} is no array.")
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"'{self.path}' is not loaded: {where} lies in another file.")
        if dataset.dtype.kind not in "fiu":
            raise ValueError(f"'{self.path}' is not loaded: {where} has dtype {dataset.dtype}.")
        if dataset.shape != variable.shape:
            raise ValueError(
                f"'{self.path}' does not fit the model: variable '{variable.path}' has shape {variable.shape}, the "
                f"file {dataset.shape} ({where})."
            )
        return dataset

    def load_into(self, model: Any, skip_mismatch: bool = False) -> None:
        """Set all variables; none if one of them does not fit, unless ``skip_mismatch``.

        Raises
        ------
        ValueError
            If a layer's variables are not there, or of other shapes.
        """
        found: list[tuple[Any, Any]] = []
        for path, owner, variables in owners(model):
            group = self._variables_group(path)
            if owner is model.optimizer and self._has_no_step(group):
                continue
            if owner is model.optimizer and len(group) != len(variables):
                warnings.warn(
                    f"Skipping variable loading for optimizer '{owner.name}', because it has {len(variables)} "
                    f"variables whereas the saved optimizer has {len(group)} variables.",
                    stacklevel=4,
                )
                continue
            try:
                if len(group) != len(variables):
                    raise ValueError(
                        f"'{self.path}' does not fit the model: layer '{owner.name}' has {len(variables)} variables, "
                        f"the file {len(group)} ('{path}/vars')."
                    )
                found += [(v, self._dataset(group, path, i, v)) for i, v in enumerate(variables)]
            except ValueError as error:
                if not skip_mismatch:
                    raise
                warnings.warn(f"Layer '{owner.name}' keeps its weights: {error}", stacklevel=4)
        for variable, dataset in found:
            variable.assign(self._read(dataset))

    def _has_no_step(self, group: Any) -> bool:
        """Whether an optimizer was saved before it was used: there is nothing to load, nor may all of it be there."""
        iteration = group.get("0")
        if (
            not isinstance(iteration, self._h5py.Dataset)
            or iteration.shape != ()
            or iteration.dtype.kind != "i"
        ):
            return False
        return self._read(iteration) == 0

    def _read(self, dataset: Any) -> np.ndarray:
        try:
            return np.asarray(dataset[()])
        except (OSError, RuntimeError) as error:
            raise ValueError(f"'{self.path}' is damaged: {dataset.name} cannot be read: {error}") from error
