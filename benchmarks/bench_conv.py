"""Convolutions: GFLOP/s of each kernel at the layers of two networks, beside the machine's peak.

    pytest benchmarks/bench_conv.py [-k mnist] [--benchmark-json=FILE]

All products count, those with the padding's zeros too; of gradients through max pooling, all before the pooling.
Nothing is asserted about time.
"""

from typing import Any

import numpy as np
import pytest
from network_rates import report_rates

from fastml.kernels.conv_geometry import Geometry
from fastml.kernels.cpu import conv

# Side of the image, channels, filters, padding of 3 x 3 convolutions in batches of 128, with and without 2 x 2 pooling.
LAYERS = {
    "mnist": (28, 1, 32, 0),
    "32x32x3, first": (32, 3, 32, 1),
    "32x32x3, second": (32, 32, 32, 1),
    "32x32x3, third": (16, 32, 64, 1),
    "32x32x3, fourth": (16, 64, 64, 1),
    "32x32x3, fifth": (8, 64, 128, 1),
}
KERNELS = (
    "forward",
    "gradient_input",
    "gradient_filters",
    "forward_max_pooled",
    "gradient_filters_max_pooled",
)
N_IMAGES = 128


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", LAYERS)
def test_conv(benchmark: Any, name: str, kernel: str) -> None:
    side, c, m, padding = LAYERS[name]
    after = side - 2 + 2 * padding
    rng = np.random.default_rng(0)

    def images(size: int, channels: int) -> np.ndarray:
        return rng.standard_normal((N_IMAGES, size, size, channels)).astype("f4")

    X, out, dX = images(side, c), images(after, m), images(side, c)
    small, dsmall = images(after // 2, m), images(after // 2, m)
    W, dW = (rng.standard_normal((3, 3, c, m)).astype("f4") for _ in range(2))
    bias, dbias = np.zeros(m, "f4"), np.zeros(m, "f4")
    argmax = np.zeros(small.shape, np.uint8)
    geometry, window = Geometry(padding=(padding, padding)), (2, 2)
    arguments = {
        "forward": (X, W, bias, out, geometry, "relu"),
        "gradient_input": (out, W, dX, geometry),
        "gradient_filters": (X, out, dW, dbias, geometry),
        "forward_max_pooled": (X, W, bias, small, argmax, geometry, window),
        "gradient_filters_max_pooled": (X, dsmall, small, argmax, dW, dbias, geometry, window),
    }[kernel]
    gflop = 2e-9 * N_IMAGES * after**2 * m * 9 * c
    report_rates(benchmark, f"{name} {kernel}", [(getattr(conv, kernel), arguments)], gflop)
