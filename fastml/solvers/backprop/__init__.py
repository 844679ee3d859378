"""Networks trained by back-propagation: nodes, losses, optimizers and the loop. No layer names, no devices.

A ``Network`` is made of nodes (``Dense``, ``Conv``, …), each of which records its forward pass as calls of kernels
and gives what records its backward pass. Once per size of batch all calls are compiled to a plan, and from then on a
step of training is one call.
"""

from fastml.solvers.backprop._averaging import Averaging
from fastml.solvers.backprop._dense import Conv, Dense, Window
from fastml.solvers.backprop._elementwise import (
    Activation,
    Dropout,
    GatedLinear,
    OutputPenalty,
    Rescale,
    RowActivation,
)
from fastml.solvers.backprop._losses import (
    Formula,
    Loss,
    Scored,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Targets,
)
from fastml.solvers.backprop._network import Data, Network, Objective, Program
from fastml.solvers.backprop._node import Node, Parameter, Penalty, Recorded, Recording
from fastml.solvers.backprop._normalization import BatchNormalization, LayerNormalization
from fastml.solvers.backprop._optimizers import SGD, Adagrad, Adam, Clipping, Optimizer, RMSprop
from fastml.solvers.backprop._penalties import ElasticNet, Orthogonal
from fastml.solvers.backprop._pool import AveragePool, MaxPool
from fastml.solvers.backprop._ridge import Ridge
from fastml.solvers.backprop._training import Runner, batches
from fastml.solvers.backprop._views import Crop, Interpolate, Permute, Repeat, Reshape, ZeroPad

__all__ = [
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AveragePool",
    "Averaging",
    "BatchNormalization",
    "Clipping",
    "Conv",
    "Crop",
    "Data",
    "Dense",
    "Dropout",
    "ElasticNet",
    "Formula",
    "GatedLinear",
    "Interpolate",
    "LayerNormalization",
    "Loss",
    "MaxPool",
    "Network",
    "Node",
    "Objective",
    "Optimizer",
    "Orthogonal",
    "OutputPenalty",
    "Parameter",
    "Penalty",
    "Permute",
    "Program",
    "RMSprop",
    "Recorded",
    "Recording",
    "Repeat",
    "Rescale",
    "Reshape",
    "Ridge",
    "RowActivation",
    "Runner",
    "Scored",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "Targets",
    "Window",
    "ZeroPad",
    "batches",
]
