"""The loop over batches: which rows come when, and one step for each."""

from collections.abc import Iterator

import numpy as np

from fastml.solvers.backprop._network import Data, Network, Objective, Program
from fastml.solvers.backprop._optimizers import Optimizer


class Runner:
    """Programs over one data set, made at the first batch of each size.

    Parameters
    ----------
    network : Network
    data : Data or None
        None: each batch is given to ``step`` itself.
    objective : Objective or None
    optimizer : Optimizer or None
    training : bool
    """

    def __init__(
        self,
        network: Network,
        data: Data | None = None,
        objective: Objective | None = None,
        optimizer: Optimizer | None = None,
        training: bool = False,
    ):
        self.network, self.objective = network, objective
        self.data = None if data is None else data.sent(network.kernels.arrays)
        self.optimizer, self.training = optimizer, training
        self._programs: dict[int, Program] = {}

    def program(self, n_rows: int) -> Program:
        program = self._programs.get(n_rows)
        if program is None:
            if self.training:
                assert self.objective is not None
                program = self.network.training(n_rows, self.data, self.objective, self.optimizer)
            else:
                program = self.network.inference(n_rows, self.data, self.objective)
            self._programs[n_rows] = program
        return program

    def step(self, batch: "np.ndarray | Data", learning_rate: float = 0.0) -> Program:
        """One batch: rows of the data set, or the batch itself.

        Returns
        -------
        Program
            With what came of it, until the next step.
        """
        if isinstance(batch, Data):
            program = self.program(len(batch.X))
            program.load(batch)
        else:
            program = self.program(len(batch))
            self.network.kernels.arrays.assign(program.rows, batch)
        if self.optimizer is not None:
            self.optimizer.begin_step(learning_rate)
        program.run()
        return program


def batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """``order`` in pieces of ``batch_size``, of which the last may be shorter."""
    for first in range(0, len(order), batch_size):
        yield order[first : first + batch_size]
