"""The losses of multi-layer perceptrons, each with the output activation that belongs to it.

With these pairs (canonical links) the gradient with respect to the scores is prediction less target: C. Bishop,
"Pattern Recognition and Machine Learning", 2006, section 4.3.6.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import xlogy

from fastml.solvers.backprop import Loss, Node, Recording, Scored, SoftmaxCrossEntropy


class CanonicalLoss:
    """A loss of predictions ``activation(scores)``, whose gradient is prediction less target.

    Parameters
    ----------
    activation : str
        In ``kernels.activation``.
    values : callable
        ``values(targets, predictions)``: the loss of each sample.
    """

    def __init__(self, activation: str, values: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        self.activation, self.values = activation, values

    def absorbs(self, last: Node) -> bool:
        return False

    def record(self, recording: Recording, scores: Any, targets: Any, factors: Any, wanted: bool) -> Scored:
        predictions = scores
        if self.activation != "linear":
            predictions = recording.array(scores.shape)
            recording(recording.kernels.activation.forward, scores, predictions, self.activation)
        losses = recording.array((len(scores),), np.float64)
        gradient = recording.gradient(scores.shape) if wanted else None
        recording.on_host(self._compare, (targets, predictions, factors), (losses, gradient))
        return Scored(predictions, losses, gradient)

    def _compare(self, targets, predictions, factors, losses, gradient):
        with np.errstate(all="ignore"):
            losses[...] = self.values(targets, predictions)
            if gradient is None:
                return
            np.subtract(predictions, targets, out=gradient)
            gradient *= 1 / len(losses) if factors is None else (factors / len(losses))[:, None]


def squared_error(targets, predictions):
    """Half the squared error, the mean over outputs."""
    error = targets - predictions
    return 0.5 * np.mean(error * error, axis=1)


def poisson(targets, predictions):
    """Half the Poisson deviance, summed over outputs."""
    return np.sum(xlogy(targets, targets / predictions) - targets + predictions, axis=1)


def binary_log_loss(targets, predictions):
    """Summed over outputs, each a class against the rest; targets are 0 or 1."""
    epsilon = np.finfo(predictions.dtype).eps
    p = np.clip(predictions, epsilon, 1 - epsilon)
    return -np.sum(np.log(np.where(targets, p, 1 - p)), axis=1)


# What scikit-learn calls the output activation, and the loss; the name of the former among kernels.
SQUARED_ERROR = CanonicalLoss("linear", squared_error)
POISSON = CanonicalLoss("exponential", poisson)
BINARY_LOG_LOSS = CanonicalLoss("sigmoid", binary_log_loss)

BY_OUTPUT: dict[str, Loss] = {
    "identity": SQUARED_ERROR,
    "exp": POISSON,
    "logistic": BINARY_LOG_LOSS,
    "softmax": SoftmaxCrossEntropy(output=None),
}
