"""Rows of a batch of 128 out of MNIST: GB/s beside NumPy's copy.

pytest benchmarks/bench_gather.py [--benchmark-json=FILE]
"""

from typing import Any

import numpy as np
import pytest
from streams import stream

from fastml.kernels.cpu import gather

N_ROWS, WIDTH, BATCH = 60_000, 784, 128


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_rows(benchmark: Any, kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (N_ROWS, WIDTH)).astype(kind)
    rows, out = rng.integers(0, N_ROWS, BATCH), np.empty((BATCH, WIDTH), np.float32)
    scale = 1 / 255 if kind == "uint8" else 1.0
    n_bytes = BATCH * WIDTH * (X.itemsize + 4)
    stream(benchmark, f"rows of {kind} to float32", gather.rows, X, rows, out, scale, n_bytes=n_bytes)
