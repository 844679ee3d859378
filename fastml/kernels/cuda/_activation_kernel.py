"""Elementwise activations and dropout: kernels whose threads stride over elements."""

from functools import lru_cache

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda._activation_formulas import FORMULAS
from fastml.kernels.cuda._warp import device_function
from fastml.kernels.philox import GROUP, HALF, LOW, MULTIPLIERS, N_ROUNDS, WEYL

FIRST_MULTIPLIER, SECOND_MULTIPLIER = MULTIPLIERS
FIRST_STEP, SECOND_STEP = WEYL

# Elements that sixteen of Philox' blocks decide on.
GROUP_ELEMENTS = 4 * GROUP


@lru_cache(maxsize=64)
def forward_kernel(name):
    return cuda.jit(forward_function(name))


def forward_function(name):
    """The kernel's Python function."""
    value = FORMULAS[name][0]

    def activation_forward(X, a, b, c, out):
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = value(float64(X[i]), a, b, c)

    return activation_forward


@lru_cache(maxsize=64)
def gradient_kernel(name):
    return cuda.jit(gradient_function(name))


def gradient_function(name):
    """The kernel's Python function."""
    slope = FORMULAS[name][1]
    may_be_overwritten = name == "relu"

    def activation_gradient(X, out, dout, a, b, c, dX):
        for i in range(cuda.grid(1), dX.size, cuda.gridsize(1)):
            x = float64(X[i])
            # By out: what is above relu's threshold still is, the rest is now at most 0.
            if may_be_overwritten and c > 0.0 and not out[i] > 0.0:
                x = float64(out[i])
            dX[i] = float64(dout[i]) * slope(x, a, b, c)

    return activation_gradient


@device_function
def _block(key, low, high):
    """The four words of a Philox4x32-10 block (``fastml.kernels.philox``)."""
    k0, k1 = key & LOW, key >> HALF
    c0, c1, c2, c3 = low & LOW, low >> HALF, high & LOW, high >> HALF
    for _ in range(N_ROUNDS):
        first, second = FIRST_MULTIPLIER * c0, SECOND_MULTIPLIER * c2
        c0, c1 = (second >> HALF) ^ c1 ^ k0, second & LOW
        c2, c3 = (first >> HALF) ^ c3 ^ k1, first & LOW
        k0, k1 = (k0 + FIRST_STEP) & LOW, (k1 + SECOND_STEP) & LOW
    return c0, c1, c2, c3


def dropout_function():
    """The kernel's Python function: a thread makes a block of Philox, and with it four elements."""

    def activation_dropout(X, state, threshold, scale, mask, out):
        least = np.uint64(threshold)
        n_blocks = -(-out.size // GROUP_ELEMENTS) * GROUP
        for block in range(cuda.grid(1), n_blocks, cuda.gridsize(1)):
            words = _block(state[0], np.uint64(block), state[1])
            first = block // GROUP * GROUP_ELEMENTS + block % GROUP
            for w in range(4):
                i = first + w * GROUP
                if i < out.size:
                    kept = words[w] >= least
                    mask[i] = 1 if kept else 0
                    out[i] = float64(X[i]) * scale if kept else 0.0

    return activation_dropout


def dropout_gradient_function():
    """The kernel's Python function."""

    def activation_dropout_gradient(dout, mask, scale, dX):
        for i in range(cuda.grid(1), dX.size, cuda.gridsize(1)):
            dX[i] = float64(dout[i]) * scale if mask[i] else 0.0

    return activation_dropout_gradient


dropout_kernel = cuda.jit(dropout_function())
dropout_gradient_kernel = cuda.jit(dropout_gradient_function())
