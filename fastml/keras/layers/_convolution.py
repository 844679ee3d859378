"""Convolution."""

from typing import Any

from fastml.keras import activations, constraints, initializers, regularizers
from fastml.keras._serialization import public
from fastml.keras.layers._core import activation_nodes
from fastml.keras.layers._layer import InputSpec, Layer, Shape, channels_last, standard_tuple
from fastml.solvers import backprop
from fastml.solvers.backprop import Window


class Convolution(Layer):
    """What convolutions share: the window, the activation, the bias."""

    def _set_window(self, kernel_size, strides, padding, data_format, dilation_rate, paddings) -> None:
        rank = self.rank
        self.kernel_size = standard_tuple(kernel_size, rank, "kernel_size")
        self.strides = standard_tuple(strides, rank, "strides")
        self.dilation_rate = standard_tuple(dilation_rate, rank, "dilation_rate")
        self.padding = padding.lower()
        if self.padding not in paddings:
            raise ValueError(
                f"The `padding` argument must be a list/tuple or one of {set(paddings)}. Received: {self.padding}"
            )
        self.data_format = channels_last(type(self).__name__, data_format)
        self.input_spec = InputSpec(min_ndim=rank + 2)

    rank = 2
    filters: Any

    def _set_rest(self, activation, use_bias, bias_initializer, bias_regularizer, bias_constraint) -> None:
        """After the kernel's initializers, as in Keras: each may take a seed when it is made."""
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)

    def _check_strides(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    def _add_bias(self, n: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self._add_trained("bias", (n,))

    def _activation_nodes(self, input_shape: Any) -> list[backprop.Node]:
        shape: Any = self.compute_output_shape((None, *input_shape))[1:]
        return activation_nodes(self.activation, shape if self.rank == 2 else (1, *shape))

    def _bias_parameter(self) -> Any:
        return None if self.bias is None else self.bias.parameter

    def _n_outputs(self, channels: int | None) -> int | None:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"Layer '{self.name}': kernel shape must have the same length as input, but received kernel of size "
                f"{self.kernel_size} and input of shape {input_shape}."
            )
        sizes: list[int | None] = []
        for length, size, stride, dilation in zip(
            input_shape[1:-1], self.kernel_size, self.strides, self.dilation_rate
        ):
            if length is None:
                sizes.append(None)
            elif self.padding == "valid":
                sizes.append((length - dilation * (size - 1) - 1) // stride + 1)
            else:
                sizes.append((length - 1) // stride + 1)
        if any(size is not None and size <= 0 for size in sizes):
            raise ValueError(
                f"Layer '{self.name}': computed output size would be zero or negative. Received `inputs shape="
                f"{input_shape}`, `kernel size={self.kernel_size}`, `dilation_rate={self.dilation_rate}`, "
                f"`strides={self.strides}`, `padding={self.padding}`."
            )
        return (input_shape[0], *sizes, self._n_outputs(input_shape[-1]))

    def _images(self, nodes: list[backprop.Node], input_shape: Any) -> list[backprop.Node]:
        """For images, or for sequences as images of one row."""
        if self.rank == 2:
            return nodes
        output_shape: Any = self.compute_output_shape((None, *input_shape))[1:]
        return [backprop.Reshape((1, *input_shape)), *nodes, backprop.Reshape(output_shape)]

    def _window(self) -> Window:
        if self.rank == 2:
            return Window(self.kernel_size, self.strides, self.padding, self.dilation_rate)
        return Window((1, *self.kernel_size), (1, *self.strides), self.padding, (1, *self.dilation_rate))


class _Conv(Convolution):
    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate, self.paddings)
        self.filters: Any = filters
        self.groups = groups
        self.kernel_initializer = initializers.get(kernel_initializer)
        self._set_rest(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        check_filters(filters)
        if groups <= 0:
            raise ValueError(f"The number of groups must be a positive integer. Received: groups={groups}.")
        if filters % groups != 0:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. Received: "
                f"groups={groups}, filters={filters}."
            )
        self._check_strides()

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is not None and channels % self.groups != 0:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number of groups. Received "
                f"groups={self.groups}, but the input has {channels} channels (full input shape is {input_shape})."
            )
        self.compute_output_shape(input_shape)
        shape = (*self.kernel_size, None if channels is None else channels // self.groups, self.filters)
        self.kernel = self._add_trained("kernel", shape)
        self._add_bias(self.filters)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={-1: channels})

    def _n_outputs(self, channels):
        return self.filters

    def make_nodes(self, input_shape):
        shape = self.kernel.shape if self.rank == 2 else (1, *self.kernel.shape)
        conv = backprop.Conv(
            self.kernel.parameter,
            self._bias_parameter(),
            self._window(),
            self.groups,
            filter_shape=shape,
        )
        return self._images([conv, *self._activation_nodes(input_shape)], input_shape)


def check_filters(filters: Any) -> None:
    if filters <= 0:
        raise ValueError(
            "Invalid value for argument `filters`. Expected a strictly positive value. Received "
            f"filters={filters}."
        )


@public("keras.layers", "Convolution2D")
class Conv2D(_Conv):
    """Convolution of images (height, width, channels).

    Parameters
    ----------
    filters : int
    kernel_size : int or tuple of two
    strides : int or tuple of two, default=(1, 1)
    padding : {"valid", "same"}, default="valid"
    data_format : {None, "channels_last"}
    dilation_rate : int or tuple of two, default=(1, 1)
    groups : int, default=1
    activation : str or function, default=None
    use_bias : bool, default=True
    kernel_initializer, bias_initializer : default="glorot_uniform", "zeros"
    kernel_regularizer, bias_regularizer, activity_regularizer : default=None
    kernel_constraint, bias_constraint : default=None
    **kwargs
        See `Layer`.
    """


@public("keras.layers", "Convolution1D")
class Conv1D(_Conv):
    """Convolution of sequences (steps, channels); ``padding`` may be "causal". Otherwise as `Conv2D`."""

    rank = 1
    paddings = ("valid", "same", "causal")
