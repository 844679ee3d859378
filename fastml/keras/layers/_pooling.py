"""Pooling."""

from typing import Any

from fastml.keras._serialization import public
from fastml.keras.layers._layer import InputSpec, Layer, Shape, channels_last, standard_tuple
from fastml.solvers import backprop
from fastml.solvers.backprop import Window


class _Pooling(Layer):
    arguments = ("pool_size", "padding", "strides", "data_format")
    rank = 2
    node: type

    def _set(self, pool_size, strides, padding, data_format):
        self.pool_size = standard_tuple(pool_size, self.rank, "pool_size")
        self.strides = standard_tuple(pool_size if strides is None else strides, self.rank, "strides")
        if padding not in ("valid", "same"):
            raise ValueError(
                f"The `padding` argument must be one of {{'valid', 'same'}}. Received: padding={padding}"
            )
        self.padding = padding
        self.data_format = channels_last(type(self).__name__, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes: list[int | None] = []
        for length, size, stride in zip(input_shape[1:-1], self.pool_size, self.strides):
            if length is None:
                sizes.append(None)
                continue
            valid = self.padding == "valid"
            sizes.append((length - size) // stride + 1 if valid else (length - 1) // stride + 1)
            if length < size and valid:
                raise ValueError(
                    f"Layer '{self.name}': computed output size would be negative. Received: `inputs.shape="
                    f"{input_shape}` and `pool_size={self.pool_size}`."
                )
        return (input_shape[0], *sizes, input_shape[-1])

    def make_nodes(self, input_shape):
        if self.rank == 2:
            return [self.node(Window(self.pool_size, self.strides, self.padding))]
        output_shape: Any = self.compute_output_shape((None, *input_shape))[1:]
        window = Window((1, *self.pool_size), (1, *self.strides), self.padding)
        return [backprop.Reshape((1, *input_shape)), self.node(window), backprop.Reshape(output_shape)]


class _Pooling2D(_Pooling):
    def __init__(
        self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self._set(pool_size, strides, padding, data_format)


class _Pooling1D(_Pooling):
    rank = 1

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self._set(pool_size, strides, padding, data_format)


@public("keras.layers", "MaxPool2D")
class MaxPooling2D(_Pooling2D):
    """The largest value in each window of images."""

    node = backprop.MaxPool


@public("keras.layers", "AvgPool2D")
class AveragePooling2D(_Pooling2D):
    """The mean of each window of images."""

    node = backprop.AveragePool


@public("keras.layers", "MaxPool1D")
class MaxPooling1D(_Pooling1D):
    """The largest value in each window of sequences."""

    node = backprop.MaxPool


@public("keras.layers", "AvgPool1D")
class AveragePooling1D(_Pooling1D):
    """The mean of each window of sequences."""

    node = backprop.AveragePool


class _GlobalPooling2D(Layer):
    arguments = ("data_format", "keepdims")
    node: type

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last(type(self).__name__, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *((1, 1) if self.keepdims else ()), input_shape[-1])

    def make_nodes(self, input_shape):
        image = self.node(Window(input_shape[:2], input_shape[:2]))
        return [image] if self.keepdims else [image, backprop.Reshape((input_shape[2],))]


@public("keras.layers", "GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each channel."""

    node = backprop.MaxPool


@public("keras.layers", "GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel."""

    node = backprop.AveragePool
