"""Multi-layer perceptrons: whole fits beside scikit-learn's, and PyTorch's where it is installed.

    pytest benchmarks/bench_mlp.py [--benchmark-json=FILE]

The contenders take turns in one run, as in ``bench_sgd.py``. Nothing is asserted about time.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import workloads
from workloads import MLP_MNIST, N_THREADS, Data

import fastml

PEERS = ["scikit-learn"] + (["torch"] if find_spec("torch") is not None else [])

# All of them stop after five epochs.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with fastml.config_context(n_threads=N_THREADS):
        yield


class TorchMLP:
    """The same network and training as its best user would write it: tensors in memory, fused Adam."""

    def __init__(self, hidden_layer_sizes: tuple[int], batch_size: int, max_iter: int, random_state: int):
        self.units, self.batch_size, self.epochs = hidden_layer_sizes[0], batch_size, max_iter
        self.seed = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TorchMLP":
        import torch

        torch.manual_seed(self.seed)
        torch.set_num_threads(N_THREADS)
        inputs, labels = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
        hidden, output = (
            torch.nn.Linear(X.shape[1], self.units),
            torch.nn.Linear(self.units, int(y.max()) + 1),
        )
        self.model = torch.nn.Sequential(hidden, torch.nn.ReLU(), output)
        decayed = {"params": [hidden.weight, output.weight], "weight_decay": 1e-4 / self.batch_size}
        optimizer = torch.optim.Adam(
            [decayed, {"params": [hidden.bias, output.bias]}], lr=1e-3, eps=1e-8, fused=True
        )
        loss_of = torch.nn.CrossEntropyLoss()
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X)).split(self.batch_size):
                optimizer.zero_grad()
                loss_of(self.model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        import torch

        with torch.no_grad():
            return float(np.mean(self.model(torch.from_numpy(X)).argmax(1).numpy() == y))


def built(peer: str) -> Any:
    return TorchMLP(**MLP_MNIST.params) if peer == "torch" else MLP_MNIST.build("sklearn")


@pytest.mark.parametrize("peer", PEERS)
def test_fit(benchmark: Any, peer: str) -> None:
    data: Data = MLP_MNIST.load()
    ours, theirs = MLP_MNIST.build("fastml"), built(peer)
    seconds: list[float] = []

    def their_turn() -> None:
        start = perf_counter()
        theirs.fit(data.X, data.y)
        seconds.append(perf_counter() - start)

    benchmark.pedantic(lambda: ours.fit(data.X, data.y), setup=their_turn, rounds=MLP_MNIST.rounds)
    steps = ours.n_iter_ * -(-len(data.y) // MLP_MNIST.params["batch_size"])
    benchmark.extra_info.update(
        kind="fit",
        workload=MLP_MNIST.name,
        title=MLP_MNIST.title,
        statistic=MLP_MNIST.statistic,
        peer="PyTorch" if peer == "torch" else peer,
        peer_jobs=None,
        ours_s=list(benchmark.stats.stats.data),
        theirs_s=seconds,
        ms_per_step=1e3 * benchmark.stats.stats.min / steps,
        scores=[float(model.score(data.X_test, data.y_test)) for model in (ours, theirs)],
        scale=workloads.SCALE,
    )
