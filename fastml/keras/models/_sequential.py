"""Sequential models: their layers, shapes, weights and configuration."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastml.keras import _device
from fastml.keras._keras_tensor import KerasTensor
from fastml.keras._locks import ForkSafeLock
from fastml.keras._serialization import deserialize_keras_object, public, serialize_keras_object
from fastml.keras.layers import InputLayer
from fastml.keras.layers._layer import Layer, Shape, check_is_an_array
from fastml.keras.models._data import standard_input
from fastml.keras.models._persistence import Persistent
from fastml.keras.models._summary import print_summary
from fastml.keras.models._trainability import Trainability
from fastml.keras.models._trainer import Trainer
from fastml.solvers.backprop import Data, Network, Node


@public("keras", "keras.Model")
class Model(Persistent, Trainer, Layer):
    """The base of `Sequential`, which is the one kind of model there is."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Model":
        if not issubclass(cls, Sequential):
            raise NotImplementedError(
                "fastml.keras has Sequential models only: no functional models (Model(inputs, outputs)) and no "
                "subclasses of Model. Sequential(model.layers[:k]) has the first k layers of a model, and shares their "
                "weights."
            )
        return super().__new__(cls)


@public("keras")
class Sequential(Model):
    """Layers in a row.

    Parameters
    ----------
    layers : sequence of Layer, default=None
        The first may be an `Input`.
    trainable : bool, default=True
    name : str, default=None
    """

    def __init__(
        self, layers: Sequence[Layer] | None = None, trainable: bool = True, name: str | None = None
    ):
        Layer.__init__(self, trainable=True, name=name)
        Trainer.__init__(self)
        self._layers: list[Layer] = []
        self._network: Network | None = None
        self._network_key: Any = None
        # Taken to make variables or a network, for no longer than that takes: predicting never waits for training.
        self._making = ForkSafeLock()
        for layer in layers or ():
            self._append(layer)
        self._maybe_build()
        if not trainable:
            self.trainable = False

    # Layers

    def add(self, layer: Layer, rebuild: bool = True) -> None:
        """Put a layer behind the others.

        Raises
        ------
        ValueError
            If it is none, or has the name of another.
        """
        self._append(layer)
        if rebuild:
            self._maybe_build()

    def _append(self, layer: Any) -> None:
        if not self._layers and getattr(layer, "_input_shape_arg", None) is not None:
            self._append(InputLayer(shape=layer._input_shape_arg))
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `keras.Layer` can be added to a Sequential model. Received: {layer} (of type "
                f"{type(layer)})"
            )
        if any(other.name == layer.name and other is not layer for other in self._layers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name '{layer.name}' is already the "
                "name of a layer in this model. Update the `name` argument to pass a unique name."
            )
        if isinstance(layer, InputLayer) and self._layers and isinstance(self._layers[0], InputLayer):
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{self._layers[0].batch_shape}. You cannot add a different Input layer to it."
            )
        self._layers.append(layer)
        self.built = False

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off."""
        layer = self._layers.pop()
        self.built = False
        if rebuild:
            self._maybe_build()
        return layer

    @property
    def layers(self) -> list[Layer]:
        """All but the `Input`."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name, or at a place."""
        if index is not None and name is not None:
            raise ValueError(
                f"Provide only a layer name or a layer index. Received: index={index}, name={name}."
            )
        if index is not None:
            if len(self.layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(self.layers)} layers."
                )
            return self.layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index at `get_layer`.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}."
        )

    # Building

    def _maybe_build(self) -> None:
        first = self._layers[0] if len(self._layers) > 1 else None
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Sequential) and first.built:
            self.build(first.input_shape)

    def build(self, input_shape: Shape | None = None) -> None:
        """Make all variables, for inputs of a shape (whose first axis is the batch).

        Raises
        ------
        ValueError
            If a layer does not take what comes before it.
        """
        if input_shape is None:
            return
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call `model.add(layer)`."
            )
        input_shape = tuple(input_shape)
        if not isinstance(self._layers[0], InputLayer):
            self._layers.insert(0, InputLayer(batch_shape=(None, *input_shape[1:])))
        first: Any = self._layers[0]
        if first.batch_shape[1:] != input_shape[1:]:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{first.batch_shape}. You cannot build it with input_shape {input_shape}"
            )
        shape: Shape = first.batch_shape
        for layer in self.layers:
            shape = layer.ensure_built(shape, f"{self.path}/{layer.name}")
        tensor = first.output
        for layer in self.layers:
            tensor = layer.connect(tensor)
        self._build_input_shape = self._input_shape = first.batch_shape
        self.built = True

    def ensure_built(self, input_shape: Shape, path: str | None = None) -> Shape:
        """Build it as a layer of another model."""
        if not self.built:
            self.path = path or self.path
            self.build(input_shape)
        return self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = tuple(input_shape)
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Shape:
        """Of a batch, None standing for its size."""
        if not self.built:
            raise AttributeError(f"Sequential model '{self.name}' has no defined input shape yet.")
        return self._layers[0].batch_shape  # type: ignore[attr-defined]

    @property
    def input_layer(self) -> Any:
        """What the shape of samples was given by, or made for."""
        return self._layers[0]

    @property
    def output_shape(self) -> Shape:
        """Of a batch, None standing for its size."""
        if not self.built:
            raise AttributeError(f"Sequential model '{self.name}' has no defined output shape yet.")
        return self.compute_output_shape(self.input_shape)

    @property
    def inputs(self) -> list[KerasTensor]:
        """Shape and type of what it takes: a list of one."""
        if not self.built:
            raise AttributeError(f"Sequential model '{self.name}' has no defined inputs yet.")
        first: Any = self._layers[0]
        return [first.output]

    @property
    def outputs(self) -> list[KerasTensor]:
        """Shape and type of what it gives: a list of one."""
        if not self.built:
            raise AttributeError(f"Sequential model '{self.name}' has no defined outputs yet.")
        return [self._layers[-1].output]

    @property
    def input(self) -> KerasTensor:
        """The one of ``inputs``."""
        return self.inputs[0]

    @property
    def output(self) -> KerasTensor:
        """The one of ``outputs``."""
        return self.outputs[0]

    # Variables: layer by layer

    @property
    def weights(self) -> list[Any]:
        return _unique(variable for layer in self.layers for variable in layer.weights)

    @property
    def variables(self) -> list[Any]:
        return _unique(variable for layer in self.layers for variable in layer.variables)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._layers:
            layer.trainable = value

    @property
    def losses(self) -> list[float]:
        return [loss for layer in _unique(self.layers) for loss in layer.losses]

    # Computation

    def make_nodes(self, input_shape: tuple[int, ...]) -> list[Node]:
        nodes: list[Node] = []
        shape: Shape = (None, *input_shape)
        for layer in self.layers:
            nodes += layer.nodes(shape[1:])  # type: ignore[arg-type]
            shape = layer.compute_output_shape(shape)
        return nodes

    def network(
        self, sample_shape: tuple[int, ...], train: bool = False, trainability: Trainability | None = None
    ) -> Network:
        """The network for samples of a shape: the one at hand, unless something has changed.

        A ``trainability`` decides what it trains; None is that of the network at hand, for what does not train. One
        that is only to predict leaves the parameters where they are: it may be made while another one trains them.
        """
        with self._making:
            return self._network_for(sample_shape, train, trainability)

    def _network_for(
        self, sample_shape: tuple[int, ...], train: bool, trainability: Trainability | None
    ) -> Network:
        if not self.built:
            self.build((None, *sample_shape))
        dtypes = {layer.dtype for layer in self.layers}
        if len(dtypes) != 1:
            raise ValueError(f"All layers of a model must have one dtype. Received: {sorted(dtypes)}")
        if trainability is None:
            trainability = Trainability.of(self)
            if self._network is not None and trainability.is_of_what(self._network_key[-1]):
                trainability = self._network_key[-1]
        key = (sample_shape, _device.device(), trainability)
        network = self._network
        if (
            network is None
            or self._network_key != key
            or not network.is_current
            or (train and network.trained != network.parameters)
        ):
            with trainability.applied():
                nodes = self.make_nodes(sample_shape)
                network = Network(nodes, sample_shape, np.dtype(dtypes.pop()), _device.device(), train)
            self._network, self._network_key = network, key
        return network

    def adapted(self, x: Any) -> np.ndarray:
        """Inputs of the model's shape; an axis of length 1 at the end is added or taken off.

        Raises
        ------
        ValueError
            If they have another shape.
        """
        x = standard_input(x)
        with self._making:
            if not self.built:
                self.build((None, *x.shape[1:]))
        expected = self.input_shape
        if x.ndim == len(expected) + 1 and x.shape[-1] == 1:
            x = x[..., 0]
        elif x.ndim == len(expected) - 1 and expected[-1] == 1:
            x = x[..., None]
        fits = x.ndim == len(expected) and all(
            e in (None, size) for e, size in zip(expected[1:], x.shape[1:])
        )
        if not fits:
            raise ValueError(
                f'Exception encountered when calling {self.name}: input 0 of layer "{self.layers[0].name}" is '
                f"incompatible with the layer: expected shape={expected}, found shape={(None, *x.shape[1:])}"
            )
        return np.ascontiguousarray(x)

    def __call__(self, inputs: Any, training: bool = False) -> np.ndarray:
        """The output for an array of samples."""
        check_is_an_array(inputs)
        x = self.adapted(inputs)
        # Frozen normalisation does in training what it does elsewhere.
        network = self.network(x.shape[1:], trainability=Trainability.of(self) if training else None)
        program = network.inference(len(x), as_in_training=training)
        program.load(Data(x))
        program.run()
        return np.array(network.kernels.arrays.fetch(program.predictions))

    # Configuration

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers. ``expand_nested`` and ``layer_range`` are accepted and change nothing."""
        print_summary(self, line_length, positions, print_fn, show_trainable)

    def __reduce__(self) -> Any:
        values = [variable.numpy() for variable in self.variables]
        return _remade, (serialize_keras_object(self), values, self._optimizer_state())

    def _optimizer_state(self) -> "_OptimizerState | None":
        if self.optimizer is None:
            return None
        places = None
        if self.optimizer.built:
            own = {id(variable): place for place, variable in enumerate(self.weights)}
            places = [own.get(id(variable)) for variable in self.optimizer.trainable_variables]
            if None in places:
                raise ValueError(
                    f"Sequential model '{self.name}' no longer has all layers that its optimizer was built for. Call "
                    "`compile()` before it is copied or pickled."
                )
        return _OptimizerState(places, [variable.numpy() for variable in self.optimizer.variables])

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "trainable": self._trainable, "dtype": Layer.get_config(self)["dtype"]}
        config["layers"] = [serialize_keras_object(layer) for layer in self._layers]
        if self.built:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Sequential":
        if "name" not in config or "layers" not in config:
            raise ValueError(
                "A Sequential model configuration must be a dictionary containing the 'name' and 'layers' keys. "
                f"Received: config={config}"
            )
        layers = [deserialize_keras_object(layer, custom_objects) for layer in config["layers"]]
        model = cls(layers, name=config["name"])
        shape = config.get("build_input_shape")
        if not model.built and shape:
            model.build(tuple(shape))
        return model


def _unique(objects: Iterable[Any]) -> list[Any]:
    """Each once: layers may be in several places."""
    return list({id(each): each for each in objects}.values())


class _OptimizerState(NamedTuple):
    """An optimizer's variables, and the places among the model's weights of those it was built for, if it was."""

    built_for: list[int | None] | None
    values: list[np.ndarray]


def _remade(
    config: dict[str, Any], variables: list[np.ndarray], of_optimizer: _OptimizerState | None
) -> Sequential:
    """What pickles and copies are made by: configuration, then every variable."""
    compiled = config.pop("compile_config", None)
    model = deserialize_keras_object(config)
    for variable, value in zip(model.variables, variables, strict=True):
        variable.assign(value)
    if compiled is not None:
        model.compile(**deserialize_keras_object(compiled))
    if of_optimizer is not None:
        optimizer = model.optimizer
        if of_optimizer.built_for is not None:
            optimizer.build([model.weights[place] for place in of_optimizer.built_for])
        for variable, value in zip(optimizer.variables, of_optimizer.values, strict=True):
            variable.assign(value)
    return model
