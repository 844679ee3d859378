"""Pooling of a batch of 128 images: GB/s beside NumPy's copy.

pytest benchmarks/bench_pool.py [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from streams import stream

from fastml.kernels.cpu import pool

# Image, channels, window, strides: a layer of an MNIST network, one of a deeper network, and a global pooling.
SHAPES = {
    "26x26x32 2x2": (26, 32, 2, 2),
    "14x14x64 3x3 overlapping": (14, 64, 3, 2),
    "7x7x128 global": (7, 128, 7, 7),
}
BATCH = 128


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooling(benchmark: Any, shape: str, kind: str) -> None:
    size, c, window, stride = SHAPES[shape]
    pooled = (size - window) // stride + 1
    X = np.random.default_rng(0).standard_normal((BATCH, size, size, c)).astype(np.float32)
    out = np.empty((BATCH, pooled, pooled, c), np.float32)
    argmax = np.empty(out.shape, np.int32)
    geometry = (window, window), (stride, stride), (0, 0)
    stored = [argmax] if kind == "max" else []
    n_bytes = X.nbytes + out.nbytes * (1 + len(stored))
    forward, gradient = getattr(pool, f"{kind}_forward"), getattr(pool, f"{kind}_gradient")
    stream(benchmark, f"{kind} {shape}", forward, X, out, *stored, *geometry, n_bytes=n_bytes)
    stream(benchmark, f"{kind} gradient {shape}", gradient, out, *stored, X, *geometry, n_bytes=n_bytes)
