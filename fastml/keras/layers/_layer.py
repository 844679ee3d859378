"""What layers share: a name, variables, and the nodes that compute them."""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastml.keras import activations, constraints, initializers, regularizers
from fastml.keras._allocation import initial_weights
from fastml.keras._evaluation import evaluated
from fastml.keras._keras_tensor import ONLY_SEQUENTIAL, KerasTensor
from fastml.keras._naming import auto_name
from fastml.keras._serialization import serialize_keras_object
from fastml.keras._variable import Variable
from fastml.keras.config import floatx
from fastml.solvers.backprop import Node, OutputPenalty, Parameter

Shape = tuple[int | None, ...]


class LayerVariable(Variable):
    """A variable of a layer: ``parameter`` is what networks know it as."""

    def __init__(
        self,
        parameter: Parameter,
        name: str,
        path: str,
        trainable: bool,
        regularizer: Any,
        constraint: Any = None,
    ):
        super().__init__(lambda: parameter.value, name, path, trainable)
        self.parameter = parameter
        self.regularizer, self.constraint = regularizer, constraint

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = self.parameter.trainable = bool(value)


class InputSpec(NamedTuple):
    """What a layer takes: a number of axes, at least so many, sizes of some.

    Attributes
    ----------
    ndim, min_ndim : int or None
    axes : dict of int to int
    """

    ndim: int | None = None
    min_ndim: int | None = None
    axes: dict[int, int | None] = {}

    def check(self, shape: Shape, layer_name: str) -> None:
        """Raise a ValueError that names layer and shape if it does not fit."""
        prefix = f"Input 0 of layer '{layer_name}' is incompatible with the layer: expected"
        if self.ndim is not None and len(shape) != self.ndim:
            raise ValueError(
                f"{prefix} ndim={self.ndim}, found ndim={len(shape)}. Full shape received: {shape}"
            )
        if self.min_ndim is not None and len(shape) < self.min_ndim:
            raise ValueError(
                f"{prefix} min_ndim={self.min_ndim}, found ndim={len(shape)}. Full shape received: {shape}"
            )
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"{prefix} axis {axis} of input shape to have value {size}, but received input with shape {shape}"
                )


def _built_once(build: Callable) -> Callable:
    """``build`` of a layer: a layer that it is called on is built, and has its variables once."""

    @functools.wraps(build)
    def built_once(self, input_shape=None):
        if self.built and self._weights:  # a model has none of its own: it checks the shape each time
            return
        build(self, input_shape)
        if not self.built and input_shape is not None:
            self._build_input_shape = self._input_shape = tuple(input_shape)
            self.built = True

    return built_once


class Layer:
    """A layer of a model.

    Parameters
    ----------
    activity_regularizer : Regularizer, str or dict, default=None
        A penalty on outputs.
    trainable : bool, default=True
    dtype : str, default=None
        "float32" or "float64"; None is ``config.floatx()``.
    name : str, default=None
    input_shape : tuple of int, input_dim : int
        The shape of a sample, for the first layer of a model.

    Attributes
    ----------
    built : bool
        Whether its variables are there.
    """

    # The constructor's own arguments, for ``get_config``; each is an attribute.
    arguments: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name}"
            )
        self.name = auto_name(type(self).__name__) if name is None else name
        self.dtype = _standard_dtype(dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        input_dim = kwargs.pop("input_dim", None)
        input_shape = kwargs.pop("input_shape", None if input_dim is None else (input_dim,))
        if input_shape is not None:
            warnings.warn(
                "Do not pass an `input_shape`/`input_dim` argument to a layer. When using Sequential models, prefer "
                "using an `Input(shape)` object as the first layer in the model instead.",
                stacklevel=3,
            )
            self._input_shape_arg = tuple(input_shape)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        if not isinstance(trainable, bool):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable} (of type {type(trainable)})"
            )
        self._trainable = trainable
        self._weights: list[LayerVariable] = []
        self._build_input_shape: Shape | None = None
        self._input_shape: Shape | None = None
        # What a model has put the layer between.
        self._input: KerasTensor | None = None
        self._output: KerasTensor | None = None
        self.input_spec: InputSpec | None = None
        self.built = False
        self.path = self.name

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _built_once(cls.build)  # type: ignore[method-assign]

    # What a kind of layer defines

    @_built_once
    def build(self, input_shape: Shape) -> None:
        """Make the variables for inputs of a shape (whose first axis is the batch)."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of what comes out for inputs of a shape, None standing for what is not known."""
        return tuple(input_shape)

    def make_nodes(self, input_shape: Any) -> list[Node]:
        """The nodes that compute a built layer for samples of a shape."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `make_nodes()` method: layers of fastml.keras are made of "
            "nodes, and a `call()` method in Python cannot be differentiated."
        )

    # Building

    def ensure_built(self, input_shape: Shape, path: str | None = None) -> Shape:
        """Build it if it is not yet; the shape of its output.

        Raises
        ------
        ValueError
            If it does not take such inputs.
        """
        input_shape = tuple(input_shape)
        if self.input_spec is not None:
            self.input_spec.check(input_shape, self.name)
        if not self.built:
            self.path = path or self.name
            self.build(input_shape)
        self._input_shape = input_shape
        return tuple(self.compute_output_shape(input_shape))

    def connect(self, tensor: KerasTensor) -> KerasTensor:
        """Have ``tensor`` as its input; what comes out then. For a model, of a built layer."""
        shape = tuple(self.compute_output_shape(tensor.shape))
        if self._output is None or self._output.shape != shape:
            self._output = KerasTensor(shape, self.dtype)
        self._input = tensor
        return self._output

    @property
    def input(self) -> KerasTensor:
        """Shape and type of what it takes in the model that it is in.

        Raises
        ------
        AttributeError
            If no built model has it.
        """
        return self._connected(self._input, "input")

    @property
    def output(self) -> KerasTensor:
        """Shape and type of what it gives in the model that it is in.

        Raises
        ------
        AttributeError
            If no built model has it.
        """
        return self._connected(self._output, "output")

    def _connected(self, tensor: KerasTensor | None, what: str) -> KerasTensor:
        if tensor is None:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined {what}: it has one once it is in "
                "a model that is built."
            )
        return tensor

    @property
    def compute_dtype(self) -> str:
        """What it computes in: ``dtype``."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        """What its variables have: ``dtype``."""
        return self.dtype

    def output_shape_or_none(self) -> Shape | None:
        """For the inputs that it was built for, or used with first."""
        return None if self._input_shape is None else self.compute_output_shape(self._input_shape)

    def nodes(self, input_shape: tuple[int, ...]) -> list[Node]:
        """All nodes of the layer, its penalty on outputs included."""
        nodes = list(self.make_nodes(input_shape))
        if self.activity_regularizer is not None:
            nodes.append(OutputPenalty(self.activity_regularizer.penalty))
        return nodes

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._build_input_shape is None else {"input_shape": self._build_input_shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        if config.get("input_shape") is not None:
            self.ensure_built(tuple(config["input_shape"]))

    def add_weight(
        self,
        shape: Sequence[int | None] = (),
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        regularizer: Any = None,
        name: str = "variable",
        constraint: Any = None,
    ) -> LayerVariable:
        """Make a variable.

        Raises
        ------
        ValueError
            If an axis of the shape is not known.
        """
        sizes = tuple(size for size in shape if size is not None)
        if len(sizes) < len(shape):
            raise ValueError(
                f"Layer '{self.name}': the variable '{name}' would have the shape {tuple(shape)}, which must be fully "
                "defined. Give the model an Input with all sizes that layers depend on."
            )
        path = f"{self.path}/{name}"
        values = initial_weights(initializers.get(initializer), sizes, self.dtype, path)
        regularizer = regularizers.get(regularizer)
        penalty = None if regularizer is None else regularizer.penalty
        parameter = Parameter(values, trainable and self._trainable, penalty)
        parameter.constraint = constraint = constraints.get(constraint)
        variable = LayerVariable(parameter, name, path, parameter.trainable, regularizer, constraint)
        variable.of_training = trainable  # type: ignore[attr-defined]
        self._weights.append(variable)
        return variable

    def _add_trained(
        self, name: str, shape: Sequence[int | None], prefix: str | None = None
    ) -> LayerVariable:
        """Make a variable of what the layer has under its name: ``kernel_initializer`` and so on.

        Parameters
        ----------
        name : str
        shape : sequence of int
        prefix : str, default=None
            What these attributes begin with, where that is not the name.
        """
        initializer, regularizer, constraint = (
            getattr(self, f"{prefix or name}_{kind}") for kind in ("initializer", "regularizer", "constraint")
        )
        return self.add_weight(shape, initializer, True, regularizer, name, constraint)

    # Variables

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._weights:
            if variable.of_training:  # type: ignore[attr-defined]
                variable.trainable = self._trainable

    @property
    def weights(self) -> list[LayerVariable]:
        """Those that are trained, then those that are not."""
        return sorted(self._weights, key=lambda variable: not variable.of_training)  # type: ignore[attr-defined]

    @property
    def variables(self) -> list[Variable]:
        return list(self.weights)

    @property
    def trainable_weights(self) -> list[LayerVariable]:
        return [variable for variable in self.weights if variable.trainable]

    @property
    def non_trainable_weights(self) -> list[LayerVariable]:
        return [variable for variable in self.weights if not variable.trainable]

    @property
    def trainable_variables(self) -> list[LayerVariable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return [variable for variable in self.variables if not variable.trainable]

    @property
    def losses(self) -> list[float]:
        """Penalties on the weights."""
        return [v.regularizer(v.value) for v in self.trainable_weights if v.regularizer is not None]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Set all weights, in the order of ``get_weights``.

        Raises
        ------
        ValueError
            If number or shapes differ.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of length "
                f"{len(weights)}, but the layer was expecting {len(own)} weights."
            )
        for variable, values in zip(own, weights):
            if variable.shape != np.shape(values):
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with provided weight shape "
                    f"{np.shape(values)}."
                )
        for variable, values in zip(own, weights):
            variable.assign(values)

    def count_params(self) -> int:
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't built. You can build it "
                f"manually via: `layer.build(input_shape)`."
            )
        return sum(variable.value.size for variable in self.weights)

    # Use

    def __call__(self, inputs: Any, training: bool = False) -> np.ndarray:
        """The output for an array of samples."""
        check_is_an_array(inputs)
        x = np.asarray(inputs).astype(self.dtype, copy=False)
        self.ensure_built(x.shape)
        return evaluated(self.nodes(x.shape[1:]), x, training)

    # Configuration

    def get_config(self) -> dict[str, Any]:
        dtype = {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": self.dtype},
            "registered_name": None,
        }
        config = {"name": self.name, "trainable": self._trainable, "dtype": dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        for name in self.arguments:
            value = getattr(self, name)
            serialize = activations.serialize if name == "activation" else serialize_keras_object
            config[name] = serialize(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _standard_dtype(dtype: Any) -> str:
    if dtype is None:
        return floatx()
    if isinstance(dtype, dict):
        dtype = dtype["config"]["name"]
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in ("float32", "float64"):
        raise ValueError(f"fastml.keras computes in float32 and float64. Received: dtype={name}")
    return name


def check_is_an_array(inputs: Any) -> None:
    """Raise a NotImplementedError for what functional models are made by: an Input, a layer, a tensor of one."""
    if isinstance(inputs, Layer | KerasTensor):
        raise NotImplementedError(
            f"{ONLY_SEQUENTIAL} Layers and models are called with arrays. Received: inputs={inputs}"
        )


def refuse(layer: str, **given: Any) -> None:
    """Raise a ValueError if an argument that is not supported was given."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{layer}: {name} is not supported by fastml.keras. Received: {name}={value}")


def standard_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """``n`` integers, of one or of as many.

    Raises
    ------
    ValueError
        If there are others, or a negative one, or 0 where that is not allowed.
    """
    message = f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value}"
    if isinstance(value, int | np.integer):
        value = (int(value),) * n
    try:
        values = tuple(int(element) for element in value)
    except (TypeError, ValueError) as error:
        raise ValueError(message) from error
    if len(values) != n:
        raise ValueError(message)
    wrong = {element for element in values if element < 0 or (element == 0 and not allow_zero)}
    if wrong:
        bound = ">= 0" if allow_zero else "> 0"
        raise ValueError(f"{message}, including values {wrong} that do not satisfy `value {bound}`")
    return values


def channels_last(layer: str, data_format: Any) -> str:
    """The one order of axes there is.

    Raises
    ------
    ValueError
        If another one was asked for.
    """
    if data_format not in (None, "channels_last"):
        raise ValueError(f"{layer}: fastml.keras has channels last only. Received: data_format={data_format}")
    return "channels_last"
