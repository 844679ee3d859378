"""Models and weights as files."""

import io
import json
import os
import warnings
import zipfile
from datetime import datetime
from typing import Any, BinaryIO

from fastml._files import replacing
from fastml.keras import _allocation
from fastml.keras._serialization import deserialize_keras_object, serialize_keras_object
from fastml.keras.saving._archive import CONFIG, METADATA, STATE, WEIGHTS, Archive
from fastml.keras.saving._state import Reading, restore_generators, training_state
from fastml.keras.saving._weights import WeightsFile, require_h5py, write_weights

# What Keras reads in metadata.json: the version whose format this is.
KERAS_VERSION = "3.15.1"

# An AUC has arrays of so many numbers, which a file does not have to hold.
MAX_THRESHOLDS = 100_000


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None) -> None:
    """Write a model, its weights, how it was compiled, and the state of its optimizer, to a ``.keras`` file.

    It is Keras' own format. What has no place in that - epoch and step, generators, what callbacks remember - is in a
    member of its own, ``fastml_state.json``, which Keras ignores.

    Parameters
    ----------
    model : Sequential
    filepath : path
        Ends in ".keras".
    overwrite : bool, default=True
        False: raise a FileExistsError if there is such a file.
    zipped : bool, default=None
        Only zip files are written.
    """
    path = _path(filepath, ".keras", "Models are saved in Keras' format")
    if zipped is not None and not zipped:
        raise ValueError("fastml.keras saves models in zip files: zipped=False is not supported.")
    _check_overwrite(path, overwrite)
    require_h5py()
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any weights yet. Consider "
            "building the model first by calling it on some data.",
            stacklevel=3,
        )
    metadata = {"keras_version": KERAS_VERSION, "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S")}
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(METADATA, json.dumps(metadata))
        archive.writestr(CONFIG, json.dumps(_config_of(model)))
        write_members(model, archive)


def write_members(model: Any, archive: zipfile.ZipFile) -> None:
    """Write what changes in training."""
    weights = io.BytesIO()
    write_weights(model, weights)
    archive.writestr(WEIGHTS, weights.getbuffer())
    archive.writestr(STATE, json.dumps(training_state(model)))


def _config_of(model: Any) -> dict[str, Any]:
    try:
        return serialize_keras_object(model)
    except (TypeError, ValueError) as error:
        compiled, model.compiled = model.compiled, False
        try:
            config = serialize_keras_object(model)
        finally:
            model.compiled = compiled
        warnings.warn(
            f"The model is saved without the arguments of `compile`, one of which no file can hold: {error} "
            "Call `compile` after loading it.",
            stacklevel=4,
        )
        return config


def _path(filepath: Any, suffix: str, what: str) -> str:
    path = os.fspath(filepath)
    if not isinstance(path, str) or not path.endswith(suffix):
        raise ValueError(
            f"Invalid `filepath` argument: expected a `{suffix}` extension ({what}). Received: filepath={filepath}"
        )
    return path


def _check_overwrite(path: str, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"'{path}' is there already, and overwrite=False.")


def _existing(path: str, kind: str) -> str:
    if not os.path.isfile(path):
        raise ValueError(
            f"File not found: filepath={path}. Please ensure the file is an accessible {kind} file."
        )
    return path


def load_model(
    filepath: Any, custom_objects: dict[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a model from a ``.keras`` file, which may be Keras' own.

    Nothing in the file is executed, and no more memory is used than its weights take. Of the training state, the
    generators of layers are restored; to go on with training where it ended, see `callbacks.BackupAndRestore`.

    Parameters
    ----------
    filepath : path
    custom_objects : dict of str to class or function, default=None
        What names in the file stand for that are none of this package's.
    compile : bool, default=True
        Whether to compile it as it was.
    safe_mode : bool, default=True
        Accepted: there is no unsafe one.

    Raises
    ------
    ValueError
        If the file has layers that this package does not have, Lambda layers among them; if configuration and weights
        do not fit; or if it is made to do harm.
    """
    path = _existing(_path(filepath, ".keras", "files of older formats cannot be read"), "`.keras` zip")
    with Archive(path) as archive:
        config = archive.json(CONFIG)
        if WEIGHTS not in archive and "model.weights.npz" in archive:
            raise ValueError(f"'{path}' has its weights in an npz file; only HDF5 is supported.")
        data = archive.read(WEIGHTS)
        with WeightsFile(io.BytesIO(data), path, len(data)) as weights:
            with _allocation.of_a_file(weights.n_bytes):
                model = _model_of(config, f"'{path}'", custom_objects, compile)
            weights.load_into(model)
        if STATE in archive:
            state = archive.json(STATE)
            with Reading(path):
                restore_generators(model, state["generators"])
    return model


def model_from_json(json_string: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of the configuration that ``to_json`` gives, with new weights, compiled as it was.

    Nothing in it is executed; but it may ask for weights of any size.

    Parameters
    ----------
    json_string : str or bytes
    custom_objects : dict of str to class or function, default=None
        What names in it stand for that are none of this package's.

    Raises
    ------
    ValueError
        If it is no JSON text, or has layers that this package does not have, Lambda layers among them.
    """
    try:
        config = json.loads(json_string)
    except RecursionError as error:
        raise ValueError("json_string is nested too deeply to be a model.") from error
    return _model_of(config, "json_string", custom_objects, compile=True)


def _model_of(config: Any, source: str, custom_objects: dict[str, Any] | None, compile: bool) -> Any:
    kind = config.get("class_name") if isinstance(config, dict) else None
    if kind != "Sequential" and kind not in (custom_objects or {}):
        raise ValueError(
            f"{source} is no Sequential model, the one kind of fastml.keras: its class is {kind!r}."
        )
    if not isinstance(config.get("config"), dict):
        raise ValueError(f"{source} does not describe a model: its 'config' is {config.get('config')!r}.")
    if not compile:
        config["compile_config"] = None
    try:
        _check_sizes(config)
        return deserialize_keras_object(config, custom_objects)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{source} does not describe a model: {type(error).__name__} {error} in its configuration"
        ) from error


def _check_sizes(config: Any) -> None:
    """Raise a ValueError for numbers that would be sizes of arrays that the file does not hold."""
    if isinstance(config, list):
        for element in config:
            _check_sizes(element)
    if not isinstance(config, dict):
        return
    for name, value in config.items():
        if name == "num_thresholds" and isinstance(value, int) and value > MAX_THRESHOLDS:
            raise ValueError(f"{name}={value} is more than the {MAX_THRESHOLDS} that a file may ask for.")
        _check_sizes(value)


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights, and the optimizer's state, to a ``.weights.h5`` file."""
    path = _path(filepath, ".weights.h5", "weights are saved in an HDF5 file")
    _check_overwrite(path, overwrite)
    if not model.built:
        raise ValueError(
            "You are saving a model that has not yet been built. Try building the model first by calling it on some "
            "data or by using `build()`."
        )
    require_h5py()
    with replacing(path) as file:
        write_weights(model, file)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Set the weights, and the optimizer's state, from a ``.weights.h5`` or a ``.keras`` file.

    With ``skip_mismatch`` layers that do not fit keep what they have.
    """
    path = os.fspath(filepath)
    if not path.endswith((".weights.h5", ".keras")):
        raise ValueError(
            f"File format not supported: filepath={filepath}. fastml.keras reads `.keras` and `.weights.h5` files."
        )
    _existing(path, "`.keras` or `.weights.h5`")
    if not model.built:
        raise ValueError(
            "You are loading weights into a model that has not yet been built. Try building the model first by calling "
            "it on some data or by using `build()`."
        )
    if path.endswith(".keras"):
        with Archive(path) as archive:
            data = archive.read(WEIGHTS)
        read_weights(model, io.BytesIO(data), path, len(data), skip_mismatch)
        return
    with open(path, "rb") as file:
        read_weights(model, file, path, os.path.getsize(path), skip_mismatch)


def read_weights(model: Any, file: BinaryIO, path: str, size: int, skip_mismatch: bool = False) -> None:
    """Set all variables from an open HDF5 file."""
    if model.compiled and model.optimizer is not None:
        model.optimizer.build(model.trainable_weights)
    with WeightsFile(file, path, size) as weights:
        weights.load_into(model, skip_mismatch)
