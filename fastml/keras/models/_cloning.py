"""clone_model."""

from collections.abc import Callable
from typing import Any

from fastml.keras.layers import InputLayer
from fastml.keras.layers._layer import Layer
from fastml.keras.models._sequential import Sequential


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Sequential:
    """A model of new layers, with new weights, that is compiled as the given one is.

    Parameters
    ----------
    model : Sequential
    input_tensors : Input or list of one, default=None
        What the new model begins with; None is an `Input` like the model's.
    clone_function : callable, default=None
        Gives for each layer that is no `Input` the one to take its place: another, or itself, with its weights. None
        makes one of the layer's configuration.
    call_function : None
        There are Sequential models only, which have no use for it.
    recursive : bool, default=False
        Whether layers of models that are layers are given to ``clone_function``, rather than these models.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If an argument is none of these.
    TypeError
        If it was compiled with a loss or metric that has no configuration.
    """
    if kwargs:
        raise ValueError(f"Unexpected keyword argument(s): {tuple(kwargs)}")
    if not isinstance(model, Sequential):
        raise ValueError(
            f"Expected `model` argument to be a `Sequential` model instance. Received: model={model}"
        )
    if call_function is not None:
        raise ValueError(
            "`call_function` argument is not supported with Sequential models, whose layers aren't called when the "
            f"model is made. Received: call_function={call_function}"
        )
    if clone_function is None:
        clone_function = _of_configuration
    if not callable(clone_function):
        raise ValueError(
            f"Expected `clone_function` argument to be a callable. Received: clone_function={clone_function}"
        )
    return _cloned(model, _input_of(model, input_tensors), _Cloning(clone_function, recursive))


def _of_configuration(layer: Layer) -> Layer:
    return type(layer).from_config(layer.get_config())


class _Cloning:
    """What stands for each layer; for one in several places the same."""

    def __init__(self, clone_function: Callable[[Any], Any], recursive: bool):
        self._function, self._recursive = clone_function, recursive
        self._clones: dict[int, Any] = {}

    def __call__(self, layer: Layer) -> Any:
        if id(layer) not in self._clones:
            self._clones[id(layer)] = (
                _cloned(layer, _input_of(layer), self)
                if self._recursive and isinstance(layer, Sequential)
                else self._function(layer)
            )
        return self._clones[id(layer)]


def _cloned(model: Sequential, first: InputLayer | None, cloning: _Cloning) -> Sequential:
    layers = [cloning(layer) for layer in model.layers]
    clone = Sequential(
        layers if first is None else [first, *layers], name=model.name, trainable=model.trainable
    )
    config = model.get_compile_config()
    if config is not None:
        clone.compile_from_config(config)
    return clone


def _input_of(model: Sequential, given: Any = None) -> InputLayer | None:
    """A new one like the model's, or the one that is given."""
    if given is None:
        own = model.input_layer if model._layers else None
        return InputLayer.from_config(own.get_config()) if isinstance(own, InputLayer) else None  # type: ignore[return-value]
    if isinstance(given, list | tuple):
        if len(given) != 1:
            raise ValueError("Argument `input_tensors` must contain a single tensor.")
        given = given[0]
    if not isinstance(given, InputLayer):
        raise ValueError(
            f"Argument `input_tensors` must be an `Input`. Received invalid value: input_tensors={given}"
        )
    return given
