"""Nodes that normalise."""

from fastml.solvers.backprop._dense import as_rows, gradient_of
from fastml.solvers.backprop._node import Node, Parameter, Recorded, Recording


def _given(*parameters: Parameter | None) -> tuple[Parameter, ...]:
    return tuple(parameter for parameter in parameters if parameter is not None)


def _value(parameter: Parameter | None):
    return None if parameter is None else parameter.value


class BatchNormalization(Node):
    """Each channel (last axis) normalised over the batch, in inference by moving statistics.

    ``moving_mean`` and ``moving_variance`` are not trained, but change while the others are. With ``frozen`` it
    does in training what it does in inference.
    """

    def __init__(
        self,
        gamma: Parameter | None,
        beta: Parameter | None,
        moving_mean: Parameter,
        moving_variance: Parameter,
        momentum: float,
        epsilon: float,
        frozen: bool = False,
    ):
        self.gamma, self.beta = gamma, beta
        self.moving_mean, self.moving_variance = moving_mean, moving_variance
        self.momentum, self.epsilon, self.frozen = momentum, epsilon, frozen
        self.parameters = _given(gamma, beta)
        self.statistics = moving_mean, moving_variance

    def record(self, recording: Recording, x) -> Recorded:
        training = recording.training and not self.frozen
        return self._record_training(recording, x) if training else self._record_inference(recording, x)

    def _record_training(self, recording: Recording, x) -> Recorded:
        normalization = recording.kernels.normalization
        channels = x.shape[-1]
        out = recording.array(x.shape)
        mean, inverse_std = recording.array((channels,)), recording.array((channels,))
        gamma, beta = _value(self.gamma), _value(self.beta)
        moving = self.moving_mean.value, self.moving_variance.value
        recording(
            normalization.batch_train,
            *(as_rows(x), gamma, beta, as_rows(out), mean, inverse_std, *moving, self.momentum, self.epsilon),
        )

        def backward(dout, wanted):
            dx = recording.gradient(x.shape) if wanted else None
            dgamma, dbeta = (gradient_of(parameter, recording) for parameter in (self.gamma, self.beta))
            target = None if dx is None else as_rows(dx)
            recording(
                normalization.batch_gradient,
                *(as_rows(x), as_rows(dout), gamma, mean, inverse_std, target, dgamma, dbeta),
            )
            return dx

        return Recorded(out, backward)

    def _record_inference(self, recording: Recording, x) -> Recorded:
        normalization = recording.kernels.normalization
        out = recording.array(x.shape)
        gamma, beta = _value(self.gamma), _value(self.beta)
        mean, variance = self.moving_mean.value, self.moving_variance.value
        recording(
            normalization.batch_infer, as_rows(x), gamma, beta, mean, variance, self.epsilon, as_rows(out)
        )

        def backward(dout, wanted):
            if not wanted:
                return None
            recording(_scale_by_moving, dout, gamma, variance, self.epsilon)
            return dout

        return Recorded(out, backward)


def _scale_by_moving(dout, gamma, variance, epsilon):
    dout *= (1 if gamma is None else gamma) / (variance + epsilon) ** 0.5


class LayerNormalization(Node):
    """Each sample normalised over its last ``n_axes`` axes, which gamma and beta have the shape of."""

    def __init__(self, gamma: Parameter | None, beta: Parameter | None, n_axes: int, epsilon: float):
        self.gamma, self.beta, self.n_axes, self.epsilon = gamma, beta, n_axes, epsilon
        self.parameters = _given(gamma, beta)

    def record(self, recording: Recording, x) -> Recorded:
        normalization = recording.kernels.normalization
        out = recording.array(x.shape)
        rows, out_rows = (self._rows(array) for array in (x, out))
        n, width = rows.shape
        mean, inverse_std = recording.array((n,)), recording.array((n,))
        gamma, beta = (None if p is None else p.value.reshape(width) for p in (self.gamma, self.beta))
        recording(normalization.layer_forward, rows, gamma, beta, out_rows, mean, inverse_std, self.epsilon)

        def backward(dout, wanted):
            dx = recording.gradient(x.shape) if wanted else None
            dgamma, dbeta = (
                None if p is None else gradient_of(p, recording).reshape(width)
                for p in (self.gamma, self.beta)
            )
            target = None if dx is None else self._rows(dx)
            recording(
                normalization.layer_gradient,
                *(rows, self._rows(dout), gamma, mean, inverse_std, target, dgamma, dbeta),
            )
            return dx

        return Recorded(out, backward)

    def _rows(self, x):
        n = 1
        for length in x.shape[: x.ndim - self.n_axes]:
            n *= length
        return x.reshape(n, -1)
