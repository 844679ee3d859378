"""A chain of nodes, laid out for training: parameters in one vector, programs per size of batch."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastml._config import effective_n_threads
from fastml.kernels import for_device
from fastml.solvers.backprop._fusion import fold_rescaling, fuse
from fastml.solvers.backprop._losses import Loss, Targets
from fastml.solvers.backprop._node import (
    CACHE_LINE,
    Memory,
    Node,
    Parameter,
    Recording,
    Shape,
    aligned_bytes,
    copy_into,
)
from fastml.solvers.backprop._optimizers import Optimizer
from fastml.solvers.backprop._ridge import Ridge


class Data(NamedTuple):
    """A data set, or what there is of it; all of one length. In host memory, or on a network's device: ``sent``.

    Attributes
    ----------
    X : array of uint8, float32 or float64, shape (n, ...)
    targets : array of shape (n, ...), int32 for labels, else of the network's dtype, or None
    factors : array of the network's dtype, or None
        What each value of the loss is multiplied by: see ``Loss.record``.
    """

    X: Any
    targets: Any = None
    factors: Any = None

    def sent(self, arrays: Any) -> "Data":
        """The same on the device of a backend's ``arrays``."""
        return Data(*(arrays.send(array) for array in self))


class Objective(NamedTuple):
    """What a program compares predictions with.

    Attributes
    ----------
    loss : Loss
    targets : Targets
    factors_shape : tuple of int or None
        Of one sample's factors; None: there are none, and the reduction is "mean".
    reduction : {"mean", "sum", "weighted_mean"}
        Of values times factors: divided by their number, by nothing, or by the sum of factors.
    ridge : Ridge or None
        A penalty on weights, besides those that belong to parameters.
    """

    loss: Loss
    targets: Targets
    factors_shape: Shape | None
    reduction: str = "mean"
    ridge: Ridge | None = None


class Program:
    """All that is to be done with a batch of one size; ``run`` does it.

    Attributes
    ----------
    rows : array of int64, shape (n,)
        Of the data set: which of them the next run takes.
    input, targets, factors : array
        What a run takes instead if the program has no data set: see ``load``.
    predictions, losses : array
        What the last run gave; ``losses`` without factors.
    """

    def __init__(
        self,
        network: "Network",
        n_rows: int,
        source: Data | None,
        penalised: Sequence[Parameter],
        output_penalties: list[np.ndarray],
    ):
        arrays = network.kernels.arrays
        self.source = source
        self.rows = arrays.send(np.zeros(n_rows, np.int64))
        self.input: Any = None
        self.targets: Any = None
        self.factors: Any = None
        self.predictions: Any = None
        self.losses: Any = None
        self.plan: Any = None
        self._network = network
        self._penalised = penalised
        self._weights_penalty = 0.0
        self._output_penalties = output_penalties

    def run(self) -> None:
        """Do it."""
        self._network.kernels.plan.run(self.plan)

    def load(self, data: Data) -> None:
        """Take a batch that belongs to no data set."""
        network = self._network
        arrays = network.kernels.arrays
        data, every = data.sent(arrays), arrays.send(np.arange(len(data.X), dtype=np.int64))
        gather = network.kernels.gather.rows
        gather(data.X, every, self.input, network.scale, network.offset)
        if self.targets is not None:
            gather(data.targets, every, self.targets)
        if self.factors is not None:
            gather(data.factors, every, self.factors)

    @property
    def loss(self) -> float:
        """The mean of the last run's losses times their factors."""
        fetch = self._network.kernels.arrays.fetch
        losses = fetch(self.losses)
        if self.factors is None or not losses.ndim:
            return float(losses.sum()) / losses.size
        return float(np.vdot(losses, fetch(self.factors))) / losses.size

    @property
    def penalty(self) -> float:
        """Of the last run's weights, before the update, and outputs."""
        return self._weights_penalty + sum(float(value) for value in self._output_penalties)

    def measure_weights(self) -> None:
        """Take the penalty of the weights as they are."""
        self._weights_penalty = sum(
            p.penalty.value(p.value) for p in self._penalised if p.penalty is not None
        )


class Network:
    """Nodes in a row, their parameters and the programs that compute them.

    Making a network that trains moves its parameters into ``weights``; a network made before from the same parameters
    is not to be used any more. One that does not train takes them where they lie, if that is on its device. Programs
    that predict may be made and run in several threads at a time, each in the one that made it; training is for one.

    Parameters
    ----------
    nodes : sequence of Node
    input_shape : tuple of int
        Of one sample.
    dtype : {float32, float64}
    device : str
        For ``kernels.for_device``.
    train : bool, default=True
        Whether ``training`` will be called.

    Attributes
    ----------
    parameters : list of Parameter
        Those that are trainable, in order.
    trained : list of Parameter
        The same, or none if the network does not train.
    weights, gradients : array
        ``trained``, and their gradients, each a vector with each parameter's part at the start of a cache line.
    output_shape : tuple of int
    scale, offset : float
        What a batch is multiplied by, and what is added, as it is loaded.

    Raises
    ------
    ValueError
        If a node cannot take what comes before it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        input_shape: Shape,
        dtype: Any = np.float32,
        device: str = "cpu",
        train: bool = True,
    ):
        self.kernels = for_device(device)
        self.dtype = np.dtype(dtype)
        self.input_shape = tuple(input_shape)
        self.scale, self.offset, self.nodes = fold_rescaling(nodes)
        shape = self.input_shape
        for node in self.nodes:
            shape = node.output_shape(shape)
        self.output_shape = shape
        everything = _unique(p for node in self.nodes for p in node.parameters)
        self.parameters = [p for p in everything if p.trainable]
        self.trained = self.parameters if train else []
        self._lay_out()
        everything += _unique(p for node in self.nodes for p in node.statistics)
        for parameter in everything:
            if not self.kernels.arrays.is_own(parameter.value):
                parameter.value = self.kernels.arrays.send(parameter.numpy())
        self._places = [(p, p.value) for p in everything]
        self._training_memory = Memory(self.kernels.arrays)
        # Several threads may predict at a time, each with programs of its own.
        self._of_thread = threading.local()

    # Layout

    def _lay_out(self) -> None:
        step = CACHE_LINE // self.dtype.itemsize
        self._spans: dict[int, slice] = {}
        end = 0
        for parameter in self.trained:
            size = int(np.prod(parameter.shape))
            self._spans[id(parameter)] = slice(end, end + size)
            end += -(-size // step) * step
        self._size = end
        self.weights, self.gradients = self.vector(), self.vector()
        for parameter in self.trained:
            part = self.part(self.weights, parameter)
            copy_into(part, parameter.value)
            # Only now: another thread may be predicting with it.
            parameter.value = part
            parameter.gradient = self.part(self.gradients, parameter)

    def vector(self) -> Any:
        """Zeros, laid out as the weights."""
        return aligned_bytes(self.kernels.arrays, self._size * self.dtype.itemsize).view(self.dtype)

    def trains(self, parameter: Parameter) -> bool:
        return id(parameter) in self._spans

    def span(self, parameter: Parameter) -> slice:
        """Where a trained parameter lies in ``weights``, ``gradients`` and whatever is laid out like them."""
        return self._spans[id(parameter)]

    def part(self, vector: Any, parameter: Parameter) -> Any:
        """The part of ``vector`` that belongs to a trained parameter, in its shape."""
        return vector[self.span(parameter)].reshape(parameter.shape)

    @property
    def is_current(self) -> bool:
        """Whether no other network has taken its parameters since."""
        return all(parameter.value is place for parameter, place in self._places)

    # Programs

    def inference(
        self,
        n_rows: int,
        source: Data | None = None,
        objective: Objective | None = None,
        as_in_training: bool = False,
    ) -> Program:
        """A program that predicts, and computes losses if it is given an ``objective``.

        With ``as_in_training`` dropout drops, and statistics are of the batch.
        """
        return self._record(n_rows, source, objective, None, as_in_training)

    def training(
        self, n_rows: int, source: Data | None, objective: Objective, optimizer: Optimizer | None
    ) -> Program:
        """A program that computes gradients, and takes a step of ``optimizer`` if there is one."""
        if optimizer is not None:
            optimizer.attach(self)
        return self._record(n_rows, source, objective, optimizer, in_training=True, learning=True)

    def _inference_memory(self) -> Memory:
        """Of the thread at hand."""
        if not hasattr(self._of_thread, "memory"):
            self._of_thread.memory = Memory(self.kernels.arrays)
        return self._of_thread.memory

    def _record(self, n_rows, source, objective, optimizer, in_training=False, learning=False) -> Program:
        memory = self._training_memory if learning else self._inference_memory()
        memory.rewind()
        recording = Recording(self.kernels, memory, self.dtype, in_training, self.trains)
        nodes = fuse(self.nodes, self.input_shape)
        if learning:
            recording.reserve_gradients(n_rows * self._largest_output(nodes))
        penalised = [p for p in self.parameters if p.penalty is not None and objective is not None]
        program = Program(self, n_rows, source, penalised, recording.output_penalties)
        self._record_input(recording, program, n_rows, objective)
        if penalised:
            recording(program.measure_weights)
        self._record_passes(recording, program, nodes, objective, learning)
        if learning:
            for parameter in penalised:
                assert parameter.penalty is not None
                recording(parameter.penalty.add_gradient, parameter.value, parameter.gradient)
            if objective.ridge is not None:
                objective.ridge.record(recording)
        if optimizer is not None and self.trained:
            optimizer.record(recording, self)
        program.plan = self.kernels.plan.compile(recording.steps, effective_n_threads())
        return program

    def _record_input(self, recording, program, n_rows, objective) -> None:
        program.input = recording.array((n_rows, *self.input_shape))
        if objective is not None:
            kind = np.int32 if objective.targets.are_labels else self.dtype
            program.targets = recording.array((n_rows, *objective.targets.shape), kind)
            if objective.factors_shape is not None:
                program.factors = recording.array((n_rows, *objective.factors_shape))
        if program.source is None:
            return
        gather = self.kernels.gather.rows
        recording(gather, program.source.X, program.rows, program.input, self.scale, self.offset)
        if program.targets is not None:
            recording(gather, program.source.targets, program.rows, program.targets)
        if program.factors is not None:
            recording(gather, program.source.factors, program.rows, program.factors)

    def _record_passes(self, recording, program, nodes, objective, learning) -> None:
        x, passed = program.input, []
        if objective is not None and nodes and objective.loss.absorbs(nodes[-1]):
            nodes = nodes[:-1]
        for node in nodes:
            x, backward = node.record(recording, x)
            passed.append((node, backward))
        program.predictions = x
        if objective is None:
            return
        wanted = learning and bool(self.trained)
        if objective.reduction != "mean":
            recording(_prepare, program.factors, objective.reduction)
        scored = objective.loss.record(recording, x, program.targets, program.factors, wanted)
        program.predictions, program.losses = scored.predictions, scored.losses
        if not wanted:
            return
        first = next(i for i, (node, _) in enumerate(passed) if recording.trains_any_of(node))
        dout = scored.gradient
        seen: set[int] = set()
        for i in reversed(range(first, len(passed))):
            node, backward = passed[i]
            # Nodes write gradients, of which a parameter that several nodes have gets the sum.
            again = [p.gradient for p in node.parameters if id(p) in seen and self.trains(p)]
            of_others = [recording.array(gradient.shape) for gradient in again]
            for gradient, kept in zip(again, of_others):
                recording(copy_into, kept, gradient)
            dout = backward(dout, i > first)
            for gradient, kept in zip(again, of_others):
                recording(_add, kept, gradient)
            seen.update(map(id, node.parameters))

    def _largest_output(self, nodes: Sequence[Node]) -> int:
        shape, largest = self.input_shape, 1
        for node in nodes:
            shape = node.output_shape(shape)
            largest = max(largest, int(np.prod(shape)))
        return largest


def _add(values, out) -> None:
    out += values


def _prepare(factors, reduction) -> None:
    """Make a mean out of another reduction."""
    total = 1.0 if reduction == "sum" else factors.sum()
    factors *= factors.size / total if total else 0.0


def _unique(parameters) -> list[Parameter]:
    return list({id(parameter): parameter for parameter in parameters}.values())
