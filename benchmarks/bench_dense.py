"""Dense layers: GFLOP/s of each product, and of a step's three, beside the machine's peak.

    pytest benchmarks/bench_dense.py [-k f4] [--benchmark-json=FILE]

Nothing is asserted about time.
"""

from typing import Any

import numpy as np
import pytest
from network_rates import report_rates

from fastml.kernels.cpu import dense

# n, d, m: the CNN's and the MLP's layers on MNIST; a large one.
SHAPES = {
    "cnn hidden": (128, 5408, 128),
    "mlp hidden": (128, 784, 128),
    "output": (128, 128, 10),
    "large": (1024, 1024, 1024),
}


STEPS = ("forward", "to the input", "to the weights", "all")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", SHAPES)
def test_dense(benchmark: Any, name: str, dtype: str, step: str) -> None:
    n, d, m = SHAPES[name]
    rng = np.random.default_rng(0)
    X, W, dout = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (d, m), (n, m)))
    bias, out, dX, dW = np.zeros(m, dtype), np.empty_like(dout), np.empty_like(X), np.empty_like(W)
    calls = [
        (dense.forward, (X, W, bias, out, "relu")),
        (dense.gradient_input, (dout, W, dX)),
        (dense.gradient_weights, (X, dout, dW, bias.copy())),
    ]
    if step != "all":
        calls = [calls[STEPS.index(step)]]
    report_rates(benchmark, f"{name} {dtype} {step}", calls, 2e-9 * n * d * m * len(calls), dtype)
