"""Each kind of node of a network as ONNX operations."""

from functools import singledispatch
from typing import Any

import numpy as np

from fastml.keras.export._activations import elementwise, glu, over_rows
from fastml.keras.export._graph import Graph, Signal
from fastml.solvers import backprop


def converted(node: Any, graph: Graph, x: Signal) -> Signal:
    """Add what a node computes in prediction to a graph."""
    shape = tuple(node.output_shape(x.shape))
    return _converted(node, graph, x)._replace(shape=shape)


@singledispatch
def _converted(node: Any, graph: Graph, x: Signal) -> Signal:
    raise NotImplementedError(f"There is no ONNX form of {type(node).__name__}.")


@_converted.register(backprop.Dropout)
@_converted.register(backprop.OutputPenalty)
def _nothing(node: Any, graph: Graph, x: Signal) -> Signal:
    return x


@_converted.register
def _dense(node: backprop.Dense, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    name = graph.op("MatMul", x.name, graph.constant(node.weights.numpy()))
    if node.bias is not None:
        name = graph.op("Add", name, graph.constant(node.bias.numpy()))
    return x._replace(name=name)


# Windows over images


def _pads(window: backprop.Window, image: tuple[int, ...]) -> list[int]:
    """Zeros above, left, below, right."""
    before = window.padding_before(image)
    after = []
    for axis, n in enumerate(window.output_size(image)):
        extent = (window.size[axis] - 1) * window.dilation[axis] + 1
        after.append(max(0, (n - 1) * window.strides[axis] + extent - image[axis] - before[axis]))
    return [*before, *after]


@_converted.register
def _conv(node: backprop.Conv, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_first(x)
    window = node.window
    filters = node.filters.numpy().reshape(node.filter_shape).transpose(3, 2, 0, 1)
    inputs = [x.name, graph.constant(filters)]
    if node.bias is not None:
        inputs.append(graph.constant(node.bias.numpy()))
    name = graph.op(
        "Conv",
        *inputs,
        kernel_shape=window.size,
        strides=window.strides,
        dilations=window.dilation,
        pads=_pads(window, x.shape[:2]),
        group=node.groups,
    )
    return x._replace(name=name)


def _pool(kind: str, node: Any, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_first(x)
    window = node.window
    pads = _pads(window, x.shape[:2])
    return x._replace(
        name=graph.op(kind, x.name, kernel_shape=window.size, strides=window.strides, pads=pads)
    )


@_converted.register
def _max_pool(node: backprop.MaxPool, graph: Graph, x: Signal) -> Signal:
    return _pool("MaxPool", node, graph, x)


@_converted.register
def _average_pool(node: backprop.AveragePool, graph: Graph, x: Signal) -> Signal:
    # Zeros of padding do not count: ONNX' default, too.
    return _pool("AveragePool", node, graph, x)


# Functions of elements and rows


@_converted.register
def _activation(node: backprop.Activation, graph: Graph, x: Signal) -> Signal:
    return x._replace(name=elementwise(graph, x.name, node.name, node.settings))


@_converted.register
def _row_activation(node: backprop.RowActivation, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    return x._replace(name=over_rows(graph, x.name, node.name, x.shape[-1]))


@_converted.register
def _gated_linear(node: backprop.GatedLinear, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    return x._replace(name=glu(graph, x.name))


@_converted.register
def _rescale(node: backprop.Rescale, graph: Graph, x: Signal) -> Signal:
    if not node.scalar:
        x = graph.channels_last(x)
    name = graph.op("Mul", x.name, graph.constant(np.asarray(node.scale)))
    return x._replace(name=graph.op("Add", name, graph.constant(np.asarray(node.offset))))


@_converted.register
def _batch_normalization(node: backprop.BatchNormalization, graph: Graph, x: Signal) -> Signal:
    def constant(values: Any) -> str:
        return graph.constant(values.reshape(-1, 1, 1) if x.channels_first else values)

    variance = node.moving_variance.numpy().astype(np.float64)
    scale = 1 / np.sqrt(variance + node.epsilon)
    if node.gamma is not None:
        scale = scale * node.gamma.numpy()
    name = graph.op("Sub", x.name, constant(node.moving_mean.numpy()))
    name = graph.op("Mul", name, constant(scale))
    if node.beta is not None:
        name = graph.op("Add", name, constant(node.beta.numpy()))
    return x._replace(name=name)


@_converted.register
def _layer_normalization(node: backprop.LayerNormalization, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    gamma = np.ones(x.shape[-node.n_axes :]) if node.gamma is None else node.gamma.numpy()
    inputs = [x.name, graph.constant(gamma)]
    if node.beta is not None:
        inputs.append(graph.constant(node.beta.numpy()))
    return x._replace(
        name=graph.op("LayerNormalization", *inputs, axis=-node.n_axes, epsilon=float(node.epsilon))
    )


# Moving elements


@_converted.register
def _reshape(node: backprop.Reshape, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    # 0 stands for the batch's size as it is.
    return x._replace(name=graph.op("Reshape", x.name, graph.integers(0, *node.shape)))


@_converted.register
def _permute(node: backprop.Permute, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_last(x)
    return x._replace(name=graph.op("Transpose", x.name, perm=(0, *(axis + 1 for axis in node.axes))))


@_converted.register
def _zero_pad(node: backprop.ZeroPad, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_first(x)
    (top, bottom), (left, right) = node.padding
    return x._replace(name=graph.op("Pad", x.name, graph.integers(0, 0, top, left, 0, 0, bottom, right)))


@_converted.register
def _crop(node: backprop.Crop, graph: Graph, x: Signal) -> Signal:
    x = graph.channels_first(x)
    (top, bottom), (left, right) = node.cropping
    height, width, _ = x.shape
    bounds = (top, left), (height - bottom, width - right), (2, 3)
    return x._replace(name=graph.op("Slice", x.name, *(graph.integers(*values) for values in bounds)))


def _resized(node: Any, graph: Graph, x: Signal, **attributes: Any) -> Signal:
    x = graph.channels_first(x)
    scales = graph.constant((1, 1, *node.factors))
    return x._replace(name=graph.op("Resize", x.name, "", scales, **attributes))


@_converted.register
def _repeat(node: backprop.Repeat, graph: Graph, x: Signal) -> Signal:
    return _resized(
        node, graph, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


@_converted.register
def _interpolate(node: backprop.Interpolate, graph: Graph, x: Signal) -> Signal:
    return _resized(node, graph, x, mode="linear", coordinate_transformation_mode="half_pixel")
