"""From an estimator's coefs_ and intercepts_ to a network, and predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from fastml.kernels import for_device
from fastml.neural_network._mlp_losses import BY_OUTPUT
from fastml.solvers.backprop import (
    Activation,
    Data,
    Dense,
    Network,
    Node,
    Objective,
    Parameter,
    Recorded,
    Recording,
    Ridge,
    Targets,
)

# scikit-learn's activations by their names in kernels.activation
KERNEL_NAMES = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "exp": "exponential",
}
# Rows predicted at a time: what a layer gives of them stays in the second-level cache.
PREDICTED_ROWS = 1024


class SparseDense(Node):
    """``batch @ weights + bias`` of a sparse matrix, by SciPy; takes no input from the network.

    Attributes
    ----------
    batch : sparse matrix
        To be set before each run.
    """

    def __init__(self, weights: Parameter, bias: Parameter):
        self.weights, self.bias = weights, bias
        self.parameters = (weights, bias)
        self.batch: Any = None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.weights.shape[1],)

    def record(self, recording: Recording, x: Any) -> Recorded:
        out = recording.array((len(x), self.weights.shape[1]))
        recording(self._forward, out)

        def backward(dout, wanted):
            recording(self._gradient, dout)

        return Recorded(out, backward)

    def _forward(self, out):
        np.add(self.batch @ self.weights.value, self.bias.value, out=out)

    def _gradient(self, dout):
        assert self.weights.gradient is not None
        assert self.bias.gradient is not None
        self.weights.gradient[...] = self.batch.T @ dout
        self.bias.gradient[...] = dout.sum(axis=0)


class MLP:
    """A network that trains copies of an estimator's weights.

    Parameters
    ----------
    coefs, intercepts : sequence of array
    hidden : str
        Activation of hidden layers, as scikit-learn names it.
    output : str
        That of the last layer.
    X : array or CSR matrix
        What it is trained on, or of the same kind.
    device : str

    Attributes
    ----------
    coefs, intercepts : list of Parameter
    network : Network
    """

    def __init__(
        self, coefs: Sequence[Any], intercepts: Sequence[Any], hidden: str, output: str, X: Any, device: str
    ):
        self.coefs = [Parameter(np.array(coef, X.dtype)) for coef in coefs]
        self.intercepts = [Parameter(np.array(intercept, X.dtype)) for intercept in intercepts]
        self.output = output
        self.sparse_input: SparseDense | None = None
        nodes: list[Node] = []
        for coef, intercept in zip(self.coefs, self.intercepts):
            nodes += [Dense(coef, intercept), Activation(KERNEL_NAMES[hidden])]
        nodes.pop()
        input_shape = X.shape[1:]
        if sparse.issparse(X):
            nodes[0] = self.sparse_input = SparseDense(self.coefs[0], self.intercepts[0])
            input_shape = (0,)
        self.network = Network(nodes, input_shape, X.dtype, device)

    @property
    def parameters(self) -> list[Parameter]:
        """In scikit-learn's order: coefs, then intercepts."""
        return [*self.coefs, *self.intercepts]

    def objective(self, weighted: bool) -> Objective:
        """Of mean losses, each sample times its weight if it is ``weighted``, with a ridge on coefs."""
        labels = self.output == "softmax"
        return Objective(
            BY_OUTPUT[self.output],
            Targets(() if labels else self.network.output_shape, labels),
            () if weighted else None,
            "weighted_mean" if weighted else "mean",
            Ridge(self.coefs),
        )

    def data(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Data:
        """A data set as the network takes it; y has a column for each output."""
        dtype = self.network.dtype
        if self.sparse_input is not None:
            X = np.zeros((X.shape[0], 0), dtype)
        targets = y.argmax(axis=1).astype(np.int32) if self.output == "softmax" else y.astype(dtype)
        factors = None if sample_weight is None else sample_weight.astype(dtype)
        return Data(np.require(X, dtype, ["C", "A"]), np.ascontiguousarray(targets), factors)

    def largest_loss(self) -> float:
        """Of one sample: scikit-learn keeps probabilities off 0."""
        return -np.log(np.finfo(self.network.dtype).eps) if self.output == "softmax" else np.inf


def predictions(
    X: Any, coefs: Sequence[Any], intercepts: Sequence[Any], hidden: str, output: str, device: str
) -> np.ndarray:
    """What a perceptron gives for rows of X, which may be sparse, in the wider type of X and its weights."""
    dtype = np.result_type(X.dtype, *coefs)
    if dtype not in (np.float32, np.float64):
        dtype = np.dtype(np.float64)
    layers = [
        (np.ascontiguousarray(coef, dtype), np.ascontiguousarray(intercept, dtype))
        for coef, intercept in zip(coefs, intercepts)
    ]
    kernels = for_device(device)
    out = np.empty((X.shape[0], layers[-1][0].shape[1]), dtype)
    for first in range(0, len(out), PREDICTED_ROWS):
        rows = slice(first, first + PREDICTED_ROWS)
        out[rows] = _predict_rows(kernels, X[rows], layers, hidden, output, dtype)
    return out


def _predict_rows(kernels, x, layers, hidden, output, dtype):
    for i, (W, bias) in enumerate(layers):
        name = hidden if i < len(layers) - 1 else output
        scores = np.empty((x.shape[0], W.shape[1]), dtype)
        if sparse.issparse(x):
            np.add(x @ W, bias, out=scores)
        else:
            x = np.require(x, dtype, ["C", "A"])
            kernels.dense.forward(x, W, bias, scores, "relu" if name == "relu" else "linear")
        x = scores if name == "relu" and not sparse.issparse(x) else _activated(kernels, scores, name)
    return x


def _activated(kernels, x, name):
    if name == "identity":
        return x
    activated = np.empty_like(x)
    if name == "softmax":
        kernels.activation.softmax(x, activated)
    else:
        kernels.activation.forward(x, activated, KERNEL_NAMES[name])
    return activated


def layer_units(n_features: int, hidden_layer_sizes: Any, n_outputs: int) -> list[int]:
    """Units of each layer, input and output included.

    Raises
    ------
    ValueError
        For a size that is not positive.
    """
    sizes = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [n_features, *sizes, n_outputs]
