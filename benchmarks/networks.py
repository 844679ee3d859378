"""Convolutional networks to be timed: their layers, data, and what each package makes of them.

A network is trained by ``build(package).fit(X, y)``: "fastml" and "tensorflow" by Keras' names, "torch" as its best
user would write it, with tensors in memory, ``randperm`` indexing and fused Adam.
"""

import importlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from workloads import N_THREADS, Data, scaled
from workloads import mnist as flat_mnist


class Network(NamedTuple):
    """One network, one data set.

    Attributes
    ----------
    name, title : str
    load : callable
    layers : tuple of tuple
        ("conv", filters, padding), each 3 x 3 with relu; ("pool",), 2 x 2; ("dense", units) with relu. Behind them a
        softmax over ten classes.
    epochs : int
        Of one fit, in batches of 128 by Adam.
    rounds : int
    warm : bool
        Whether a fit goes on with a model that has trained before; a new model is part of the time otherwise.
    channels_last : bool
        The memory format in which PyTorch is faster.
    """

    name: str
    title: str
    load: Callable[[], Data]
    layers: tuple[tuple, ...]
    epochs: int
    rounds: int
    warm: bool = False
    channels_last: bool = False

    def build(self, package: str) -> Any:
        return TorchNetwork(self) if package == "torch" else KerasNetwork(self, package)

    @property
    def n_steps(self) -> int:
        return self.epochs * -(-len(self.load().y) // BATCH_SIZE)

    def gflop(self) -> float:
        """Of a fit: products of the forward pass, and of both gradients; the first layer's inputs have none."""
        X = self.load().X
        *image, channels = X.shape[1:]
        forward = []
        for kind, *arguments in (*self.layers, ("dense", N_CLASSES)):
            if kind == "conv":
                filters, padding = arguments
                image = image if padding == "same" else [size - 2 for size in image]
                forward.append(2 * 9 * channels * filters * prod(image))
                channels = filters
            elif kind == "pool":
                image = [size // 2 for size in image]
            else:
                forward.append(2 * channels * prod(image) * arguments[0])
                image, channels = [], arguments[0]
        return 1e-9 * len(X) * self.epochs * (3 * sum(forward) - forward[0])


BATCH_SIZE, N_CLASSES = 128, 10


class KerasNetwork:
    """By Keras' names, fastml's or TensorFlow's."""

    def __init__(self, network: Network, package: str):
        self.network = network
        if package == "tensorflow":
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            tensorflow = importlib.import_module("tensorflow")
            tensorflow.config.threading.set_intra_op_parallelism_threads(N_THREADS)
            self.keras = tensorflow.keras
        else:
            self.keras = importlib.import_module("fastml.keras")
        self.model: Any = None

    def _made(self, input_shape: Sequence[int]) -> Any:
        layers, inside = self.keras.layers, []
        for kind, *arguments in self.network.layers:
            if kind == "conv":
                inside.append(layers.Conv2D(arguments[0], 3, padding=arguments[1], activation="relu"))
            elif kind == "pool":
                inside.append(layers.MaxPooling2D())
            else:
                inside += [layers.Flatten(), layers.Dense(arguments[0], activation="relu")]
        if self.network.layers[-1][0] != "dense":
            inside.append(layers.Flatten())
        inside.append(layers.Dense(N_CLASSES, activation="softmax"))
        model = self.keras.Sequential([self.keras.Input(tuple(input_shape)), *inside])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, X: np.ndarray, y: np.ndarray) -> "KerasNetwork":
        if self.model is None or not self.network.warm:
            self.model = self._made(X.shape[1:])
        self.model.fit(X, y, epochs=self.network.epochs, batch_size=BATCH_SIZE, verbose=0)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """By default arguments."""
        return self.model.predict(X)

    def seed(self, seed: int) -> None:
        self.keras.utils.set_random_seed(seed)


class TorchNetwork:
    """By PyTorch."""

    def __init__(self, network: Network):
        self.network, self.model = network, None

    def _made(self, inputs: Any) -> None:
        from torch import nn, optim

        layers: list[Any] = []
        for kind, *arguments in self.network.layers:
            if kind == "conv":
                layers += [nn.LazyConv2d(arguments[0], 3, padding=arguments[1]), nn.ReLU()]
            elif kind == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Flatten(), nn.LazyLinear(arguments[0]), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(N_CLASSES))
        self.model(inputs[:1])
        if self.network.channels_last:
            self.model = self.model.to(memory_format=self._format())
        self.optimizer = optim.Adam(self.model.parameters(), fused=True)

    def _format(self) -> Any:
        import torch

        return torch.channels_last if self.network.channels_last else torch.contiguous_format

    def _images(self, X: np.ndarray) -> Any:
        """Tensors of shape (n, channels, height, width)."""
        import torch

        return torch.from_numpy(X).permute(0, 3, 1, 2).contiguous(memory_format=self._format())

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TorchNetwork":
        import torch

        torch.set_num_threads(N_THREADS)
        inputs, labels = self._images(X), torch.from_numpy(y.astype(np.int64))
        if self.model is None or not self.network.warm:
            self._made(inputs)
        for _ in range(self.network.epochs):
            for rows in torch.randperm(len(X)).split(BATCH_SIZE):
                self.optimizer.zero_grad()
                torch.nn.functional.cross_entropy(self.model(inputs[rows]), labels[rows]).backward()
                self.optimizer.step()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            parts = self._images(X).split(256)
            return np.concatenate([self.model(part).softmax(1).numpy() for part in parts])

    def seed(self, seed: int) -> None:
        import torch

        torch.manual_seed(seed)


@lru_cache(maxsize=1)
def mnist() -> Data:
    """Images with an axis for their one channel."""
    data = flat_mnist()
    assert data.X_test is not None
    return data._replace(X=data.X.reshape(-1, 28, 28, 1), X_test=data.X_test.reshape(-1, 28, 28, 1))


@lru_cache(maxsize=1)
def noise() -> Data:
    """Colour images of random numbers, with random labels."""
    rng = np.random.default_rng(0)
    n = scaled(10_000)
    X = rng.standard_normal((n, 32, 32, 3)).astype(np.float32)
    return Data(X, rng.integers(0, N_CLASSES, n))


CNN_MNIST = Network(
    "cnn-mnist",
    "CNN of Keras' MNIST script, Adam, batches of 128, 5 epochs: MNIST, 60,000 × 28 × 28 × 1 float32",
    mnist,
    (("conv", 32, "valid"), ("pool",), ("dense", 128)),
    epochs=5,
    rounds=2,
)
CNN_32 = Network(
    "cnn-32x32x3",
    "CNN of five convolutions, Adam, batches of 128, an epoch: 10,000 × 32 × 32 × 3 float32",
    noise,
    (
        *(("conv", 32, "same"), ("conv", 32, "same"), ("pool",)),
        *(("conv", 64, "same"), ("conv", 64, "same"), ("pool",)),
        *(("conv", 128, "same"), ("pool",)),
    ),
    epochs=1,
    rounds=3,
    warm=True,
    channels_last=True,
)
NETWORKS = {network.name: network for network in (CNN_MNIST, CNN_32)}
