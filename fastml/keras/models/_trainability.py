"""What of a model is trained, as it was at some time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastml.keras.layers._layer import Layer, LayerVariable


class Trainability(NamedTuple):
    """``trainable`` of layers, without those that only hold others, and of variables."""

    layers: tuple[tuple[Layer, bool], ...]
    variables: tuple[tuple[LayerVariable, bool], ...]

    @classmethod
    def of(cls, model: Any) -> "Trainability":
        """As it is now; not as another thread has it for a moment to make a network by."""
        with model._making:
            return cls(
                tuple((layer, layer.trainable) for layer in _leaves(model)),
                tuple((variable, variable.trainable) for variable in model.weights),
            )

    @property
    def trained(self) -> list[LayerVariable]:
        return [variable for variable, trainable in self.variables if trainable]

    def is_of_what(self, other: "Trainability") -> bool:
        """Whether both are of the same layers and variables."""
        return all(
            [each for each, _ in own] == [each for each, _ in others] for own, others in zip(self, other)
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have it so in the block, for which the thread has the model's ``_making``."""
        before = [layer.trainable for layer, _ in self.layers], [v.trainable for v, _ in self.variables]
        self._set([flag for _, flag in self.layers], [flag for _, flag in self.variables])
        try:
            yield
        finally:
            self._set(*before)

    def _set(self, of_layers: list[bool], of_variables: list[bool]) -> None:
        for (layer, _), flag in zip(self.layers, of_layers):
            layer._trainable = flag  # not that of its variables, which may differ
        for (variable, _), flag in zip(self.variables, of_variables):
            variable.trainable = flag


def _leaves(model: Any) -> list[Layer]:
    leaves: list[Layer] = []
    for layer in model.layers:
        leaves += _leaves(layer) if hasattr(layer, "layers") else [layer]
    return leaves
