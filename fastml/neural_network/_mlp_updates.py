"""The learning rate of stochastic solvers, when they stop, and the state that partial_fit continues from."""

from typing import Any

import numpy as np

from fastml.kernels import arrays_of
from fastml.solvers import backprop
from fastml.solvers.backprop import Parameter


class Updates:
    """The optimizer of a perceptron between two calls: it pickles, and has no network.

    Attributes
    ----------
    learning_rate : float
        Of the step to come; Adam's with its correction for the bias of the moments, as of the last step.
    steps : int
    state : dict of str to list of array
        What the update keeps for each parameter: coefs, then intercepts.
    """

    state_names: tuple[str, ...] = ()

    def __init__(self, learning_rate_init: float):
        self.learning_rate_init = learning_rate_init
        self.learning_rate = float(learning_rate_init)
        self.steps = 0
        self.state: dict[str, list[Any]] = {}

    def step_size(self) -> float:
        """The learning rate as kernels take it."""
        return self.learning_rate

    def new_optimizer(self) -> backprop.Optimizer:
        raise NotImplementedError

    def resume(self, parameters: list[Parameter]) -> backprop.Optimizer:
        """An optimizer that goes on where ``keep`` was called last."""
        optimizer = self.new_optimizer()
        optimizer.iterations = self.steps
        for name, values in self.state.items():
            for parameter, value in zip(parameters, values, strict=True):
                optimizer.state_of(name, parameter)[...] = value
        return optimizer

    def keep(self, optimizer: backprop.Optimizer, parameters: list[Parameter]) -> None:
        """Take over what the optimizer has come to."""
        self.steps = optimizer.iterations
        self.state = {
            name: [_copied(optimizer.state_of(name, parameter)) for parameter in parameters]
            for name in optimizer.state_names
        }

    def epoch_ends(self, n_samples_seen: int) -> None:
        """Set the learning rate for the next epoch."""

    def stops(self, reason: str, verbose: Any) -> bool:
        """Whether training ends for a ``reason``; else it goes on, at a lower rate."""
        if verbose:
            print(f"{reason} Stopping.")
        return True


def _copied(array: Any) -> np.ndarray:
    return np.array(arrays_of(array).fetch(array))


class AdamUpdates(Updates):
    """Adam: D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015."""

    def __init__(self, learning_rate_init: float, beta_1: float, beta_2: float, epsilon: float):
        super().__init__(learning_rate_init)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step_size(self) -> float:
        return self.learning_rate_init

    def new_optimizer(self) -> backprop.Optimizer:
        return backprop.Adam(self.beta_1, self.beta_2, self.epsilon)

    def keep(self, optimizer: backprop.Optimizer, parameters: list[Parameter]) -> None:
        super().keep(optimizer, parameters)
        if self.steps:
            correction = np.sqrt(1 - self.beta_2**self.steps) / (1 - self.beta_1**self.steps)
            self.learning_rate = self.learning_rate_init * correction


class SGDUpdates(Updates):
    """Gradient descent with momentum, at a constant, falling ("invscaling") or "adaptive" rate."""

    def __init__(
        self, learning_rate_init: float, schedule: str, momentum: float, nesterov: bool, power_t: float
    ):
        super().__init__(learning_rate_init)
        self.schedule, self.power_t = schedule, power_t
        self.momentum, self.nesterov = momentum, nesterov

    def new_optimizer(self) -> backprop.Optimizer:
        return backprop.SGD(self.momentum, self.nesterov)

    def epoch_ends(self, n_samples_seen: int) -> None:
        if self.schedule == "invscaling":
            self.learning_rate = float(self.learning_rate_init) / (n_samples_seen + 1) ** self.power_t

    def stops(self, reason: str, verbose: Any) -> bool:
        if self.schedule != "adaptive":
            return super().stops(reason, verbose)
        if self.learning_rate <= 1e-6:
            return super().stops(f"{reason} Learning rate too small.", verbose)
        self.learning_rate /= 5.0
        if verbose:
            print(f"{reason} Setting learning rate to {self.learning_rate:f}")
        return False


def new_updates(estimator: Any) -> Updates:
    """As the estimator's parameters say."""
    if estimator.solver == "adam":
        return AdamUpdates(
            estimator.learning_rate_init, estimator.beta_1, estimator.beta_2, estimator.epsilon
        )
    return SGDUpdates(
        estimator.learning_rate_init,
        estimator.learning_rate,
        estimator.momentum,
        estimator.nesterovs_momentum,
        estimator.power_t,
    )
