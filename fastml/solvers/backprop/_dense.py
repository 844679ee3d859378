"""Nodes that are matrix products: dense layers and convolution."""

from typing import NamedTuple

from fastml.kernels.conv_geometry import Geometry
from fastml.solvers.backprop._node import Node, Parameter, Recorded, Recording, Shape


def gradient_of(parameter: Parameter | None, recording: Recording):
    """Where a parameter's gradient goes: an array that nobody reads if it is not trained."""
    if parameter is None:
        return None
    return parameter.gradient if recording.trains(parameter) else recording.array(parameter.shape)


class Dense(Node):
    """``x @ weights + bias`` over the last axis, then relu if ``activation`` says so."""

    def __init__(self, weights: Parameter, bias: Parameter | None, activation: str = "linear"):
        self.weights, self.bias, self.activation = weights, bias, activation
        self.parameters = (weights,) if bias is None else (weights, bias)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.weights.shape[1])

    def record(self, recording: Recording, x) -> Recorded:
        dense, activation = recording.kernels.dense, recording.kernels.activation
        out = recording.array((*x.shape[:-1], self.weights.shape[1]))
        rows, out_rows = as_rows(x), as_rows(out)
        bias = None if self.bias is None else self.bias.value
        recording(dense.forward, rows, self.weights.value, bias, out_rows, self.activation)

        def backward(dout, wanted):
            if self.activation == "relu":
                recording(activation.gradient, out, out, dout, dout, "relu")
            dout_rows = as_rows(dout)
            if recording.trains_any_of(self):
                dW, dbias = gradient_of(self.weights, recording), gradient_of(self.bias, recording)
                recording(dense.gradient_weights, rows, dout_rows, dW, dbias)
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(dense.gradient_input, dout_rows, self.weights.value, as_rows(dx))
            return dx

        return Recorded(out, backward)


class Window(NamedTuple):
    """How a filter or a pooling window moves over an image."""

    size: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    padding: str = "valid"
    dilation: tuple[int, ...] = (1, 1)

    def output_size(self, image: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of what comes out."""
        height, width = (self._positions(axis, image[axis]) for axis in (0, 1))
        return height, width

    def _extent(self, axis: int) -> int:
        return (self.size[axis] - 1) * self.dilation[axis] + 1

    def _positions(self, axis: int, length: int) -> int:
        if self.padding == "valid":
            return max(0, (length - self._extent(axis)) // self.strides[axis] + 1)
        return (length - 1) // self.strides[axis] + 1

    def padding_before(self, image: tuple[int, ...]) -> tuple[int, int]:
        """Zeros above and to the left: of an odd number the smaller half, as in TensorFlow; all if "causal"."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self._extent(0) - 1, self._extent(1) - 1
        top, left = (
            max(
                (self._positions(axis, image[axis]) - 1) * self.strides[axis]
                + self._extent(axis)
                - image[axis],
                0,
            )
            // 2
            for axis in (0, 1)
        )
        return top, left


class Conv(Node):
    """Convolution of images (height, width, channels), plus bias, then relu if ``activation`` says so.

    ``filters`` has shape (height, width, channels // groups, outputs); one of another shape with as many elements in
    the same order, such as Keras' for depthwise convolution, is read as that: ``filter_shape``.
    """

    def __init__(
        self,
        filters: Parameter,
        bias: Parameter | None,
        window: Window,
        groups: int = 1,
        activation: str = "linear",
        filter_shape: Shape | None = None,
    ):
        self.filters, self.bias, self.window, self.groups = filters, bias, window, groups
        self.activation = activation
        self.filter_shape = filters.shape if filter_shape is None else filter_shape
        self.parameters = (filters,) if bias is None else (filters, bias)

    @property
    def is_depthwise(self) -> bool:
        """Whether each of several groups has one channel."""
        return self.groups > 1 and self.filter_shape[2] == 1

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*self.window.output_size(input_shape[:2]), self.filter_shape[-1])

    def geometry(self, image: tuple[int, ...]) -> Geometry:
        window = self.window
        strides, dilation = (window.strides[0], window.strides[1]), (window.dilation[0], window.dilation[1])
        return Geometry(strides, window.padding_before(image), dilation, self.groups)

    def record(self, recording: Recording, x) -> Recorded:
        conv, activation = recording.kernels.conv, recording.kernels.activation
        geometry = self.geometry(x.shape[1:3])
        filters = self.filters.value.reshape(self.filter_shape)
        bias = None if self.bias is None else self.bias.value
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        recording(conv.forward, x, filters, bias, out, geometry, self.activation)

        def backward(dout, wanted):
            if self.activation == "relu":
                recording(activation.gradient, out, out, dout, dout, "relu")
            if recording.trains_any_of(self):
                dW, dbias = self.gradients(recording)
                recording(conv.gradient_filters, x, dout, dW, dbias, geometry)
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(conv.gradient_input, dout, filters, dx, geometry)
            return dx

        return Recorded(out, backward)

    def gradients(self, recording: Recording):
        dW = gradient_of(self.filters, recording).reshape(self.filter_shape)
        return dW, gradient_of(self.bias, recording)


class ConvMaxPool(Node):
    """Convolution, bias, relu and max pooling in one, of which nothing in between is needed again."""

    def __init__(self, conv: Conv, pool: tuple[int, ...]):
        self.conv, self.pool = conv, pool
        self.parameters = conv.parameters

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = self.conv.output_shape(input_shape)
        return height // self.pool[0], width // self.pool[1], channels

    def record(self, recording: Recording, x) -> Recorded:
        kernels, conv = recording.kernels.conv, self.conv
        geometry = conv.geometry(x.shape[1:3])
        shape = (len(x), *self.output_shape(x.shape[1:]))
        out, argmax = recording.array(shape), recording.array(shape, "uint8")
        filters = conv.filters.value.reshape(conv.filter_shape)
        bias = None if conv.bias is None else conv.bias.value
        recording(kernels.forward_max_pooled, x, filters, bias, out, argmax, geometry, self.pool)

        def backward(dout, wanted):
            maxima = dout, out, argmax
            if recording.trains_any_of(conv):
                dW, dbias = conv.gradients(recording)
                recording(kernels.gradient_filters_max_pooled, x, *maxima, dW, dbias, geometry, self.pool)
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(kernels.gradient_input_max_pooled, *maxima, filters, dx, geometry, self.pool)
            return dx

        return Recorded(out, backward)


def as_rows(x):
    """The same memory as a matrix of rows along the last axis."""
    return x.reshape(-1, x.shape[-1])
