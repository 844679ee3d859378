"""Pooling."""

from fastml.solvers.backprop._dense import Window
from fastml.solvers.backprop._node import Node, Recorded, Recording, Shape


class _Pool(Node):
    def __init__(self, window: Window):
        self.window = window

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*self.window.output_size(input_shape[:2]), input_shape[2])

    def out(self, recording: Recording, x):
        return recording.array((len(x), *self.output_shape(x.shape[1:])))


class MaxPool(_Pool):
    """The largest value in each window of each channel."""

    def record(self, recording: Recording, x) -> Recorded:
        pool, window = recording.kernels.pool, self.window
        out = self.out(recording, x)
        argmax = recording.array(out.shape, "int32")
        padding = window.padding_before(x.shape[1:3])
        position = (window.size, window.strides, padding)
        recording(pool.max_forward, x, out, argmax if recording.training else None, *position)

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(pool.max_gradient, dout, argmax, dx, *position)
            return dx

        return Recorded(out, backward)


class AveragePool(_Pool):
    """The mean of each window of each channel, without the zeros of padding."""

    def record(self, recording: Recording, x) -> Recorded:
        pool, window = recording.kernels.pool, self.window
        out = self.out(recording, x)
        padding = window.padding_before(x.shape[1:3])
        recording(pool.average_forward, x, out, window.size, window.strides, padding)

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(pool.average_gradient, dout, dx, window.size, window.strides, padding)
            return dx

        return Recorded(out, backward)
