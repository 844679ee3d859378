"""An epoch of mini-batches, and the objective over all rows for L-BFGS."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastml.kernels import arrays_of
from fastml.neural_network._mlp_network import MLP
from fastml.solvers.backprop import Objective, Optimizer, Program, Runner, batches


class Epochs:
    """Steps of an optimizer over one data set.

    Parameters
    ----------
    mlp : MLP
    X : array or CSR matrix
    y : array of shape (n, n_outputs)
    sample_weight : array of shape (n,) or None
    alpha : float
    batch_size : int
    optimizer : Optimizer
    """

    def __init__(
        self,
        mlp: MLP,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        alpha: float,
        batch_size: int,
        optimizer: Optimizer,
    ):
        self._mlp, self._X, self._alpha, self._batch_size = mlp, X, alpha, batch_size
        self._sample_weight = sample_weight
        self._objective = mlp.objective(sample_weight is not None)
        data = mlp.data(X, y, sample_weight)
        self._runner = Runner(mlp.network, data, self._objective, optimizer, training=True)

    def run(self, order: np.ndarray, step_size: float) -> float:
        """One epoch.

        Returns
        -------
        float
            The mean over samples of the objective of the batch that each was in.
        """
        total, ridge = 0.0, self._objective.ridge
        assert ridge is not None
        sparse_input, largest = self._mlp.sparse_input, self._mlp.largest_loss()
        for rows in batches(order, self._batch_size):
            if sparse_input is not None:
                sparse_input.batch = self._X[rows]
            ridge.strength = self._alpha / self._weight_of(rows)
            program = self._runner.step(rows, step_size)
            total += len(rows) * (mean_loss(program, largest) + ridge.value)
        return total / len(order)

    def _weight_of(self, rows: np.ndarray) -> float:
        if self._sample_weight is None:
            return len(rows)
        weight = self._sample_weight[rows].sum()
        if weight == 0.0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        return weight


def mean_loss(program: Program, largest: float) -> float:
    """Of the last run, no sample's more than ``largest``."""
    losses = _fetched(program.losses)
    if largest < np.inf:
        losses = np.minimum(losses, largest)
    total = losses.sum() if program.factors is None else np.vdot(losses, _fetched(program.factors))
    return float(total) / len(losses)


def full_objective(
    mlp: MLP, X: Any, y: np.ndarray, sample_weight: np.ndarray | None, alpha: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The objective over all rows and its gradient, functions of ``packed(values of mlp.parameters)``."""
    objective: Objective = mlp.objective(sample_weight is not None)
    ridge = objective.ridge
    assert ridge is not None
    program = mlp.network.training(len(y), None, objective, None)
    program.load(mlp.data(X, y, sample_weight))
    if mlp.sparse_input is not None:
        mlp.sparse_input.batch = X
    ridge.strength = alpha / (len(y) if sample_weight is None else sample_weight.sum())

    def value_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
        for parameter, values in zip(mlp.parameters, unpacked(vector, mlp)):
            parameter.assign(values)
        program.run()
        value = mean_loss(program, mlp.largest_loss()) + ridge.value
        return value, packed([_fetched(parameter.gradient) for parameter in mlp.parameters])

    return value_and_gradient


def _fetched(array: Any) -> np.ndarray:
    return arrays_of(array).fetch(array)


def packed(arrays: list[Any]) -> np.ndarray:
    """One vector of all elements."""
    return np.concatenate([np.ravel(array) for array in arrays])


def unpacked(vector: np.ndarray, mlp: MLP) -> list[np.ndarray]:
    """What ``packed`` made of the parameters' arrays."""
    ends = np.cumsum([parameter.value.size for parameter in mlp.parameters])
    parts = np.split(vector, ends[:-1])
    return [part.reshape(parameter.shape) for part, parameter in zip(parts, mlp.parameters)]
