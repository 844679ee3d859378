"""Batch and layer normalisation: GB/s beside NumPy's copy.

pytest benchmarks/bench_normalization.py [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from streams import stream

from fastml.kernels.cpu import normalization

# Rows and channels: 128 images of 26 x 26 x 32, of 7 x 7 x 256, and the rows of a dense layer.
SHAPES = [(128 * 26 * 26, 32), (128 * 7 * 7, 256), (128, 512)]


@pytest.mark.parametrize("shape", SHAPES)
def test_batch(benchmark: Any, shape: tuple[int, int]) -> None:
    X, out, dout = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    gamma, beta, mean, deviation, moving_mean, moving_variance = np.ones((6, shape[1]), np.float32)
    # X is read twice.
    stream(
        benchmark,
        f"batch {shape}",
        normalization.batch_train,
        *(X, gamma, beta, out, mean, deviation, moving_mean, moving_variance, 0.99, 1e-3),
        n_bytes=3 * X.nbytes,
    )
    arguments = X, dout, gamma, mean, deviation, out, moving_mean, moving_variance
    gradient = normalization.batch_gradient
    stream(benchmark, f"batch gradient {shape}", gradient, *arguments, n_bytes=5 * X.nbytes)


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_layer(benchmark: Any, shape: tuple[int, int]) -> None:
    X, out, dout = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    gamma, beta, dgamma, dbeta = np.ones((4, shape[1]), np.float32)
    mean, deviation = np.ones((2, shape[0]), np.float32)
    forward, gradient = normalization.layer_forward, normalization.layer_gradient
    arguments = X, gamma, beta, out, mean, deviation, 1e-3
    stream(benchmark, f"layer {shape}", forward, *arguments, n_bytes=2 * X.nbytes)
    arguments = X, dout, gamma, mean, deviation, out, dgamma, dbeta
    stream(benchmark, f"layer gradient {shape}", gradient, *arguments, n_bytes=3 * X.nbytes)
