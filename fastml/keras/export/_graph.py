"""An ONNX graph in the making."""

from typing import Any, NamedTuple

import numpy as np


class Signal(NamedTuple):
    """What a node gives to the next one.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Of a sample, channels last.
    channels_first : bool
        Whether the array is of images whose channels come first nevertheless, as ONNX wants them. They stay there from
        one layer of images to the next, as transposing them costs time.
    """

    name: str
    shape: tuple[int, ...]
    channels_first: bool = False


class Graph:
    """Operations and constants.

    Parameters
    ----------
    onnx : module

    Attributes
    ----------
    nodes, initializers : list
    """

    def __init__(self, onnx: Any):
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def op(
        self, kind: str, *inputs: str, output: str | None = None, n_outputs: int = 1, **attributes: Any
    ) -> Any:
        """Add an operation; the name of its output, or a list of names if ``n_outputs`` is not 1."""
        stem = output or f"{kind.lower()}_{len(self.nodes)}"
        names = [stem] if n_outputs == 1 else [f"{stem}_{i}" for i in range(n_outputs)]
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, names, name=stem, **attributes))
        return names[0] if n_outputs == 1 else names

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add an array of numbers."""
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def channels_first(self, signal: Signal) -> Signal:
        """The same images, channels first."""
        if signal.channels_first:
            return signal
        return signal._replace(name=self.op("Transpose", signal.name, perm=(0, 3, 1, 2)), channels_first=True)

    def channels_last(self, signal: Signal) -> Signal:
        """The same array, channels last."""
        if not signal.channels_first:
            return signal
        return signal._replace(
            name=self.op("Transpose", signal.name, perm=(0, 2, 3, 1)), channels_first=False
        )
