"""What a network is made of: parameters, and nodes that record what they compute."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastml.kernels import arrays_of

Shape = tuple[int, ...]


class Penalty(Protocol):
    """A term of the objective that depends on one parameter alone."""

    def value(self, weights: np.ndarray) -> float: ...

    def add_gradient(self, weights: np.ndarray, gradient: np.ndarray) -> None: ...


class Parameter:
    """An array that a node computes with.

    Attributes
    ----------
    value : array
        A network moves it to its device, and one that trains it into its vector of weights: ``value`` is a view of
        that from then on. To be written in place only: ``assign``.
    trainable : bool
        Read when a network is made.
    penalty : Penalty or None
    decays : bool
        Whether an optimizer's weight decay applies to it.
    constraint : callable or None
        After each step of training the value, an array of NumPy's, becomes what this makes of it.
    """

    __slots__ = ("constraint", "decays", "gradient", "penalty", "trainable", "value")

    def __init__(self, value: np.ndarray, trainable: bool = True, penalty: Penalty | None = None):
        self.value = value
        self.trainable = trainable
        self.penalty = penalty
        self.decays = True
        self.constraint: Callable[[np.ndarray], Any] | None = None
        self.gradient: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        return self.value.shape

    def numpy(self) -> np.ndarray:
        """The value itself if it lies in host memory, else a copy there."""
        return arrays_of(self.value).fetch(self.value)

    def assign(self, values: Any) -> None:
        """Set the value, wherever it and the new one lie."""
        copy_into(self.value, values)


def copy_into(array: Any, values: Any) -> None:
    """Set an array to values (an array or a number) that may lie on another device."""
    own, of_values = arrays_of(array), arrays_of(values)
    own.assign(array, values if own is of_values or np.isscalar(values) else of_values.fetch(values))


class Recorded(NamedTuple):
    """A node's output, and what records its backward pass.

    ``backward(dout, wanted)`` records the gradients of the node's parameters, and returns the gradient with respect to
    its input if that is ``wanted``, else None. ``dout`` may be overwritten.
    """

    out: Any
    backward: Callable[[Any, bool], Any]


class Node:
    """A computation: one class per kind, one object per place in a network.

    Shapes are those of one sample, without the batch.
    """

    parameters: tuple[Parameter, ...] = ()
    # What it computes with besides, and changes perhaps, but not by gradients.
    statistics: tuple[Parameter, ...] = ()

    def output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape.

        Raises
        ------
        ValueError
            If the node does not take such an input.
        """
        return input_shape

    def record(self, recording: "Recording", x: Any) -> Recorded:
        """Record the forward pass for a batch ``x``."""
        raise NotImplementedError


class Recording:
    """The steps of a program as they are recorded, and the arrays that they write to.

    Attributes
    ----------
    kernels : module
        The backend, as from ``kernels.for_device``.
    training : bool
        Whether statistics are of the batch, and dropout drops.
    trains : callable
        Whether the network trains a parameter.
    steps : list of (function, arguments)
        For ``plan.compile``.
    output_penalties : list of array of shape ()
        Where steps write penalties on outputs to.
    """

    def __init__(
        self,
        kernels: Any,
        memory: "Memory",
        dtype: np.dtype,
        training: bool,
        trains: Callable[[Parameter], bool],
    ):
        self.kernels = kernels
        self.training, self.trains = training, trains
        self.dtype = dtype
        self.steps: list[tuple[Callable, tuple]] = []
        self.output_penalties: list[np.ndarray] = []
        self._memory = memory
        self._gradients: tuple[Any, Any] | None = None
        self._next = 0
        self._on_host = is_host(kernels.arrays)

    def __call__(self, function: Callable, *arguments: Any) -> None:
        self.steps.append((function, arguments))

    def trains_any_of(self, node: Node) -> bool:
        """Whether the network trains a parameter of a node."""
        return any(map(self.trains, node.parameters))

    def on_host(self, function: Callable, reads: tuple, writes: tuple) -> None:
        """Record ``function(*reads, *writes)``, a function of NumPy's arrays and None.

        On another device it gets copies of what it reads, and what it has written is copied there.
        """
        arrays = self.kernels.arrays
        if self._on_host:
            self(function, *reads, *writes)
            return

        def by_copies() -> None:
            read = [None if array is None else arrays.fetch(array) for array in reads]
            written = [None if array is None else np.empty(array.shape, array.dtype) for array in writes]
            function(*read, *written)
            for array, values in zip(writes, written):
                if array is not None:
                    arrays.assign(array, values)

        self(by_copies)

    def apart(self) -> "Recording":
        """A recording of other steps that belong to the same program."""
        other = copy.copy(self)
        other.steps = []
        return other

    def array(self, shape: Shape, dtype: Any = None) -> Any:
        """An array that keeps its content until the program's next run."""
        return self._memory.take(shape, self.dtype if dtype is None else np.dtype(dtype))

    def reserve_gradients(self, size: int) -> None:
        """Make place for gradients with respect to outputs of at most ``size`` elements."""
        self._gradients = self.array((size,)), self.array((size,))

    def gradient(self, shape: Shape) -> Any:
        """An array for a gradient; the one given last keeps its content, the one before it does not.

        A backward pass needs two such arrays, whatever its length: a node reads the one that came last, and writes to
        the other or to the same.
        """
        assert self._gradients is not None
        flat = self._gradients[self._next]
        self._next = 1 - self._next
        return flat[: int(np.prod(shape))].reshape(shape)


class Memory:
    """Arrays that one program after another is recorded with.

    Programs of one network differ in the size of the batch: the n-th array of a program lies where the n-th of the
    one before does, and is a part of it if it is smaller.
    """

    def __init__(self, arrays: Any):
        self._arrays = arrays
        self._blocks: list[Any] = []
        self._position = 0

    def rewind(self) -> None:
        """Begin a new program."""
        self._position = 0

    def take(self, shape: Shape, dtype: np.dtype) -> Any:
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        if self._position == len(self._blocks):
            self._blocks.append(aligned_bytes(self._arrays, n_bytes))
        elif len(self._blocks[self._position]) < n_bytes:
            # A program recorded before keeps the array that it has.
            self._blocks[self._position] = aligned_bytes(self._arrays, n_bytes)
        block = self._blocks[self._position]
        self._position += 1
        return block[:n_bytes].view(dtype).reshape(shape)


CACHE_LINE = 64


def is_host(arrays: Any) -> bool:
    """Whether a backend's arrays are NumPy's, in host memory."""
    return type(arrays.empty(0, np.uint8)) is np.ndarray


def aligned_bytes(arrays: Any, n_bytes: int) -> Any:
    """``n_bytes`` zero bytes on the device, in host memory from the start of a cache line on."""
    if not is_host(arrays):
        return arrays.send(np.zeros(n_bytes, np.uint8))
    block = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    start = -block.ctypes.data % CACHE_LINE
    return block[start : start + n_bytes]
