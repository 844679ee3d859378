"""Batches on their way into a network, and what comes of them."""

from typing import Any, NamedTuple

import numpy as np

from fastml.keras.models._compiled import Comparison
from fastml.keras.models._data import Samples
from fastml.solvers.backprop import Data, Network, Runner


class Outcome(NamedTuple):
    """What a batch gave; arrays are good until the next one."""

    n: int
    loss: float
    y: Any
    predictions: Any
    sample_weight: Any


class Feed:
    """A network with a data set in memory, or for batches that come one by one.

    Parameters
    ----------
    network : Network
    comparison : Comparison or None
        None: there is nothing but predictions.
    optimizer : keras.Optimizer or None
    samples : Samples or None
        The data set. None: each batch brings its own.
    """

    def __init__(
        self, network: Network, comparison: Comparison | None, optimizer: Any, samples: Samples | None
    ):
        self.network, self._comparison, self._optimizer = network, comparison, optimizer
        self._samples = samples
        self._runners: dict[Any, Runner] = {}
        self._runner: Runner | None = None
        # Metrics take targets as they were given where the loss takes others.
        self._own_targets = True
        if samples is not None:
            data = self._data(samples)
            self._runner = self._runner_for(data, data)

    def _data(self, samples: Samples) -> Data:
        if self._comparison is None:
            return Data(samples.x)
        if samples.y is None:
            raise ValueError("Targets are needed to compute the loss: y is None.")
        targets = self._comparison.targets(samples.y)
        became_labels = targets.ndim == np.ndim(samples.y) - 1 and np.shape(samples.y)[-1] > 1
        self._own_targets = not became_labels
        return Data(samples.x, targets, self._comparison.factors(samples.sample_weight, len(samples.x)))

    def _runner_for(self, data: Data, source: Data | None) -> Runner:
        objective = None
        if self._comparison is not None:
            objective = self._comparison.objective(data.targets, data.factors)
        rule = None if self._optimizer is None else self._optimizer.rule
        return Runner(self.network, source, objective, rule, training=self._optimizer is not None)

    def _step(self, batch: Any, rate: float = 0.0) -> Any:
        if not isinstance(batch, Samples):
            assert self._runner is not None
            return self._runner.step(batch, rate)
        data = self._data(batch)
        key = (
            None if data.targets is None else (data.targets.dtype, data.targets.shape[1:]),
            None if data.factors is None else data.factors.shape[1:],
        )
        if key not in self._runners:
            self._runners[key] = self._runner_for(data, None)
        return self._runners[key].step(data, rate)

    def train(self, batch: Any) -> Outcome:
        """A step of training."""
        rate = self._optimizer.next_rate()
        program = self._step(batch, rate)
        self._optimizer.count_step()
        return self._outcome(batch, program)

    def run(self, batch: Any) -> Outcome:
        """Loss and predictions."""
        return self._outcome(batch, self._step(batch))

    def predict(self, batch: Any) -> np.ndarray:
        """A copy of the output."""
        return np.array(self.network.kernels.arrays.fetch(self._step(batch).predictions))

    def _outcome(self, batch: Any, program: Any) -> Outcome:
        fetch = self.network.kernels.arrays.fetch
        if isinstance(batch, Samples):
            y, weights = batch.y, batch.sample_weight
        else:
            assert self._samples is not None
            y = fetch(program.targets) if self._own_targets else np.asarray(self._samples.y)[batch]
            weights = self._samples.sample_weight
            weights = None if weights is None else np.asarray(weights)[batch]
        loss = program.loss + program.penalty
        return Outcome(len(program.predictions), loss, y, fetch(program.predictions), weights)
