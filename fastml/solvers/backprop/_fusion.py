"""Nodes merged where a kernel does the work of several in one pass."""

from collections.abc import Sequence

import numpy as np

from fastml.solvers.backprop._dense import Conv, ConvMaxPool, Dense, Window
from fastml.solvers.backprop._elementwise import Activation, Rescale
from fastml.solvers.backprop._node import Node, Shape
from fastml.solvers.backprop._pool import MaxPool
from fastml.solvers.backprop._views import Reshape

# The fused kernel keeps the position of the largest element in its window in a byte.
MAX_POOL_ELEMENTS = 256


def fold_rescaling(nodes: Sequence[Node]) -> tuple[float, float, list[Node]]:
    """Take rescaling by numbers off the beginning: what is left sees ``x * scale + offset``.

    Batches are copied out of the data set anyway: to rescale and convert them on the way costs nothing.
    """
    scale, offset, rest = 1.0, 0.0, list(nodes)
    while True:
        first = next((i for i, node in enumerate(rest) if not isinstance(node, Reshape)), len(rest))
        rescale = rest[first] if first < len(rest) else None
        if not isinstance(rescale, Rescale) or not rescale.scalar:
            return scale, offset, rest
        del rest[first]
        scale, offset = scale * float(rescale.scale), offset * float(rescale.scale) + float(rescale.offset)


def fuse(nodes: Sequence[Node], input_shape: Shape) -> list[Node]:
    """Merge neighbours: reshapes; a product and its relu; convolution, relu and max pooling."""
    fused: list[Node] = []
    for node in _without_idle_reshapes(nodes, input_shape):
        last = fused[-1] if fused else None
        if isinstance(last, Dense | Conv) and last.activation == "linear" and _is_plain_relu(node):
            fused[-1] = _with_relu(last)
        elif (
            isinstance(last, Conv)
            and last.activation == "relu"
            and not last.is_depthwise
            and isinstance(node, MaxPool)
            and _is_in_tiles(node.window)
        ):
            fused[-1] = ConvMaxPool(last, node.window.size)
        else:
            fused.append(node)
    return fused


def _without_idle_reshapes(nodes: Sequence[Node], input_shape: Shape) -> list[Node]:
    kept: list[tuple[Node, Shape]] = []  # with the shape of its input
    shape = input_shape
    for node in nodes:
        before, shape = shape, node.output_shape(shape)
        if isinstance(node, Reshape) and kept and isinstance(kept[-1][0], Reshape):
            before = kept.pop()[1]
        if not (isinstance(node, Reshape) and before == shape):
            kept.append((node, before))
    return [node for node, _ in kept]


def _is_plain_relu(node: Node) -> bool:
    if not isinstance(node, Activation) or node.name != "relu":
        return False
    return all(given == default for given, default in zip(node.settings, (0.0, np.inf, 0.0)))


def _with_relu(node: Dense | Conv) -> Node:
    if isinstance(node, Dense):
        return Dense(node.weights, node.bias, "relu")
    return Conv(node.filters, node.bias, node.window, node.groups, "relu", node.filter_shape)


def _is_in_tiles(window: Window) -> bool:
    is_small = window.size[0] * window.size[1] <= MAX_POOL_ELEMENTS
    return window.padding == "valid" and window.size == window.strides and is_small
