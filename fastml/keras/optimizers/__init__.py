"""Optimizers, by Keras' names."""

from typing import Any

from fastml.keras._serialization import Names, public, serialize_keras_object
from fastml.keras.optimizers import schedules
from fastml.keras.optimizers._optimizer import Optimizer
from fastml.solvers import backprop

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_optimizer = public("keras.optimizers")


@_optimizer
class SGD(Optimizer):
    """Gradient descent, with momentum or Nesterov's.

    Parameters
    ----------
    learning_rate : float, default=0.01
    momentum : float, default=0.0
    nesterov : bool, default=False
    weight_decay : float, default=None
    **shared
        See `Optimizer`.
    """

    state_order = (("momentum",),)
    arguments = ("momentum", "nesterov")

    def __init__(self, learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=None, **shared: Any):
        super().__init__(learning_rate, weight_decay, **shared)
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError("`momentum` must be a float between [0, 1].")
        self.momentum, self.nesterov = momentum, nesterov

    def _make_rule(self, **shared):
        return backprop.SGD(self.momentum, self.nesterov, **shared)


@_optimizer
class RMSprop(Optimizer):
    """Steps divided by the root of a moving mean of squared gradients.

    Parameters
    ----------
    learning_rate : float, default=0.001
    rho : float, default=0.9
        How much of the mean stays.
    momentum : float, default=0.0
    epsilon : float, default=1e-7
    centered : bool, default=False
        Whether the mean gradient's square is taken off.
    weight_decay : float, default=None
    **shared
        See `Optimizer`.
    """

    state_order = (("velocity",), ("momentum",), ("average_gradient",))
    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
        weight_decay=None,
        **shared: Any,
    ):
        super().__init__(learning_rate, weight_decay, **shared)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def _make_rule(self, **shared):
        return backprop.RMSprop(self.rho, self.momentum, self.epsilon, self.centered, **shared)


@_optimizer
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of squared gradients.

    Parameters
    ----------
    learning_rate : float, default=0.001
    initial_accumulator_value : float, default=0.1
    epsilon : float, default=1e-7
    weight_decay : float, default=None
    **shared
        See `Optimizer`.
    """

    state_order = (("accumulator",),)
    arguments = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate=0.001,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        weight_decay=None,
        **shared: Any,
    ):
        super().__init__(learning_rate, weight_decay, **shared)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def _make_rule(self, **shared):
        return backprop.Adagrad(self.initial_accumulator_value, self.epsilon, **shared)


@_optimizer
class Adam(Optimizer):
    """Adam (D. Kingma and J. Ba, 2014), with ``amsgrad`` that of S. Reddi et al., 2018.

    Parameters
    ----------
    learning_rate : float, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-7
    amsgrad : bool, default=False
    weight_decay : float, default=None
    **shared
        See `Optimizer`.
    """

    state_order = (("momentum", "velocity"), ("velocity_hat",))
    arguments = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        weight_decay=None,
        **shared: Any,
    ):
        super().__init__(learning_rate, weight_decay, **shared)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def _make_rule(self, **shared):
        return backprop.Adam(self.beta_1, self.beta_2, self.epsilon, self.amsgrad, **shared)


@_optimizer
class AdamW(Adam):
    """Adam with decoupled weight decay (I. Loshchilov and F. Hutter, 2019); arguments as for `Adam`."""

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **shared: Any,
    ):
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **shared)


_CLASSES = (SGD, RMSprop, Adagrad, Adam, AdamW)
_NAMES = Names(
    "optimizer",
    {**{cls.__name__: cls for cls in _CLASSES}, **{cls.__name__.lower(): cls for cls in _CLASSES}},
)


def get(identifier: Any) -> Any:
    """The optimizer of a name (in any case), a configuration, or itself; None is None.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _NAMES.objects:
        return _NAMES.get(identifier.lower())
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}")


def serialize(optimizer: Any) -> Any:
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    return _NAMES.deserialize(config, custom_objects)
