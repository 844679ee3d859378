"""Activations, by Keras' names: functions of arrays, which layers turn into nodes of a network."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.keras._evaluation import as_floats, evaluated
from fastml.keras._serialization import Names, public, serialize_keras_object
from fastml.solvers.backprop import Activation, GatedLinear, Node, RowActivation

_FUNCTIONS: dict[str, Callable] = {}


def _activation(declaration: Callable) -> Callable:
    """Make a function of an array out of its signature and docstring: its name says what it computes."""
    signature = inspect.signature(declaration)

    @functools.wraps(declaration)
    def function(x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        bound = signature.bind(x, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        return _apply(declaration.__name__, as_floats(arguments.pop("x")), arguments)

    _FUNCTIONS[declaration.__name__] = function
    return public("keras.activations")(function)


def _apply(name: str, x: np.ndarray, arguments: dict[str, Any]) -> np.ndarray:
    axis = arguments.pop("axis", None)
    if axis is None:
        return evaluated([_node(name, arguments)], x.reshape(1, -1)).reshape(x.shape)
    rows = np.moveaxis(x, axis, -1)
    if rows.ndim == 1:
        return evaluated([_node(name, {})], rows[None])[0]
    return np.moveaxis(evaluated([_node(name, {})], rows), -1, axis)


def _node(name: str, arguments: dict[str, Any]) -> Node:
    if name == "glu":
        return GatedLinear()
    if name in ("softmax", "log_softmax", "sparsemax"):
        return RowActivation(name)
    return Activation(name, tuple(np.inf if value is None else float(value) for value in arguments.values()))


def node_of(function: Callable) -> Node:
    """The node for an activation that ``get`` gave.

    Raises
    ------
    TypeError
        If it is none of this module's.
    """
    name = getattr(function, "__name__", "")
    if _FUNCTIONS.get(name) is not function:
        raise TypeError(
            "An activation must be one of fastml.keras.activations, whose gradients are known: "
            f"{', '.join(sorted(_FUNCTIONS))}. Received: {function!r}"
        )
    parameters = inspect.signature(function).parameters
    return _node(name, {key: p.default for key, p in parameters.items() if key not in ("x", "axis")})


# The bodies are docstrings: what they say is what kernels.activation computes.


@_activation
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """``max(x, 0)``, with a slope below ``threshold`` and a largest value."""


@_activation
def leaky_relu(x, negative_slope=0.2):
    """x where it is positive, else ``negative_slope * x``."""


@_activation
def relu6(x):
    """``min(max(x, 0), 6)``."""


@_activation
def softmax(x, axis=-1):
    """``exp(x) / sum(exp(x))``."""


@_activation
def log_softmax(x, axis=-1):
    """Logarithm of the softmax."""


@_activation
def sparsemax(x, axis=-1):
    """The point of the simplex that is closest to x."""


@_activation
def glu(x, axis=-1):
    """Half of x times the sigmoid of its other half."""


@_activation
def elu(x, alpha=1.0):
    """x where it is positive, else ``alpha * (exp(x) - 1)``."""


@_activation
def celu(x, alpha=1.0):
    """x where it is positive, else ``alpha * (exp(x / alpha) - 1)``."""


@_activation
def selu(x):
    """elu scaled to keep mean and variance (Klambauer et al., 2017)."""


@_activation
def softplus(x):
    """``log(1 + exp(x))``."""


@_activation
def softsign(x):
    """``x / (1 + |x|)``."""


@_activation
def soft_shrink(x, threshold=0.5):
    """x moved by ``threshold`` towards 0."""


@_activation
def hard_shrink(x, threshold=0.5):
    """x where ``|x| > threshold``, else 0."""


@_activation
def tanh_shrink(x):
    """``x - tanh(x)``."""


@_activation
def sparse_plus(x):
    """softplus with a quadratic in place of the exponential between -1 and 1."""


@_activation
def sparse_sigmoid(x):
    """The line from 0 at -1 to 1 at 1, clipped."""


@_activation
def silu(x):
    """``x * sigmoid(x)``."""


@_activation
def squareplus(x, b=4):
    """``(x + sqrt(x² + b)) / 2``."""


@_activation
def gelu(x, approximate=False):
    """``x * Phi(x)``; approximately, by tanh."""


@_activation
def tanh(x):
    """The hyperbolic tangent."""


@_activation
def hard_tanh(x):
    """x clipped to -1 .. 1."""


@_activation
def threshold(x, threshold, default_value):
    """x where it is above ``threshold``, else ``default_value``."""


@_activation
def sigmoid(x):
    """``1 / (1 + exp(-x))``."""


@_activation
def log_sigmoid(x):
    """Logarithm of the sigmoid."""


@_activation
def hard_sigmoid(x):
    """``x / 6 + 0.5``, clipped to 0 .. 1."""


@_activation
def hard_silu(x):
    """``x * hard_sigmoid(x)``."""


@_activation
def exponential(x):
    """``exp(x)``."""


@_activation
def mish(x):
    """``x * tanh(softplus(x))``."""


@_activation
def linear(x):
    """x."""


swish = silu
hard_swish = hard_silu
_NAMES = Names("activation function", {**_FUNCTIONS, "swish": silu, "hard_swish": hard_silu})


def get(identifier: Any) -> Callable:
    """The activation of a name or a configuration; None is linear.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    return linear if identifier is None else _NAMES.get(identifier)


def serialize(activation: Callable) -> Any:
    """Its name; the configuration of a layer.

    Raises
    ------
    ValueError
        If it is none of this module's.
    """
    if hasattr(activation, "get_config"):
        return serialize_keras_object(activation)
    name = getattr(activation, "__name__", "")
    if _FUNCTIONS.get(name) is not activation:
        raise ValueError(f"Unknown activation function '{activation}' cannot be serialized.")
    return name


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The activation of a name or a configuration."""
    return _NAMES.deserialize(config, custom_objects)
