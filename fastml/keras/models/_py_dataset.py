"""Data sets that a user's class gives batch by batch: Keras' `PyDataset`."""

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastml.keras.models._arguments import check_counts
from fastml.keras.models._fetching import fetched_ahead
from fastml.keras.random import shuffling_generator


class PyDataset:
    """The base of data sets in Python: a subclass has ``__getitem__``, a batch, and ``__len__``, their number.

    ``fit``, ``evaluate`` and ``predict`` take one in place of arrays; ``fit`` has its batches in another order in each
    epoch, unless ``shuffle=False``.

    Parameters
    ----------
    workers : int, default=1
        Threads that fetch batches before they are needed, in ``fit`` and the like; 0 and 1: none do. ``__getitem__``
        is called by several at a time, then.
    use_multiprocessing : bool, default=False
        Must be False: there are no processes for it.
    max_queue_size : int, default=10
        How many batches may wait to be used.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def _given(self, name: str, default: Any) -> Any:
        if name not in self.__dict__:
            warnings.warn(
                "Your `PyDataset` class should call `super().__init__(**kwargs)` in its constructor. `**kwargs` can "
                "include `workers`, `use_multiprocessing`, `max_queue_size`. Do not pass these arguments to `fit()`, "
                "as they will be ignored.",
                stacklevel=3,
            )
            self.__dict__[name] = default
        return self.__dict__[name]

    @property
    def workers(self) -> int:
        """How many threads fetch batches."""
        return self._given("_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        check_counts(least=0, optional=False, workers=value)
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """False."""
        return self._given("_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        if value:
            raise ValueError(
                "use_multiprocessing=True is not supported by fastml.keras. `workers` are threads, which fetch batches "
                "ahead: reading files, NumPy and most of what decodes images let others run meanwhile."
            )
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """How many batches may wait to be used."""
        return self._given("_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        check_counts(optional=False, max_queue_size=value)
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """The batch ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` of a place.

        Parameters
        ----------
        index : int
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no `__getitem__(index)`, which returns a batch."
        )

    def __iter__(self) -> Iterator[Any]:
        for index in _places(self.num_batches):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None: without end, and ``fit`` needs ``steps_per_epoch``."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} has neither `__len__()` nor the property `num_batches`: how many batches it has."
        )

    def on_epoch_begin(self) -> None:
        """Called before the batches of each epoch."""

    def on_epoch_end(self) -> None:
        """Called after the batches of each epoch that has run to its end."""


def _places(n: int | None) -> Iterable[int]:
    return itertools.count() if n is None else range(n)


class DatasetBatches:
    """The batches of a `PyDataset`.

    Parameters
    ----------
    dataset : PyDataset
    checked : callable
        Makes samples of a batch.
    shuffle : bool
        Whether each pass has an order of its own.

    Attributes
    ----------
    first : Samples
        A batch to know shapes from. It comes again in its turn.
    """

    def __init__(self, dataset: PyDataset, checked: Any, shuffle: bool = False):
        self.dataset, self._checked, self._shuffle = dataset, checked, shuffle
        if self.num_batches == 0:
            raise ValueError("The PyDataset has length 0")
        self.first = self._fetch(0)

    @property
    def num_batches(self) -> int | None:
        return self.dataset.num_batches

    def _fetch(self, index: int) -> Any:
        batch = self.dataset[index]
        if not isinstance(batch, tuple | list | np.ndarray):
            raise ValueError(
                "PyDataset.__getitem__() must return a tuple, which must be ordered either (input,) or (inputs, "
                f"targets) or (inputs, targets, sample_weights). Received: {str(batch)[:100]}... of type {type(batch)}"
            )
        return self._checked(batch)

    def _order(self) -> Iterable[int]:
        n = self.num_batches
        if n is None or not self._shuffle:
            return _places(n)
        return shuffling_generator().generator().permutation(n).tolist()

    def __iter__(self) -> Iterator[Any]:
        dataset, order = self.dataset, self._order()
        if dataset.workers > 1:
            return fetched_ahead(self._fetch, order, dataset.workers, dataset.max_queue_size)
        return self._fetched(order)

    def _fetched(self, order: Iterable[int]) -> Iterator[Any]:
        # In a generator a StopIteration of `__getitem__` is an error, where it would end a `map`, and so the epoch.
        for index in order:
            yield self._fetch(index)

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()
