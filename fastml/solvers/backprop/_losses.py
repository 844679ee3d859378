"""How a loss enters a program: its values, and the gradient that the backward pass starts from."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastml.solvers.backprop import formulas
from fastml.solvers.backprop._dense import as_rows
from fastml.solvers.backprop._elementwise import Activation, RowActivation
from fastml.solvers.backprop._node import Node, Recording, Shape


class Targets(NamedTuple):
    """What a loss compares one sample's output with: class indices (int32) of shape ``shape``, or values."""

    shape: Shape
    are_labels: bool


class Scored(NamedTuple):
    """What a loss records.

    Attributes
    ----------
    predictions : array
        The network's output.
    losses : array of float64
        Of each value: shape (n, ...), the output's without its last axis; or one for all.
    gradient : array or None
        With respect to what the loss was recorded on.
    """

    predictions: Any
    losses: Any
    gradient: Any


class Loss(Protocol):
    """A loss, as a network's program takes it."""

    def absorbs(self, last: Node) -> bool:
        """Whether it computes what the last node does as well, from that node's input."""
        ...

    def record(self, recording: Recording, scores: Any, targets: Any, factors: Any, wanted: bool) -> Scored:
        """Record values, and the gradient if it is ``wanted``: of the mean over values times ``factors``.

        ``factors`` has the shape of the values, or is None for ones.
        """
        ...


class SoftmaxCrossEntropy:
    """Softmax over the last axis and ``-log`` of the label's probability, in one pass over logits.

    Targets are labels; with values (distributions, or labels that are to be smoothed) it goes by NumPy. What the
    network predicts is the ``output`` of logits: "softmax", "sigmoid", or None, the logits themselves.
    """

    def __init__(self, label_smoothing: float = 0.0, output: str | None = "softmax"):
        self.label_smoothing = label_smoothing
        self.output = output

    def absorbs(self, last: Node) -> bool:
        return _is_activation(last, self.output)

    def record(self, recording: Recording, scores, targets, factors, wanted) -> Scored:
        if targets.dtype != np.int32:

            def formula(target, logits):
                return formulas.categorical_crossentropy_of_logits(target, logits, self.label_smoothing)

            scored = Formula(formula).record(recording, scores, targets, factors, wanted)
            return scored._replace(predictions=_recorded_output(recording, scores, self.output))
        probabilities = recording.array(scores.shape)
        losses = recording.array(scores.shape[:-1], np.float64)
        gradient = recording.gradient(scores.shape) if wanted else None
        classes = scores.shape[-1]
        recording(
            recording.kernels.activation.softmax_cross_entropy,
            *(scores.reshape(-1, classes), targets.reshape(-1)),
            None if factors is None else factors.reshape(-1),
            probabilities.reshape(-1, classes),
            None if gradient is None else gradient.reshape(-1, classes),
            losses.reshape(-1),
        )
        if self.output == "softmax":
            return Scored(probabilities, losses, gradient)
        return Scored(_recorded_output(recording, scores, self.output), losses, gradient)


class SigmoidCrossEntropy:
    """Sigmoid and binary cross-entropy, from logits; ``output`` as for `SoftmaxCrossEntropy`."""

    def __init__(self, label_smoothing: float = 0.0, output: str | None = "sigmoid"):
        self.label_smoothing = label_smoothing
        self.output = output

    def absorbs(self, last: Node) -> bool:
        return _is_activation(last, self.output)

    def record(self, recording: Recording, scores, targets, factors, wanted) -> Scored:
        def formula(target, logits):
            return formulas.binary_crossentropy_of_logits(target, logits, self.label_smoothing)

        scored = Formula(formula).record(recording, scores, targets, factors, wanted)
        return scored._replace(predictions=_recorded_output(recording, scores, self.output))


def _is_activation(node: Node, name: str | None) -> bool:
    return isinstance(node, Activation | RowActivation) and node.name == name


def _recorded_output(recording: Recording, logits: Any, name: str | None) -> Any:
    """What the activation makes of logits."""
    if name is None:
        return logits
    predictions = recording.array(logits.shape)
    activation = recording.kernels.activation
    if name == "softmax":
        recording(activation.softmax, as_rows(logits), as_rows(predictions))
    else:
        recording(activation.forward, logits, predictions, name, ())
    return predictions


class Formula:
    """A loss by NumPy: ``formula(targets, predictions) -> (values, gradient)``, as in ``formulas``."""

    def __init__(self, formula: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]):
        self.formula = formula

    def absorbs(self, last: Node) -> bool:
        return False

    def record(self, recording: Recording, scores, targets, factors, wanted) -> Scored:
        # The number of values depends on the formula: that of a sample's elements, or one for the batch.
        values, _ = self.formula(
            np.zeros(targets.shape, targets.dtype), np.full(scores.shape, 0.5, scores.dtype)
        )
        losses = recording.array(np.shape(values), np.float64)
        gradient = recording.gradient(scores.shape) if wanted else None
        recording.on_host(self._evaluate, (targets, scores, factors), (losses, gradient))
        return Scored(scores, losses, gradient)

    def _evaluate(self, targets, predictions, factors, losses, gradient):
        with np.errstate(all="ignore"):
            values, slopes = self.formula(targets, predictions)
            losses[...] = values
            if gradient is None:
                return
            if values.ndim and factors is not None:
                np.multiply(slopes, (factors / values.size)[..., None], out=gradient)
            else:
                np.divide(slopes, values.size, out=gradient)
