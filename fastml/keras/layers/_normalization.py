"""Normalisation."""

from typing import Any

from fastml.keras import constraints, initializers, regularizers
from fastml.keras._serialization import public
from fastml.keras.layers._core import over_last_axes, over_last_axis
from fastml.keras.layers._layer import InputSpec, Layer, refuse
from fastml.solvers import backprop

_layer = public("keras.layers")


class _Normalization(Layer):
    """What both share: gamma and beta."""

    def _set_scale(
        self,
        center,
        scale,
        beta_initializer,
        gamma_initializer,
        beta_regularizer,
        gamma_regularizer,
        beta_constraint,
        gamma_constraint,
    ):
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def _add_scale(self, shape):
        if self.scale:
            self.gamma = self._add_trained("gamma", shape)
        if self.center:
            self.beta = self._add_trained("beta", shape)

    def _scale_parameters(self) -> tuple[Any, Any]:
        gamma, beta = (None if v is None else v.parameter for v in (self.gamma, self.beta))
        return gamma, beta


@_layer
class BatchNormalization(_Normalization):
    """Each channel normalised over the batch; in inference, by moving means.

    Parameters
    ----------
    axis : int, default=-1
        That of the channels.
    momentum : float, default=0.99
        How much of the moving mean and variance stays in a step.
    epsilon : float, default=1e-3
    center, scale : bool, default=True
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
    beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint
    **kwargs
        See `Layer`. Not ``trainable``, it normalises by moving means in training, too.
    """

    arguments = (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
        "synchronized",
        "renorm",
        "renorm_clipping",
        "renorm_momentum",
    )
    synchronized, renorm, renorm_clipping, renorm_momentum = False, False, None, 0.99

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse(
            "BatchNormalization",
            renorm=renorm or None,
            renorm_clipping=renorm_clipping,
            synchronized=synchronized or None,
        )
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self._set_scale(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        channels = input_shape[self.axis]
        self._add_scale((channels,))
        self.moving_mean = self.add_weight(
            (channels,), self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            (channels,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def compute_output_shape(self, input_shape):
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {input_shape}. Received: axis={self.axis}"
            )
        return tuple(input_shape)

    def make_nodes(self, input_shape):
        node = backprop.BatchNormalization(
            *self._scale_parameters(),
            self.moving_mean.parameter,
            self.moving_variance.parameter,
            self.momentum,
            self.epsilon,
            frozen=not self.trainable,
        )
        return over_last_axis([node], self.axis, len(input_shape))


@_layer
class LayerNormalization(_Normalization):
    """Each sample normalised over some of its axes.

    Parameters
    ----------
    axis : int or list of int, default=-1
        Counted with the batch.
    epsilon : float, default=1e-3
    center, scale : bool, default=True
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint
    **kwargs
        See `Layer`.
    """

    arguments = (
        "axis",
        "epsilon",
        "center",
        "scale",
        "rms_scaling",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )
    rms_scaling = False

    def __init__(
        self,
        axis=-1,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        rms_scaling=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse("LayerNormalization", rms_scaling=rms_scaling or None)
        if not isinstance(axis, int | list | tuple):
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but received instead: "
                f"axis={axis}"
            )
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.epsilon = epsilon
        self._set_scale(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )

    def _axes(self, input_shape) -> list[int]:
        n = len(input_shape)
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        if any(not -n <= axis < n for axis in given):
            raise ValueError(f"Axis {self.axis} is out of bounds for input shape {input_shape}.")
        axes = sorted({axis % n for axis in given})
        if 0 in axes:
            raise ValueError(
                f"Layer '{self.name}': it normalises over axes of a sample. Received: axis={self.axis} for "
                f"input shape {input_shape}"
            )
        return axes

    def build(self, input_shape):
        self._add_scale(tuple(input_shape[axis] for axis in self._axes(input_shape)))
        self.axis = [self.axis] if isinstance(self.axis, int) else self.axis

    def make_nodes(self, input_shape):
        axes = self._axes((None, *input_shape))
        node = backprop.LayerNormalization(*self._scale_parameters(), len(axes), self.epsilon)
        return over_last_axes([node], axes, len(input_shape))
