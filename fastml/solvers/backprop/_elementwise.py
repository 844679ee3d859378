"""Activations, dropout, rescaling, penalties on outputs."""

from typing import Any

import numpy as np

from fastml.solvers.backprop._dense import as_rows
from fastml.solvers.backprop._node import Node, Penalty, Recorded, Recording, Shape


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


class RowActivation(Node):
    """A function of all elements along the last axis: softmax, log_softmax or sparsemax."""

    def __init__(self, name: str):
        self.name = name

    def record(self, recording: Recording, x) -> Recorded:
        activation = recording.kernels.activation
        out = recording.array(x.shape)
        recording(getattr(activation, self.name), as_rows(x), as_rows(out))

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(
                getattr(activation, f"{self.name}_gradient"), as_rows(out), as_rows(dout), as_rows(dout)
            )
            return dout

        return Recorded(out, backward)


class GatedLinear(Node):
    """``a * sigmoid(b)`` of the halves a and b of the last axis.

    References
    ----------
    Y. Dauphin et al., "Language Modeling with Gated Convolutional Networks", ICML 2017.
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[-1] % 2:
            raise ValueError(f"glu halves the last axis, which must be even. Received: {input_shape}")
        return (*input_shape[:-1], input_shape[-1] // 2)

    def record(self, recording: Recording, x) -> Recorded:
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        gate = recording.array(out.shape)
        value, score = np.split(x, 2, axis=-1)
        recording(_gated, value, score, gate, out)

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(_gated_gradient, dout, value, gate, *np.split(dx, 2, axis=-1))
            return dx

        return Recorded(out, backward)


def _gated(value, score, gate, out):
    gate[...] = 0.5 * np.tanh(0.5 * score) + 0.5
    np.multiply(value, gate, out=out)


def _gated_gradient(dout, value, gate, dvalue, dscore):
    dvalue[...] = dout * gate
    dscore[...] = dvalue * value * (1 - gate)


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
        send = recording.kernels.arrays.send
        scale, offset = (send(np.asarray(value, recording.dtype)) for value in (self.scale, self.offset))
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
    """Passes its input on; the objective has a penalty on it, divided by the number of samples."""

    def __init__(self, penalty: Penalty):
        self.penalty = penalty

    def record(self, recording: Recording, x) -> Recorded:
        value = np.zeros(())
        recording.output_penalties.append(value)
        recording(self._measure, x, value)

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(self._add_gradient, x, dout)
            return dout

        return Recorded(x, backward)

    def _measure(self, x, value):
        value[...] = self.penalty.value(x) / len(x)

    def _add_gradient(self, x, dout):
        gradient = np.zeros_like(x)
        self.penalty.add_gradient(x, gradient)
        dout += gradient / len(x)
