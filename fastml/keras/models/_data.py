"""What ``fit``, ``evaluate`` and ``predict`` are given, as batches."""

import math
import sys
import types
import warnings
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastml.keras.models._py_dataset import DatasetBatches, PyDataset
from fastml.keras.random import shuffling_generator

_DTYPES = (np.uint8, np.float32, np.float64)


class Samples(NamedTuple):
    """Inputs, and what there is of targets and weights."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def unpack_x_y_sample_weight(data: Any) -> Samples:
    """A batch that is ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``."""
    if not isinstance(data, tuple | list):
        return Samples(data)
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, found: {data}"
        )
    return Samples(*data)


def as_array(values: Any, what: str) -> np.ndarray:
    """An argument as an array.

    Raises
    ------
    ValueError
        If it is none, a list of numbers for one.
    """
    if isinstance(values, list | tuple) and len(values) == 1 and hasattr(values[0], "shape"):
        values = values[0]
    if not hasattr(values, "shape") and not hasattr(values, "__array__"):
        raise ValueError(f"Unrecognized data type: {what}={values} (of type {type(values)})")
    if hasattr(values, "tocsr"):
        raise ValueError(f"Sparse matrices are not supported by fastml.keras: {what} must be an array.")
    array = np.asarray(values)
    if array.ndim == 0:
        raise ValueError(f"The arrays must be at least rank 1. Received: {what}={values} of rank 0.")
    return array


def standard_input(x: Any) -> np.ndarray:
    """Inputs in C order, as uint8, float32 or float64.

    Raises
    ------
    ValueError
        If they are no numbers.
    """
    array = as_array(x, "x")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"Invalid dtype: {array.dtype}. The input of a model must be numbers.")
    if array.dtype not in _DTYPES:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array)


def check_cardinality(samples: Samples) -> None:
    """Raise a ValueError if there are none, or not as many inputs as targets and weights."""
    sizes = {name: len(values) for name, values in samples._asdict().items() if values is not None}
    if len(set(sizes.values())) > 1:
        lines = "".join(f"'{name}' sizes: {size}\n" for name, size in sizes.items())
        raise ValueError(
            f"Data cardinality is ambiguous. Make sure all arrays contain the same number of samples.{lines}"
        )
    if sizes["x"] == 0:
        raise ValueError("Expected input data to be non-empty.")


def class_weights(y: np.ndarray, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample's class; 1 for those that are not named."""
    labels = y
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    labels = np.round(labels).astype(np.int64)
    weights = np.ones(labels.shape, np.float32)
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def batch_of(x: Any, y: Any, sample_weight: Any) -> Samples:
    """Arrays as one batch."""
    samples = Samples(
        as_array(x, "x"),
        None if y is None else np.asarray(y),
        None if sample_weight is None else np.asarray(sample_weight),
    )
    check_cardinality(samples)
    return samples


def weighted(samples: Samples, class_weight: dict[int, float] | None) -> Samples:
    """With the weight of each sample's class, if classes have one."""
    if class_weight is None:
        return samples
    if samples.sample_weight is not None:
        raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
    return samples._replace(sample_weight=class_weights(np.asarray(samples.y), class_weight))


def train_validation_split(samples: Samples, validation_split: float) -> tuple[Samples, Samples]:
    """The first samples, and the last.

    Raises
    ------
    ValueError
        If one of both would be empty, or if the data are no arrays.
    """
    if isinstance(samples.x, types.GeneratorType) or not hasattr(samples.x, "shape"):
        raise ValueError(
            "Argument `validation_split` is only supported for tensors or NumPy arrays. Found incompatible type in the "
            f"input: {type(samples.x)}"
        )
    n = len(samples.x)
    split_at = math.floor(n * (1.0 - validation_split))
    if split_at in (0, n):
        raise ValueError(
            f"Training data contains {n} samples, which is not sufficient to split it into a validation and training "
            f"set as specified by `validation_split={validation_split}`. Either provide more data, or a different "
            "value for the `validation_split` argument."
        )
    arrays = [None if values is None else np.asarray(values) for values in samples]
    first, last = (
        Samples(*(None if values is None else values[part] for values in arrays))
        for part in (slice(split_at), slice(split_at, None))
    )
    return first, last


class Batches:
    """What is told of epochs; and nothing to be done then."""

    def on_epoch_begin(self) -> None: ...

    def on_epoch_end(self) -> None: ...


class ArrayBatches(Batches):
    """Batches of a data set in memory, as indices of rows.

    Attributes
    ----------
    num_batches : int
    """

    def __init__(self, n: int, batch_size: int | None, steps: int | None = None, shuffle: Any = False):
        if not batch_size:
            batch_size = math.ceil(n / steps) if steps else 32
        self.n, self.batch_size, self.shuffle = n, int(batch_size), shuffle
        self.num_batches = math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        order = np.arange(self.n, dtype=np.int64)
        generator = shuffling_generator().generator() if self.shuffle else None
        if generator is not None and self.shuffle != "batch":
            order = generator.permutation(self.n)
        for first in range(0, self.n, self.batch_size):
            rows = order[first : first + self.batch_size]
            yield generator.permutation(rows) if generator is not None and self.shuffle == "batch" else rows


class IterableBatches(Batches):
    """Batches that a generator, or an object that can be iterated again and again, gives.

    Attributes
    ----------
    num_batches : int or None
        None where that is not known.
    first : Samples
        The first batch, which is not lost.
    """

    def __init__(self, batches: Any):
        self.num_batches: int | None = len(batches) if hasattr(batches, "__len__") else None
        self._is_exhaustible = isinstance(batches, Iterator)
        self._batches = batches
        self._iterator: Iterator[Any] | None = iter(batches)
        try:
            self.first = self._checked(next(self._iterator))
        except StopIteration:
            raise ValueError(
                "When passing a Python generator to a Keras model, the generator must yield at least one batch. "
                "Received an empty generator."
            ) from None
        self._has_first = True

    def __iter__(self) -> Iterator[Samples]:
        if self._has_first:
            self._has_first = False
            yield self.first
        elif not self._is_exhaustible:
            self._iterator = iter(self._batches)
        assert self._iterator is not None
        for batch in self._iterator:
            yield self._checked(batch)

    @staticmethod
    def _checked(batch: Any) -> Samples:
        if not isinstance(batch, tuple | list | np.ndarray):
            raise ValueError(
                "When passing a Python generator to a Keras model, the generator must return a tuple, either (input,) "
                f"or (inputs, targets) or (inputs, targets, sample_weights). Received: {batch}"
            )
        return checked_batch(batch)


def checked_batch(batch: Any, class_weight: dict[int, float] | None = None) -> Samples:
    """One that a user's program gave, as samples."""
    samples = unpack_x_y_sample_weight(batch)
    check_cardinality(samples)
    return weighted(samples, class_weight)


def is_batches(x: Any) -> bool:
    """Whether an argument is an iterable of batches rather than an array."""
    if isinstance(x, PyDataset):
        return True
    if hasattr(x, "shape") or hasattr(x, "__array__") or isinstance(x, list | tuple | dict | str):
        return False
    return isinstance(x, Iterable) or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def samples_and_batches(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    shuffle: Any = False,
    class_weight: dict[int, float] | None = None,
) -> tuple[Samples, Any]:
    """Samples to make a feed with, and the batches of an epoch."""
    if is_batches(x):
        kind = "a PyDataset" if isinstance(x, PyDataset) else "batches"
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"When providing `x` as {kind}, `{name}` should not be passed. Instead, it should be included "
                    "as part of the batches."
                )
        if isinstance(x, PyDataset):
            dataset = DatasetBatches(x, partial(checked_batch, class_weight=class_weight), bool(shuffle))
            return dataset.first, dataset
        if class_weight is not None:
            raise ValueError(
                f"Argument `class_weight` is not supported for Python generator inputs. Received: {class_weight}"
            )
        batches = IterableBatches(x)
        return batches.first, batches
    samples = Samples(
        as_array(x, "x"),
        None if y is None else as_array(y, "y"),
        None if sample_weight is None else as_array(sample_weight, "sample_weight"),
    )
    check_cardinality(samples)
    samples = weighted(samples, class_weight)
    return samples, ArrayBatches(len(samples.x), batch_size, steps, shuffle)


def warn_of_no_data(consequence: str) -> None:
    warnings.warn(
        f"Your input ran out of data; {consequence}. Make sure that your dataset or generator can generate at least "
        "`steps_per_epoch * epochs` batches.",
        stacklevel=_level_of_caller(),
    )


def _level_of_caller() -> int:
    """The `stacklevel` of the first frame outside this package, for who calls this: how deep it lies differs."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("fastml."):
        level, frame = level + 1, frame.f_back
    return level


class Epochs:
    """Epoch after epoch of batches; with ``steps_per_epoch`` an epoch goes on where the last one ended.

    A pass is one iteration over all batches: an epoch, unless there are ``steps_per_epoch``. With ``restarts`` each
    epoch begins a pass, and what of the last one is left is not taken; a generator goes on all the same. To be closed
    after the last epoch.
    """

    def __init__(self, batches: Any, steps_per_epoch: int | None = None, restarts: bool = False):
        self.batches, self.steps_per_epoch, self._restarts = batches, steps_per_epoch, restarts
        self._stream: Iterator[Any] | None = None
        self._generator: list[int] = []
        self._taken = self._first_step = 0
        self._has_begun = False

    def close(self) -> None:
        """Have no thread fetch any more of the pass at hand."""
        if isinstance(self._stream, Generator):
            self._stream.close()
        self._stream = None

    @property
    def num_batches(self) -> int | None:
        return self.steps_per_epoch or self.batches.num_batches

    def _begin_pass(self) -> None:
        self._generator = shuffling_generator().state.value.tolist()
        self._taken = 0
        self._stream = iter(self.batches)

    def _next(self) -> Any:
        """None at the end of a pass."""
        assert self._stream is not None
        batch = next(self._stream, None)
        self._taken += batch is not None
        return batch

    def position(self) -> dict[str, Any]:
        """Where the pass at hand is, and what its order was drawn from."""
        return {"generator": self._generator, "taken": self._taken}

    def resume(self, position: dict[str, Any], step: int) -> None:
        """Go to a position, ``step`` steps after the beginning of an epoch: batches before it are drawn, and dropped.

        A generator has to give all its batches once more.
        """
        if not step and not self.steps_per_epoch:
            return
        generator = shuffling_generator().state
        now = generator.numpy()
        self._begin_epoch()
        generator.assign(np.array(position["generator"], np.uint64))
        self._begin_pass()
        for _ in range(position["taken"]):
            if self._next() is None:
                raise ValueError("the data have fewer batches")
        generator.assign(now)
        self._first_step = step

    def _begin_epoch(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.batches.on_epoch_begin()

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch, or what is left of them."""
        self._begin_epoch()
        yield from self._of_epoch()
        self._has_begun = False
        self.batches.on_epoch_end()

    def _of_epoch(self) -> Iterator[Any]:
        first, self._first_step = self._first_step, 0
        if not self.steps_per_epoch:
            if not first:
                self._begin_pass()
            while (batch := self._next()) is not None:
                yield batch
            return
        if self._stream is None or self._restarts:
            self._begin_pass()
        for step in range(first, self.steps_per_epoch):
            batch = self._next()
            if batch is None:
                if step > 0:
                    warn_of_no_data("interrupting training")
                    return
                self._begin_pass()
                batch = self._next()
                if batch is None:
                    return
            yield batch
