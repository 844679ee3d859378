"""Convolution of each channel by itself."""

from typing import Any

from fastml.keras import constraints, initializers, regularizers
from fastml.keras._serialization import public
from fastml.keras.layers._convolution import Convolution, check_filters
from fastml.keras.layers._layer import InputSpec
from fastml.solvers import backprop
from fastml.solvers.backprop import Window

_layer = public("keras.layers")


class _Depthwise(Convolution):
    """What convolves each channel by itself."""

    depth_multiplier: int

    def _check_multiplier(self) -> None:
        if self.depth_multiplier <= 0:
            raise ValueError(
                "Invalid value for argument `depth_multiplier`. Expected a strictly positive value. Received "
                f"depth_multiplier={self.depth_multiplier}."
            )

    def _depthwise_node(self, kernel, bias, input_shape) -> backprop.Node:
        channels = input_shape[-1]
        shape = (*self.kernel_size, 1, channels * self.depth_multiplier)
        return backprop.Conv(kernel.parameter, bias, self._window(), channels, filter_shape=shape)


@_layer
class DepthwiseConv2D(_Depthwise):
    """Convolution of each channel by itself, with ``depth_multiplier`` filters; otherwise as `Conv2D`."""

    arguments = (
        "depth_multiplier",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate, ("valid", "same"))
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self._set_rest(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self._check_multiplier()
        self._check_strides()
        _check_square_strides(self)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.compute_output_shape(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add_trained("kernel", shape, "depthwise")
        self._add_bias(channels * self.depth_multiplier)
        self.input_spec = InputSpec(min_ndim=4, axes={-1: channels})

    def _n_outputs(self, channels):
        return None if channels is None else channels * self.depth_multiplier

    def make_nodes(self, input_shape):
        node = self._depthwise_node(self.kernel, self._bias_parameter(), input_shape)
        return [node, *self._activation_nodes(input_shape)]


def _check_square_strides(layer: Convolution) -> None:
    # TensorFlow's depthwise convolution refuses them, and with it Keras.
    if len(set(layer.strides)) > 1:
        raise ValueError(
            f"{type(layer).__name__}: strides of height and width must be equal. Received: strides={layer.strides}"
        )


@public("keras.layers", "SeparableConvolution2D")
class SeparableConv2D(_Depthwise):
    """Convolution of each channel by itself, then of all of them pixel by pixel; otherwise as `Conv2D`."""

    arguments = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "depth_multiplier",
        "dilation_rate",
        "activation",
        "use_bias",
        "depthwise_initializer",
        "pointwise_initializer",
        "bias_initializer",
        "depthwise_regularizer",
        "pointwise_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "depthwise_constraint",
        "pointwise_constraint",
        "bias_constraint",
    )

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate, ("valid", "same"))
        self.filters: Any = filters
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self._set_rest(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)
        check_filters(filters)
        self._check_multiplier()
        self._check_strides()
        _check_square_strides(self)

    def build(self, input_shape):
        channels = input_shape[-1]
        self.compute_output_shape(input_shape)
        depthwise = (*self.kernel_size, channels, self.depth_multiplier)
        pointwise = (1, 1, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self._add_trained("depthwise_kernel", depthwise, "depthwise")
        self.pointwise_kernel = self._add_trained("pointwise_kernel", pointwise, "pointwise")
        self._add_bias(self.filters)
        self.input_spec = InputSpec(min_ndim=4, axes={-1: channels})

    def _n_outputs(self, channels):
        return self.filters

    def make_nodes(self, input_shape):
        depthwise = self._depthwise_node(self.depthwise_kernel, None, input_shape)
        pointwise = backprop.Conv(self.pointwise_kernel.parameter, self._bias_parameter(), Window((1, 1)))
        return [depthwise, pointwise, *self._activation_nodes(input_shape)]
