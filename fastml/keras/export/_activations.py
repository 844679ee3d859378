"""Activations as ONNX operations; the formulas are those of ``kernels.reference.activation``."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.keras.export._graph import Graph
from fastml.kernels.activation_names import resolved


def elementwise(graph: Graph, x: str, name: str, parameters: tuple[float, ...]) -> str:
    """Add an activation of each element, by the name and parameters that kernels know it by."""
    name, parameters = resolved(name, parameters)
    return _FORMULAS[name](_Formula(graph), x, *parameters)


def over_rows(graph: Graph, x: str, name: str, length: int) -> str:
    """Add softmax, log_softmax or sparsemax over a last axis of ``length``."""
    if name == "sparsemax":
        return _sparsemax(graph, x, length)
    return graph.op({"softmax": "Softmax", "log_softmax": "LogSoftmax"}[name], x, axis=-1)


def glu(graph: Graph, x: str) -> str:
    """Add the product of half of the last axis and the sigmoid of the other half."""
    value, score = graph.op("Split", x, axis=-1, num_outputs=2, n_outputs=2)
    return graph.op("Mul", value, graph.op("Sigmoid", score))


def _sparsemax(graph: Graph, x: str, length: int) -> str:
    """Martins and Astudillo, "From Softmax to Sparsemax", ICML 2016, algorithm 1."""
    ordered, _ = graph.op("TopK", x, graph.integers(length), axis=-1, n_outputs=2)
    sums = graph.op("CumSum", ordered, graph.constant(np.array(-1), np.int64))
    scaled = graph.op("Mul", ordered, graph.constant(np.arange(1, length + 1)))
    above = graph.op("Greater", graph.op("Add", scaled, graph.constant(1.0)), sums)
    mask = graph.op("Cast", above, to=1)
    size = graph.op("ReduceSum", mask, graph.integers(-1), keepdims=1)
    total = graph.op("ReduceSum", graph.op("Mul", mask, ordered), graph.integers(-1), keepdims=1)
    excess = graph.op("Div", graph.op("Sub", total, graph.constant(1.0)), size)
    return graph.op("Relu", graph.op("Sub", x, excess))


class _Formula:
    """Operations by attribute, numbers as constants: ``f.Mul(x, 0.5)``."""

    def __init__(self, graph: Graph):
        self._graph = graph

    def __getattr__(self, kind: str) -> Callable[..., str]:
        def operation(*inputs: Any, **attributes: Any) -> str:
            names = (v if isinstance(v, str) else self._graph.constant(v) for v in inputs)
            return self._graph.op(kind, *names, **attributes)

        return operation


def _relu(f: _Formula, x: str, slope: float, largest: float, threshold: float) -> str:
    if slope == 0 and threshold == 0:
        above = f.Relu(x)
        return above if math.isinf(largest) else f.Min(above, largest)
    below = f.Mul(f.Sub(x, threshold), slope)
    above = x if math.isinf(largest) else f.Min(x, largest)
    return f.Where(f.LessOrEqual(x, threshold), below, above)


def _gelu(f: _Formula, x: str, approximate: float) -> str:
    if approximate:
        cubic = f.Add(x, f.Mul(f.Mul(x, f.Mul(x, x)), 0.044715))
        inner = f.Tanh(f.Mul(cubic, math.sqrt(2 / math.pi)))
    else:
        inner = f.Erf(f.Mul(x, math.sqrt(0.5)))
    return f.Mul(f.Mul(x, 0.5), f.Add(inner, 1.0))


def _hard_sigmoid(f: _Formula, x: str) -> str:
    return f.HardSigmoid(x, alpha=1 / 6, beta=0.5)


def _sparse_plus(f: _Formula, x: str) -> str:
    shifted = f.Add(x, 1.0)
    curve = f.Mul(f.Mul(shifted, shifted), 0.25)
    return f.Where(f.LessOrEqual(x, -1.0), 0.0, f.Where(f.Less(x, 1.0), curve, x))


def _squareplus(f: _Formula, x: str, b: float) -> str:
    return f.Mul(f.Add(x, f.Sqrt(f.Add(f.Mul(x, x), b))), 0.5)


_FORMULAS: dict[str, Callable[..., str]] = {
    "celu": lambda f, x, alpha: f.Celu(x, alpha=alpha),
    "elu": lambda f, x, alpha: f.Elu(x, alpha=alpha),
    "exponential": lambda f, x: f.Exp(x),
    "gelu": _gelu,
    "hard_shrink": lambda f, x, threshold: f.Shrink(x, bias=0.0, lambd=threshold),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda f, x: f.Mul(x, _hard_sigmoid(f, x)),
    "hard_tanh": lambda f, x: f.Clip(x, -1.0, 1.0),
    "leaky_relu": lambda f, x, slope: f.LeakyRelu(x, alpha=slope),
    "linear": lambda f, x: x,
    "log_sigmoid": lambda f, x: f.Neg(f.Softplus(f.Neg(x))),
    "mish": lambda f, x: f.Mul(x, f.Tanh(f.Softplus(x))),
    "relu": _relu,
    "selu": lambda f, x: f.Selu(x),
    "sigmoid": lambda f, x: f.Sigmoid(x),
    "silu": lambda f, x: f.Mul(x, f.Sigmoid(x)),
    "soft_shrink": lambda f, x, threshold: f.Shrink(x, bias=threshold, lambd=threshold),
    "softplus": lambda f, x: f.Softplus(x),
    "softsign": lambda f, x: f.Softsign(x),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda f, x: f.Clip(f.Mul(f.Add(x, 1.0), 0.5), 0.0, 1.0),
    "squareplus": _squareplus,
    "tanh": lambda f, x: f.Tanh(x),
    "tanh_shrink": lambda f, x: f.Sub(x, f.Tanh(x)),
    "threshold": lambda f, x, threshold, default: f.Where(f.LessOrEqual(x, threshold), default, x),
}
