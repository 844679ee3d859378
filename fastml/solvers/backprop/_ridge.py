"""The penalty on squares of weights that is added as gradients are made."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastml.kernels import arrays_of
from fastml.solvers.backprop._node import Parameter, Recording


class Ridge:
    """``strength / 2 * sum w²`` over some parameters.

    Unlike a parameter's ``Penalty`` it is a kernel's work, which measures what it adds the gradient of, and its
    strength may be another in each step.

    Parameters
    ----------
    parameters : sequence of Parameter
    strength : float, default=0
    """

    def __init__(self, parameters: Sequence[Parameter], strength: float = 0.0):
        self.parameters = parameters
        self._strength = np.array([strength], np.float64)
        self._squares: Any = np.zeros(len(parameters))

    @property
    def strength(self) -> float:
        return float(self._strength[0])

    @strength.setter
    def strength(self, value: float) -> None:
        self._strength[0] = value

    @property
    def value(self) -> float:
        """Of the weights before the last step."""
        return 0.5 * self.strength * sum(arrays_of(self._squares).fetch(self._squares).tolist())

    def record(self, recording: Recording) -> None:
        """Record the addition to the parameters' gradients."""
        arrays = recording.kernels.arrays
        if not arrays.is_own(self._squares):
            self._squares = arrays.send(self._squares)
        for i, parameter in enumerate(self.parameters):
            assert parameter.gradient is not None
            recording(
                recording.kernels.optimizer.add_ridge,
                parameter.value.reshape(-1),
                parameter.gradient.reshape(-1),
                self._strength,
                self._squares[i : i + 1],
            )
