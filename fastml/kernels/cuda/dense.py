"""Dense layers on the GPU; the contract is ``fastml.kernels.reference.dense``.

Products are cuBLAS'; bias and relu are added in one pass over what it leaves in the second-level cache, and the bias'
gradient is a sum in an order that depends on the shape alone.
"""

import functools
from functools import lru_cache

from numba import cuda

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._columns import sums
from fastml.kernels.cuda._operation import as_function, checked, elementwise, optional, real_type

__all__ = ["forward", "gradient_input", "gradient_weights"]


@as_function
def forward(X, W, bias, out, activation="linear"):
    kind, n, d, m = _sizes(X, W, "X", "W", same=(1, 0))
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    checked(W, kind, "W", (d, m))
    checked(X, kind, "X", (n, d))
    offsets = optional(bias, kind, "bias", (m,))
    checked(out, kind, "out", (n, m))
    calls = [functools.partial(_device.product, X, W, out)]
    if bias is not None or activation == "relu":
        kernel = finish_kernel(bias is not None, activation == "relu")
        calls += elementwise(kernel, out.size, offsets, out.reshape(-1))
    return calls


@as_function
def gradient_input(dout, W, dX):
    kind, n, m, d = _sizes(dout, W, "dout", "W", same=(1, 1))
    checked(dout, kind, "dout", (n, m))
    checked(W, kind, "W", (d, m))
    checked(dX, kind, "dX", (n, d))
    return [functools.partial(_device.product, dout, W.T, dX)]


@as_function
def gradient_weights(X, dout, dW, dbias):
    kind, d, n, m = _sizes(X, dout, "X", "dout", same=(0, 0))
    checked(X, kind, "X", (n, d))
    checked(dout, kind, "dout", (n, m))
    checked(dW, kind, "dW", (d, m))
    calls = [functools.partial(_device.product, X.T, dout, dW)]
    if dbias is not None:
        calls += sums("element", dout, checked(dbias, kind, "dbias", (m,)))
    return calls


def _sizes(A, B, name, second, same):
    """The dtype, and the three sizes of a product over an axis of each: A's other one, the common one, B's other."""
    kind = real_type(A, name)
    if A.ndim != 2 or B.ndim != 2:
        raise ValueError(f"{name} and {second} must be matrices; got shapes {A.shape} and {B.shape}.")
    return kind, A.shape[1 - same[0]], A.shape[same[0]], B.shape[1 - same[1]]


@lru_cache(maxsize=4)
def finish_kernel(has_bias, relu):
    return cuda.jit(finish_function(has_bias, relu))


def finish_function(has_bias, relu):
    """The kernel's Python function: bias and relu, in place; a NaN stays one."""

    def dense_finish(bias, out):
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            value = out[i]
            if has_bias:
                value += bias[i % bias.size]
            out[i] = 0 if relu and value < 0 else value

    return dense_finish
