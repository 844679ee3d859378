"""Normalisation: what is made of each column's statistics, element by element, and of each row's, by a block a row.

A gamma or beta that is not given is an empty vector. Statistics lie in float64: row 0 the means, row 1 the
reciprocals of deviations.
"""

from numba import cuda, float64

from fastml.kernels.cuda._elements import sqrt
from fastml.kernels.cuda._warp import SLOTS, collect, deposit, device_function


@device_function
def _entry(vector, j, default):
    return float64(vector[j]) if vector.size else default


def train_statistics_function():
    """The kernel's Python function: from means and variances, which become reciprocals of deviations."""

    def normalization_train(statistics, momentum, epsilon, mean, inverse_std, moving_mean, moving_variance):
        for j in range(cuda.grid(1), mean.size, cuda.gridsize(1)):
            own_mean, variance = statistics[0, j], statistics[1, j]
            scale = 1.0 / sqrt(variance + epsilon)
            statistics[1, j] = scale
            mean[j], inverse_std[j] = own_mean, scale
            moving_mean[j] = momentum * float64(moving_mean[j]) + (1.0 - momentum) * own_mean
            moving_variance[j] = momentum * float64(moving_variance[j]) + (1.0 - momentum) * variance

    return normalization_train


def moving_statistics_function():
    """The kernel's Python function."""

    def normalization_moving(moving_mean, moving_variance, epsilon, statistics):
        for j in range(cuda.grid(1), moving_mean.size, cuda.gridsize(1)):
            statistics[0, j] = moving_mean[j]
            statistics[1, j] = 1.0 / sqrt(float64(moving_variance[j]) + epsilon)

    return normalization_moving


def apply_function():
    """The kernel's Python function: by columns."""

    def normalization_apply(X, statistics, gamma, beta, out):
        c = statistics.shape[1]
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            j = i % c
            scale = statistics[1, j] * _entry(gamma, j, 1.0)
            out[i] = (float64(X[i]) - statistics[0, j]) * scale + _entry(beta, j, 0.0)

    return normalization_apply


def batch_gradient_function():
    """The kernel's Python function; sums[0] are of dout, sums[1] of dout times what was normalised."""

    def normalization_batch_gradient(X, dout, gamma, mean, inverse_std, sums, dX):
        c = sums.shape[1]
        n = dX.size // c
        for i in range(cuda.grid(1), dX.size, cuda.gridsize(1)):
            j = i % c
            scale = float64(inverse_std[j])
            x = (float64(X[i]) - float64(mean[j])) * scale
            centred = float64(dout[i]) - sums[0, j] / n - x * (sums[1, j] / n)
            dX[i] = _entry(gamma, j, 1.0) * scale * centred

    return normalization_batch_gradient


def layer_function():
    """The kernel's Python function."""

    def normalization_layer(X, gamma, beta, epsilon, mean, inverse_std, out):
        slots = cuda.shared.array(SLOTS, float64)
        lane, lanes, c = cuda.threadIdx.x, cuda.blockDim.x, X.shape[1]
        for i in range(cuda.blockIdx.x, X.shape[0], cuda.gridDim.x):
            total = 0.0
            for j in range(lane, c, lanes):
                total += float64(X[i, j])
            deposit(total, slots, 0, 0)
            cuda.syncthreads()
            own_mean, squares = collect(slots, 0, 0) / c, 0.0
            for j in range(lane, c, lanes):
                deviation = float64(X[i, j]) - own_mean
                squares += deviation * deviation
            deposit(squares, slots, 1, 0)
            cuda.syncthreads()
            scale = 1.0 / sqrt(collect(slots, 1, 0) / c + epsilon)
            for j in range(lane, c, lanes):
                x = (float64(X[i, j]) - own_mean) * scale
                out[i, j] = x * _entry(gamma, j, 1.0) + _entry(beta, j, 0.0)
            if lane == 0:
                mean[i], inverse_std[i] = own_mean, scale

    return normalization_layer


def layer_gradient_function():
    """The kernel's Python function."""

    def normalization_layer_gradient(X, dout, gamma, mean, inverse_std, dX):
        slots = cuda.shared.array(SLOTS, float64)
        lane, lanes, c, turn = cuda.threadIdx.x, cuda.blockDim.x, X.shape[1], 0
        for i in range(cuda.blockIdx.x, X.shape[0], cuda.gridDim.x):
            own_mean, scale = float64(mean[i]), float64(inverse_std[i])
            total, product = 0.0, 0.0
            for j in range(lane, c, lanes):
                e = float64(dout[i, j]) * _entry(gamma, j, 1.0)
                total += e
                product += e * ((float64(X[i, j]) - own_mean) * scale)
            deposit(total, slots, turn, 0)
            deposit(product, slots, turn, 1)
            cuda.syncthreads()
            total, product = collect(slots, turn, 0) / c, collect(slots, turn, 1) / c
            turn = 1 - turn
            for j in range(lane, c, lanes):
                e = float64(dout[i, j]) * _entry(gamma, j, 1.0)
                x = (float64(X[i, j]) - own_mean) * scale
                dX[i, j] = scale * (e - total - x * product)

    return normalization_layer_gradient


train_statistics_kernel = cuda.jit(train_statistics_function())
moving_statistics_kernel = cuda.jit(moving_statistics_function())
apply_kernel = cuda.jit(apply_function())
batch_gradient_kernel = cuda.jit(batch_gradient_function())
layer_kernel = cuda.jit(layer_function())
layer_gradient_kernel = cuda.jit(layer_gradient_function())
