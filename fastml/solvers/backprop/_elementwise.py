"""Nodes that keep the shape: activations, softmax, dropout, rescaling, penalties on outputs."""

from typing import Any

import numpy as np

from fastml.solvers.backprop._dense import as_rows
from fastml.solvers.backprop._node import Node, Penalty, Recorded, Recording


class Activation(Node):
    """A function of each element, by the name it has in ``kernels.activation``."""

    def __init__(self, name: str, parameters: tuple = ()):
        self.name, self.settings = name, parameters

    def record(self, recording: Recording, x) -> Recorded:
        if self.name == "linear":
            return Recorded(x, lambda dout, wanted: dout if wanted else None)
        activation = recording.kernels.activation
        out = recording.array(x.shape)
        recording(activation.forward, x, out, self.name, self.settings)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(activation.gradient, x, out, dout, dout, self.name, self.settings)
            return dout

        return Recorded(out, backward)


class Softmax(Node):
    """Softmax over the last axis."""

    def record(self, recording: Recording, x) -> Recorded:
        activation = recording.kernels.activation
        out = recording.array(x.shape)
        recording(activation.softmax, as_rows(x), as_rows(out))

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(activation.softmax_gradient, as_rows(out), as_rows(dout), as_rows(dx))
            return dx

        return Recorded(out, backward)


class LogSoftmax(Node):
    """Logarithm of the softmax over the last axis."""

    def record(self, recording: Recording, x) -> Recorded:
        out = recording.array(x.shape)
        recording(_log_softmax, x, out)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(_log_softmax_gradient, out, dout)
            return dout

        return Recorded(out, backward)


def _log_softmax(x, out):
    np.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    out -= np.log(np.exp(out).sum(axis=-1, keepdims=True))


def _log_softmax_gradient(out, dout):
    dout -= np.exp(out) * dout.sum(axis=-1, keepdims=True)


class Sparsemax(Node):
    """The Euclidean projection of the last axis onto the simplex.

    References
    ----------
    A. Martins and R. Astudillo, "From Softmax to Sparsemax", ICML 2016: algorithm 1 and equation 14.
    """

    def record(self, recording: Recording, x) -> Recorded:
        out = recording.array(x.shape)
        recording(_sparsemax, x, out)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(_sparsemax_gradient, out, dout)
            return dout

        return Recorded(out, backward)


def _sparsemax(x, out):
    ordered = -np.sort(-x, axis=-1)
    sums = np.cumsum(ordered, axis=-1) - 1
    counts = np.arange(1, x.shape[-1] + 1)
    support = np.count_nonzero(counts * ordered > sums, axis=-1, keepdims=True)
    threshold = np.take_along_axis(sums, support - 1, axis=-1) / support
    np.maximum(x - threshold, 0, out=out)


def _sparsemax_gradient(out, dout):
    support = out > 0
    dout *= support
    dout -= support * (dout.sum(axis=-1, keepdims=True) / support.sum(axis=-1, keepdims=True))


class Dropout(Node):
    """Zeros in place of a share ``rate`` of the elements while training, and the others scaled up for it.

    ``state`` is the generator's: uint64 (2,), a seed and a counter.
    """

    def __init__(self, rate: float, state: Any):
        self.rate, self.state = rate, state

    def record(self, recording: Recording, x) -> Recorded:
        if not recording.training or self.rate == 0:
            return Recorded(x, lambda dout, wanted: dout if wanted else None)
        activation = recording.kernels.activation
        out, mask = recording.array(x.shape), recording.array(x.shape, "uint8")
        recording(activation.dropout, x, out, mask, self.rate, self.state)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(activation.dropout_gradient, dout, mask, self.rate, dout)
            return dout

        return Recorded(out, backward)


class Rescale(Node):
    """``x * scale + offset``; numbers, or arrays that broadcast over the last axes."""

    def __init__(self, scale: Any, offset: Any):
        self.scale, self.offset = scale, offset

    @property
    def scalar(self) -> bool:
        return np.ndim(self.scale) == np.ndim(self.offset) == 0

    def record(self, recording: Recording, x) -> Recorded:
        out = recording.array(x.shape)
        scale, offset = (np.asarray(value, recording.dtype) for value in (self.scale, self.offset))
        recording(_rescale, x, scale, offset, out)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(np.multiply, dout, scale, dout)
            return dout

        return Recorded(out, backward)


def _rescale(x, scale, offset, out):
    np.multiply(x, scale, out=out)
    out += offset


class OutputPenalty(Node):
    """Passes its input on; the objective has a penalty on it, divided by the number of samples.

    Attributes
    ----------
    value : float
        The penalty of the batch at hand.
    """

    def __init__(self, penalty: Penalty):
        self.penalty = penalty
        self.value = 0.0

    def record(self, recording: Recording, x) -> Recorded:
        recording(self._measure, x)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(self._add_gradient, x, dout)
            return dout

        return Recorded(x, backward)

    def _measure(self, x):
        self.value = self.penalty.value(x) / len(x)

    def _add_gradient(self, x, dout):
        gradient = np.zeros_like(x)
        self.penalty.add_gradient(x, gradient)
        dout += gradient / len(x)
