"""Updates of parameters, and what shortens gradients: kernels whose threads stride over elements.

A state that is not wanted is an empty vector. Formulas: ``fastml.kernels.reference.optimizer``.
"""

from math import inf, nan

from numba import cuda, float64

from fastml.kernels.cuda._elements import sqrt


def sgd_function():
    """The kernel's Python function."""

    def optimizer_sgd(g, settings, velocity, w):
        rate, momentum, nesterov = settings[0], settings[1], settings[2] != 0.0
        kept = 1.0 - settings[3] * rate
        for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
            step = -rate * float64(g[i])
            if velocity.size:
                speed = momentum * float64(velocity[i]) + step
                velocity[i] = speed
                step = momentum * speed + step if nesterov else speed
            w[i] = float64(w[i]) * kept + step

    return optimizer_sgd


def rmsprop_function():
    """The kernel's Python function."""

    def optimizer_rmsprop(g, settings, v, mean_gradient, velocity, w):
        rate, rho, momentum, epsilon = settings[0], settings[1], settings[2], settings[3]
        kept = 1.0 - settings[4] * rate
        for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
            gradient = float64(g[i])
            variance = rho * float64(v[i]) + (1.0 - rho) * gradient * gradient
            v[i] = variance
            if mean_gradient.size:
                mean = rho * float64(mean_gradient[i]) + (1.0 - rho) * gradient
                mean_gradient[i] = mean
                variance -= mean * mean
            step = rate * gradient / sqrt(variance + epsilon)
            if velocity.size:
                step += momentum * float64(velocity[i])
                velocity[i] = step
            w[i] = float64(w[i]) * kept - step

    return optimizer_rmsprop


def adagrad_function():
    """The kernel's Python function."""

    def optimizer_adagrad(g, settings, accumulator, w):
        rate, epsilon = settings[0], settings[1]
        kept = 1.0 - settings[2] * rate
        for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
            gradient = float64(g[i])
            total = float64(accumulator[i]) + gradient * gradient
            accumulator[i] = total
            w[i] = float64(w[i]) * kept - rate * gradient / sqrt(total + epsilon)

    return optimizer_adagrad


def adam_function():
    """The kernel's Python function."""

    def optimizer_adam(g, settings, m, v, vhat, w):
        rate, beta1, beta2, epsilon = settings[0], settings[1], settings[2], settings[3]
        alpha = rate * sqrt(1.0 - settings[5]) / (1.0 - settings[4])
        kept = 1.0 - settings[6] * rate
        for i in range(cuda.grid(1), w.size, cuda.gridsize(1)):
            gradient = float64(g[i])
            mean, variance = float64(m[i]), float64(v[i])
            mean += (1.0 - beta1) * (gradient - mean)
            variance += (1.0 - beta2) * (gradient * gradient - variance)
            m[i], v[i] = mean, variance
            if vhat.size:
                # So written that a NaN stays one.
                largest = float64(vhat[i])
                if not variance <= largest:
                    largest = variance
                vhat[i] = largest
                variance = largest
            w[i] = float64(w[i]) * kept - alpha * mean / (sqrt(variance) + epsilon)

    return optimizer_adam


def scale_function():
    """The kernel's Python function."""

    def optimizer_scale(squared, limit, g):
        norm = sqrt(squared[0])
        factor = nan
        if norm < inf:
            factor = limit / max(norm, limit)
        for i in range(cuda.grid(1), g.size, cuda.gridsize(1)):
            g[i] = float64(g[i]) * factor

    return optimizer_scale


def ridge_function():
    """The kernel's Python function."""

    def optimizer_ridge(w, strength, g):
        for i in range(cuda.grid(1), g.size, cuda.gridsize(1)):
            g[i] = float64(g[i]) + strength[0] * float64(w[i])

    return optimizer_ridge


def clip_function():
    """The kernel's Python function."""

    def optimizer_clip(limit, g):
        for i in range(cuda.grid(1), g.size, cuda.gridsize(1)):
            value = float64(g[i])
            if value > limit:
                g[i] = limit
            elif value < -limit:
                g[i] = -limit

    return optimizer_clip


sgd_kernel = cuda.jit(sgd_function())
rmsprop_kernel = cuda.jit(rmsprop_function())
adagrad_kernel = cuda.jit(adagrad_function())
adam_kernel = cuda.jit(adam_function())
scale_kernel = cuda.jit(scale_function())
ridge_kernel = cuda.jit(ridge_function())
clip_kernel = cuda.jit(clip_function())
