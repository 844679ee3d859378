"""Activations of a batch, softmax with its loss, dropout: GB/s beside NumPy's copy.

pytest benchmarks/bench_activation.py [-k gelu] [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from streams import stream

from fastml.kernels.activation_names import PARAMETERS
from fastml.kernels.cpu import activation

# 128 images of 13 x 13 x 32 in float32: 2.8 MB, about a second-level cache.
N = 128 * 13 * 13 * 32


@pytest.mark.parametrize("name", PARAMETERS)
def test_elementwise(benchmark: Any, name: str) -> None:
    X, out, dout, dX = np.random.default_rng(0).standard_normal((4, N)).astype(np.float32)
    parameters = (0.5, 0.0) if name == "threshold" else ()
    stream(benchmark, name, activation.forward, X, out, name, parameters, n_bytes=2 * X.nbytes)
    # A gradient reads dout, and X or out.
    arguments = X, out, dout, dX, name, parameters
    stream(benchmark, f"{name} gradient", activation.gradient, *arguments, n_bytes=3 * X.nbytes)


@pytest.mark.parametrize("shape", [(128, 10), (128, 1000)])
def test_softmax_cross_entropy(benchmark: Any, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    logits, p, d = rng.standard_normal((3, *shape)).astype(np.float32)
    labels, losses = rng.integers(0, shape[1], len(logits)).astype(np.int32), np.empty(len(logits))
    arguments = logits, labels, None, p, d, losses
    n_bytes = 3 * logits.nbytes
    stream(benchmark, f"cross-entropy {shape}", activation.softmax_cross_entropy, *arguments, n_bytes=n_bytes)


def test_dropout(benchmark: Any) -> None:
    X, out = np.random.default_rng(0).standard_normal((2, N)).astype(np.float32)
    mask, state = np.empty(N, np.uint8), np.array([1, 0], np.uint64)
    n_bytes = 2 * X.nbytes + mask.nbytes
    stream(benchmark, "dropout", activation.dropout, X, out, mask, 0.5, state, n_bytes=n_bytes)
    stream(benchmark, "dropout gradient", activation.dropout_gradient, X, mask, 0.5, out, n_bytes=n_bytes)
