"""Helpers of Keras' scripts."""

from typing import Any

import numpy as np

from fastml.keras._naming import reset_names
from fastml.keras._serialization import deserialize_keras_object, serialize_keras_object
from fastml.keras.callbacks._progress import Progbar
from fastml.keras.models._data import unpack_x_y_sample_weight
from fastml.keras.models._py_dataset import PyDataset
from fastml.keras.random import seed_everything

__all__ = [
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "deserialize_keras_object",
    "normalize",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

# The name that it had before Keras 3.
Sequence = PyDataset


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class indices as rows with a 1 in the place of the class.

    Parameters
    ----------
    x : array-like of int
    num_classes : int, default=None
        None is the largest index plus 1.

    Returns
    -------
    array of float64, shape (..., num_classes)
    """
    labels = np.array(x, dtype="int64")
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    labels = labels.reshape(-1)
    n = int(num_classes or labels.max() + 1)
    categorical = np.zeros((len(labels), n))
    categorical[np.arange(len(labels)), labels] = 1
    return categorical.reshape(*shape, n)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """``x`` divided by its norm along an axis; zeros stay."""
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return np.asarray(x) / np.expand_dims(norm, axis)


def set_random_seed(seed: int) -> None:
    """Make what is drawn from here on repeatable: initial weights, dropout, the order of samples.

    Python's and NumPy's generators are seeded, too. Initial weights, and what ``keras.random`` draws, are those that
    Keras 3.15 on TensorFlow draws after the same call in the same script: uniform ones bit for bit, normal ones but for
    a few units in the last place, orthogonal ones but for rounding. Dropout's masks and the order of samples are drawn
    in this package's own way: they repeat, but are not TensorFlow's.

    Parameters
    ----------
    seed : int

    Raises
    ------
    ValueError
        If the seed is no integer in 0 .. 2³² - 1.
    """
    if not isinstance(seed, int):
        raise ValueError(
            f"Expected `seed` argument to be an integer. Received: seed={seed} (of type {type(seed)})"
        )
    if seed < 0 or seed > 2**32 - 1:
        raise ValueError(f"Expected `seed` argument to be in [0, 2**32 - 1]. Received: seed={seed}")
    seed_everything(seed)


def clear_session(free_memory: bool = True) -> None:
    """Begin names of layers anew."""
    reset_names()
