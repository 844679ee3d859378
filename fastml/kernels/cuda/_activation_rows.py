"""Softmax and its like: a thread block takes a row at a time. In-place calls are safe: a thread writes what it read.

Every thread holds the same sums and extremes, so that nothing is broadcast. Sums take turns in the slots of
``_warp``, with one barrier each.
"""

from math import inf, nan

from numba import cuda, float64

from fastml.kernels.cuda._elements import exp, log
from fastml.kernels.cuda._warp import (
    LEAST_SLOTS,
    NOWHERE,
    SLOTS,
    collect,
    collect_least,
    deposit,
    deposit_least,
)

SHARED_BYTES = 8 * LEAST_SLOTS


def softmax_function(logarithmic):
    """The kernel's Python function; of log_softmax if it is to be ``logarithmic``."""

    def activation_softmax(X, out):
        slots, extremes = cuda.shared.array(SLOTS, float64), cuda.shared.array(0, float64)
        lane, lanes, k, turn = cuda.threadIdx.x, cuda.blockDim.x, X.shape[1], 0
        for i in range(cuda.blockIdx.x, X.shape[0], cuda.gridDim.x):
            least = inf
            for j in range(lane, k, lanes):
                least = min(least, -float64(X[i, j]))
            deposit_least(least, NOWHERE, extremes, 0)
            cuda.syncthreads()
            largest = -collect_least(extremes, 0)[0]
            total = 0.0
            for j in range(lane, k, lanes):
                total += exp(float64(X[i, j]) - largest)
            deposit(total, slots, turn, 0)
            cuda.syncthreads()
            total, turn = collect(slots, turn, 0), 1 - turn
            shift = log(total)
            for j in range(lane, k, lanes):
                x = float64(X[i, j]) - largest
                out[i, j] = x - shift if logarithmic else exp(x) / total

    return activation_softmax


def softmax_gradient_function(logarithmic):
    """The kernel's Python function; of log_softmax if it was ``logarithmic``."""

    def activation_softmax_gradient(out, dout, dX):
        slots = cuda.shared.array(SLOTS, float64)
        lane, lanes, k, turn = cuda.threadIdx.x, cuda.blockDim.x, out.shape[1], 0
        for i in range(cuda.blockIdx.x, out.shape[0], cuda.gridDim.x):
            total = 0.0
            for j in range(lane, k, lanes):
                total += float64(dout[i, j]) * (1.0 if logarithmic else float64(out[i, j]))
            deposit(total, slots, turn, 0)
            cuda.syncthreads()
            total, turn = collect(slots, turn, 0), 1 - turn
            for j in range(lane, k, lanes):
                d, value = float64(dout[i, j]), float64(out[i, j])
                dX[i, j] = d - exp(value) * total if logarithmic else value * (d - total)

    return activation_softmax_gradient


def sparsemax_function():
    """The kernel's Python function: tau of what is left, until all of it is above tau; no row is sorted.

    Tau only grows as elements are left out, so what has been left out stays out. All of it is of elements less the
    largest one, whose sum would drown the 1, else.
    """

    def activation_sparsemax(X, out):
        slots, extremes = cuda.shared.array(SLOTS, float64), cuda.shared.array(0, float64)
        lane, lanes, k, turn = cuda.threadIdx.x, cuda.blockDim.x, X.shape[1], 0
        for i in range(cuda.blockIdx.x, X.shape[0], cuda.gridDim.x):
            least = inf
            for j in range(lane, k, lanes):
                least = min(least, -float64(X[i, j]))
            deposit_least(least, NOWHERE, extremes, 0)
            cuda.syncthreads()
            largest = -collect_least(extremes, 0)[0]
            tau, size, before = -inf, k + 1.0, k + 2.0
            while size < before:
                total, count, before = 0.0, 0.0, size
                for j in range(lane, k, lanes):
                    x = float64(X[i, j]) - largest
                    if x > tau:
                        total += x
                        count += 1.0
                deposit(total, slots, turn, 0)
                deposit(count, slots, turn, 1)
                cuda.syncthreads()
                size = collect(slots, turn, 1)
                tau, turn = (collect(slots, turn, 0) - 1.0) / size, 1 - turn
            for j in range(lane, k, lanes):
                excess = float64(X[i, j]) - largest - tau
                out[i, j] = 0.0 if excess < 0.0 else excess

    return activation_sparsemax


def sparsemax_gradient_function():
    """The kernel's Python function."""

    def activation_sparsemax_gradient(out, dout, dX):
        slots = cuda.shared.array(SLOTS, float64)
        lane, lanes, k, turn = cuda.threadIdx.x, cuda.blockDim.x, out.shape[1], 0
        for i in range(cuda.blockIdx.x, out.shape[0], cuda.gridDim.x):
            total, count = 0.0, 0.0
            for j in range(lane, k, lanes):
                if out[i, j] > 0.0:
                    total += float64(dout[i, j])
                    count += 1.0
            deposit(total, slots, turn, 0)
            deposit(count, slots, turn, 1)
            cuda.syncthreads()
            mean = collect(slots, turn, 0) / collect(slots, turn, 1)
            turn = 1 - turn
            for j in range(lane, k, lanes):
                dX[i, j] = float64(dout[i, j]) - mean if out[i, j] > 0.0 else 0.0

    return activation_sparsemax_gradient


def cross_entropy_function():
    """The kernel's Python function: softmax, its loss and the gradient, from one reading of the logits' row."""

    def activation_cross_entropy(logits, labels, weights, losses, probabilities, dlogits):
        slots, extremes = cuda.shared.array(SLOTS, float64), cuda.shared.array(0, float64)
        lane, lanes, k, turn = cuda.threadIdx.x, cuda.blockDim.x, logits.shape[1], 0
        for i in range(cuda.blockIdx.x, logits.shape[0], cuda.gridDim.x):
            label = labels[i]
            valid = 0 <= label < k
            own, least = nan, inf
            if valid:
                own = float64(logits[i, label])
            for j in range(lane, k, lanes):
                least = min(least, -float64(logits[i, j]))
            deposit_least(least, NOWHERE, extremes, 0)
            cuda.syncthreads()
            largest = -collect_least(extremes, 0)[0]
            total = 0.0
            for j in range(lane, k, lanes):
                total += exp(float64(logits[i, j]) - largest)
            deposit(total, slots, turn, 0)
            cuda.syncthreads()
            total, turn = collect(slots, turn, 0), 1 - turn
            if lane == 0:
                losses[i] = log(total) - (own - largest)
            scale = (float64(weights[i]) if weights.size else 1.0) / logits.shape[0]
            for j in range(lane, k, lanes):
                p = exp(float64(logits[i, j]) - largest) / total
                probabilities[i, j] = p
                if dlogits.size:
                    one_hot = 1.0 if j == label else 0.0
                    dlogits[i, j] = scale * (p - one_hot) if valid else nan

    return activation_cross_entropy


ROWWISE = {
    "softmax": cuda.jit(softmax_function(False)),
    "log_softmax": cuda.jit(softmax_function(True)),
    "sparsemax": cuda.jit(sparsemax_function()),
}
ROWWISE_GRADIENTS = {
    "softmax": cuda.jit(softmax_gradient_function(False)),
    "log_softmax": cuda.jit(softmax_gradient_function(True)),
    "sparsemax": cuda.jit(sparsemax_gradient_function()),
}
cross_entropy_kernel = cuda.jit(cross_entropy_function())
