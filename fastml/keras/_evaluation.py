"""What nodes compute from an array, outside of any model."""

from collections.abc import Sequence

import numpy as np

from fastml.keras import _device
from fastml.solvers.backprop import Data, Network, Node


def evaluated(nodes: Sequence[Node], x: np.ndarray, training: bool = False) -> np.ndarray:
    """The output of a batch ``x`` of float32 or float64."""
    network = Network(nodes, x.shape[1:], x.dtype, _device.device(), train=False)
    program = network.inference(len(x), as_in_training=training)
    program.load(Data(np.ascontiguousarray(x)))
    program.run()
    return np.array(network.kernels.arrays.fetch(program.predictions))


def as_floats(x: object) -> np.ndarray:
    """``x`` as an array of float32, or of float64 if it is one."""
    array = np.asarray(x)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
