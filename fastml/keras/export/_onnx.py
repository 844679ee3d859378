"""A model as an ONNX graph.

It computes in float32, whatever the model does: runtimes have convolution in no other type.
"""

import os
from importlib import import_module
from typing import Any

import numpy as np

from fastml._files import replacing
from fastml._version import __version__
from fastml.keras.export._graph import Graph, Signal
from fastml.keras.export._nodes import converted

# Of 2022: LayerNormalization is there (since 17), and all runtimes of the last years have it.
OPSET = 18
IR_VERSION = 8


def require_onnx() -> Any:
    """The module onnx.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return import_module("onnx")
    except ImportError as error:
        raise ImportError("To export models, onnx is needed: pip install fastml[onnx]") from error


def export_onnx(model: Any, filepath: Any) -> None:
    """Write a model to an ONNX file, whose batches may be of any size.

    The input has the name of the model's `Input`, and its dtype; the output is "output_0".
    """
    onnx = require_onnx()
    path = os.fspath(filepath)
    proto = _model_proto(onnx, model)
    onnx.checker.check_model(proto)
    with replacing(path) as file:
        file.write(proto.SerializeToString())


def _model_proto(onnx: Any, model: Any) -> Any:
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has not been built: call it on some data, or `build`, before `export`."
        )
    shape = model.input_shape[1:]
    if None in shape:
        raise ValueError(
            f"Model '{model.name}' has an input of shape {model.input_shape}: to be exported, it needs an Input with "
            "all sizes of a sample."
        )
    helper = onnx.helper
    graph = Graph(onnx)
    given = model.input_layer
    dtype = np.dtype(given.input_dtype)
    inputs = [
        helper.make_tensor_value_info(
            given.name, helper.np_dtype_to_tensor_dtype(dtype), _batch(given.batch_shape[0], shape)
        )
    ]
    name = given.name if dtype == np.float32 else graph.op("Cast", given.name, to=onnx.TensorProto.FLOAT)
    signal = Signal(name, tuple(shape))
    for node in model.make_nodes(shape):
        signal = converted(node, graph, signal)
    result = graph.channels_last(signal)
    graph.op("Identity", result.name, output="output_0")
    output = helper.make_tensor_value_info(
        "output_0", onnx.TensorProto.FLOAT, _batch(given.batch_shape[0], result.shape)
    )
    body = helper.make_graph(graph.nodes, model.name, inputs, [output], graph.initializers)
    return helper.make_model(
        body,
        producer_name="fastml",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def _batch(n: int | None, shape: tuple[int, ...]) -> list[Any]:
    return ["batch" if n is None else n, *shape]
