"""Inputs, dense layers, activations, dropout, rescaling."""

import warnings
from typing import Any

import numpy as np

from fastml.keras import activations, constraints, initializers, regularizers
from fastml.keras._keras_tensor import KerasTensor
from fastml.keras._serialization import deserialize_keras_object, public, serialize_keras_object
from fastml.keras.layers._layer import InputSpec, Layer, refuse
from fastml.keras.random import SeedGenerator
from fastml.solvers import backprop

_layer = public("keras.layers")


@_layer
class InputLayer(Layer):
    """The shape of samples.

    Parameters
    ----------
    shape : tuple of int
        Of a sample.
    batch_size : int, default=None
    dtype : str, default=None
        Of the data that will come: accepted, and kept for ``get_config``.
    batch_shape : tuple, default=None
        In place of ``shape``: with the batch's size, or None, in front.
    name : str, default=None
    """

    def __init__(
        self,
        shape=None,
        batch_size=None,
        dtype=None,
        sparse=None,
        batch_shape=None,
        name=None,
        ragged=None,
        optional=False,
        input_tensor=None,
    ):
        super().__init__(name=name)
        refuse("InputLayer", sparse=sparse or None, ragged=ragged or None, input_tensor=input_tensor)
        if shape is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
        if batch_size is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `batch_size` and `batch_shape` at the same time.")
        if shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        self.batch_shape = (batch_size, *_sizes(shape)) if batch_shape is None else _sizes(batch_shape)
        self.input_dtype = "float32" if dtype is None else str(np.dtype(dtype))
        self.optional = optional
        self.built = True
        self._input = self._output = KerasTensor(self.batch_shape, self.input_dtype, name=self.name)

    @property
    def shape(self):
        """That of a batch, None standing for its size."""
        return self.batch_shape

    def make_nodes(self, input_shape):
        return []

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.input_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def _sizes(shape: Any) -> tuple[int | None, ...]:
    if not isinstance(shape, tuple | list):
        raise ValueError(f"Cannot convert '{shape}' to a shape.")
    for size in shape:
        if size is not None and (not isinstance(size, int | np.integer) or size < 0):
            raise ValueError(f"Cannot convert '{shape}' to a shape. Found invalid dimension '{size}'.")
    return tuple(shape)


def Input(
    shape=None,
    batch_size=None,
    dtype=None,
    sparse=None,
    ragged=None,
    batch_shape=None,
    name=None,
    tensor=None,
    optional=False,
):
    """The first element of a Sequential model: the shape of samples. See `InputLayer`."""
    refuse("Input", tensor=tensor)
    return InputLayer(shape, batch_size, dtype, sparse, batch_shape, name, ragged, optional)


@_layer
class Dense(Layer):
    """``activation(inputs @ kernel + bias)`` over the last axis.

    Parameters
    ----------
    units : int
    activation : str or function, default=None
    use_bias : bool, default=True
    kernel_initializer, bias_initializer : default="glorot_uniform", "zeros"
    kernel_regularizer, bias_regularizer, activity_regularizer : default=None
    kernel_constraint, bias_constraint : default=None
    **kwargs
        See `Layer`.
    """

    arguments = (
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "kernel_constraint",
        "bias_constraint",
        "quantization_config",
    )
    quantization_config = None

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        if not isinstance(units, int | np.integer) or units <= 0:
            raise ValueError(
                f"Received an invalid value for `units`, expected a positive integer. Received: units={units}"
            )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(
            "Dense",
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape):
        self.kernel = self._add_trained("kernel", (input_shape[-1], self.units))
        self.bias = None
        if self.use_bias:
            self.bias = self._add_trained("bias", (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def make_nodes(self, input_shape):
        bias = None if self.bias is None else self.bias.parameter
        return [
            backprop.Dense(self.kernel.parameter, bias),
            *activation_nodes(self.activation, (*input_shape[:-1], self.units)),
        ]


def activation_nodes(activation: Any, shape: tuple[int, ...]) -> list[backprop.Node]:
    """Those of a function or a layer, for samples of a shape; none if it is linear."""
    if isinstance(activation, Layer):
        return activation.nodes(shape)
    return [] if activation is activations.linear else [activations.node_of(activation)]


@_layer
class Activation(Layer):
    """An activation as a layer of its own."""

    arguments = ("activation",)

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def make_nodes(self, input_shape):
        return activation_nodes(self.activation, input_shape)


@_layer
class ReLU(Layer):
    """``max(x, 0)``; see `activations.relu`."""

    arguments = ("max_value", "negative_slope", "threshold")

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ValueError(
                f"max_value of a ReLU layer cannot be a negative value. Received: max_value={max_value}"
            )
        for name, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0.0:
                raise ValueError(
                    f"{name} of a ReLU layer cannot be None or a negative value. Received: {name}={value}"
                )
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.built = True

    def make_nodes(self, input_shape):
        largest = np.inf if self.max_value is None else self.max_value
        return [backprop.Activation("relu", (self.negative_slope, largest, self.threshold))]


@_layer
class LeakyReLU(Layer):
    """x where it is positive, else ``negative_slope * x``."""

    arguments = ("negative_slope",)

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("Argument `alpha` is deprecated. Use `negative_slope` instead.", stacklevel=2)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative value. Expected a float. "
                f"Received: negative_slope={negative_slope}"
            )
        self.negative_slope = negative_slope
        self.built = True

    def make_nodes(self, input_shape):
        return [backprop.Activation("leaky_relu", (self.negative_slope,))]


@_layer
class ELU(Layer):
    """x where it is positive, else ``alpha * (exp(x) - 1)``."""

    arguments = ("alpha",)

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def make_nodes(self, input_shape):
        return [backprop.Activation("elu", (self.alpha,))]


@_layer
class Softmax(Layer):
    """Softmax over an axis."""

    arguments = ("axis",)

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis[0] if isinstance(axis, tuple | list) and len(axis) == 1 else axis
        if not isinstance(self.axis, int):
            raise ValueError(f"Softmax: fastml.keras takes one axis. Received: axis={axis}")
        self.built = True

    def make_nodes(self, input_shape):
        return over_last_axis([backprop.RowActivation("softmax")], self.axis, len(input_shape))


def over_last_axis(nodes: list[backprop.Node], axis: int, n_axes: int) -> list[backprop.Node]:
    """Nodes that work on the last axis, for ``axis`` (counted with the batch) of samples with ``n_axes`` axes.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    if not -n_axes <= axis <= n_axes or axis == 0:
        raise ValueError(f"axis={axis} is out of bounds for samples with {n_axes} axes.")
    return over_last_axes(nodes, [axis % (n_axes + 1)], n_axes)


def over_last_axes(nodes: list[backprop.Node], axes: list[int], n_axes: int) -> list[backprop.Node]:
    """Nodes that work on the last axes, for ``axes``: sorted, counted with the batch, none of them negative."""
    positions = tuple(axis - 1 for axis in axes)
    there = tuple(i for i in range(n_axes) if i not in positions) + positions
    if there == tuple(range(n_axes)):
        return nodes
    back = tuple(int(i) for i in np.argsort(there))
    return [backprop.Permute(there), *nodes, backprop.Permute(back)]


@_layer
class Dropout(Layer):
    """Zeros in place of a share ``rate`` of inputs while training, the others divided by ``1 - rate``.

    Attributes
    ----------
    seed_generator : SeedGenerator
        Whose state the kernels advance. There is none where ``rate`` is 0, as in Keras: that takes no seed.
    """

    arguments = ("rate", "seed", "noise_shape")
    noise_shape = None

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(
                "Invalid value received for argument `rate`. Expected a float value between 0 and 1. "
                f"Received: rate={rate}"
            )
        refuse("Dropout", noise_shape=noise_shape)
        self.rate, self.seed = rate, seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.built = True

    @property
    def variables(self):
        return [*self.weights, self.seed_generator.state] if self.rate > 0 else list(self.weights)

    def make_nodes(self, input_shape):
        if self.rate == 0:
            return []
        return [backprop.Dropout(self.rate, self.seed_generator.state.value)]


@_layer
class Rescaling(Layer):
    """``inputs * scale + offset``; as the first layer, done while batches are read."""

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = deserialize_keras_object(scale), deserialize_keras_object(offset)

    def make_nodes(self, input_shape):
        return [backprop.Rescale(self.scale, self.offset)]

    def get_config(self):
        scale, offset = serialize_keras_object(self.scale), serialize_keras_object(self.offset)
        return {**super().get_config(), "scale": scale, "offset": offset}
