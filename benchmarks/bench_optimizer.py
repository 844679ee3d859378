"""Optimizers' updates of a small CNN's parameters: GB/s beside NumPy's copy.

pytest benchmarks/bench_optimizer.py [-k adam] [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from streams import stream

from fastml.kernels.cpu import optimizer

# 26 x 26 x 32 after a convolution and pooling, dense 128, dense 10.
N = 693_962

# States, settings.
UPDATES = {
    "sgd": (0, [1e-6, 0.0, 0.0, 0.0]),
    "momentum": (1, [1e-6, 0.9, 0.0, 0.0]),
    "rmsprop": (1, [1e-6, 0.9, 0.0, 1e-7, 0.0]),
    "adagrad": (1, [1e-6, 1e-7, 0.0]),
    "adam": (2, [1e-6, 0.9, 0.999, 1e-7, 0.9, 0.999, 0.0]),
    "amsgrad": (3, [1e-6, 0.9, 0.999, 1e-7, 0.9, 0.999, 0.0]),
}
FUNCTIONS = {"momentum": "sgd", "amsgrad": "adam"}
N_STATES = {"sgd": 1, "rmsprop": 3, "adagrad": 1, "adam": 3}


@pytest.mark.parametrize("name", UPDATES)
def test_update(benchmark: Any, name: str) -> None:
    n_states, settings = UPDATES[name]
    function = FUNCTIONS.get(name, name)
    w, g, *states = np.random.default_rng(0).random((2 + n_states, N)).astype(np.float32)
    none = [None] * (N_STATES[function] - n_states)
    arguments = w, g, *states, *none, np.array(settings)
    n_bytes = (3 + 2 * n_states) * w.nbytes
    stream(benchmark, name, getattr(optimizer, function), *arguments, n_bytes=n_bytes)


def test_clipping(benchmark: Any) -> None:
    g, squared = np.random.default_rng(0).standard_normal(N).astype(np.float32), np.array([1e12])
    stream(benchmark, "squared norm", optimizer.squared_norm, g, squared, n_bytes=g.nbytes)
    stream(benchmark, "clip", optimizer.clip, g, 100.0, n_bytes=2 * g.nbytes)
