"""Updates of parameters by their gradient, with Keras' formulas, and what clips gradients before.

``w``, ``g`` and the state are vectors of one dtype, float32 or float64, and one length: all parameters of a network, or
a slice of them. What may change between two steps lies in ``settings``, float64, in the order that each function names.
``weight_decay`` is applied first: w -= weight_decay learning_rate w (Loshchilov and Hutter, eq. 9).

scikit-learn's SGD and Adam for multi-layer perceptrons are the same formulas.

References
----------
I. Sutskever et al., "On the Importance of Initialization and Momentum in Deep Learning", ICML 2013.
G. Hinton, "Neural Networks for Machine Learning", lecture 6, 2012 (RMSprop).
J. Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.
D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
S. Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018 (amsgrad).
I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
R. Pascanu et al., "On the Difficulty of Training Recurrent Neural Networks", ICML 2013 (clipping by norm).
"""

import numpy as np

__all__ = ["adagrad", "adam", "add_ridge", "clip", "rmsprop", "scale_by_norm", "sgd", "squared_norm"]


def sgd(w, g, velocity, settings):
    """Gradient descent, with or without momentum.

    velocity = momentum velocity - learning_rate g; w += velocity, or with Nesterov's momentum
    w += momentum velocity - learning_rate g.

    Parameters
    ----------
    w, g : arrays of shape (n,)
        w is updated.
    velocity : array of shape (n,), or None
        Updated. None: momentum is 0, whatever the settings say.
    settings : array of shape (4,), float64
        learning_rate, momentum, nesterov (0 or 1), weight_decay.
    """
    learning_rate, momentum, nesterov, weight_decay = settings
    weights, step = _decayed(w, learning_rate, weight_decay), -learning_rate * g.astype(np.float64)
    if velocity is not None:
        velocity[...] = speed = momentum * velocity.astype(np.float64) + step
        step = momentum * speed + step if nesterov else speed
    w[...] = weights + step


def rmsprop(w, g, v, mean_gradient, velocity, settings):
    """Steps divided by the root of a moving mean of squared gradients.

    v = rho v + (1 - rho) g^2; step = learning_rate g / sqrt(v + epsilon), centred:
    learning_rate g / sqrt(v - mean_gradient^2 + epsilon); velocity = momentum velocity + step; w -= velocity.

    Parameters
    ----------
    w, g : arrays of shape (n,)
        w is updated.
    v : array of shape (n,)
        Updated.
    mean_gradient : array of shape (n,), or None
        Updated: rho mean_gradient + (1 - rho) g. None: not centred.
    velocity : array of shape (n,), or None
        Updated. None: no momentum.
    settings : array of shape (5,), float64
        learning_rate, rho, momentum, epsilon, weight_decay.
    """
    learning_rate, rho, momentum, epsilon, weight_decay = settings
    weights, gradient = _decayed(w, learning_rate, weight_decay), g.astype(np.float64)
    v[...] = variance = rho * v.astype(np.float64) + (1.0 - rho) * gradient**2
    if mean_gradient is not None:
        mean_gradient[...] = mean = rho * mean_gradient.astype(np.float64) + (1.0 - rho) * gradient
        variance = variance - mean**2
    step = learning_rate * gradient / np.sqrt(variance + epsilon)
    if velocity is not None:
        velocity[...] = step = momentum * velocity.astype(np.float64) + step
    w[...] = weights - step


def adagrad(w, g, accumulator, settings):
    """Steps divided by the root of the sum of squared gradients.

    accumulator += g^2; w -= learning_rate g / sqrt(accumulator + epsilon).

    Parameters
    ----------
    w, g : arrays of shape (n,)
        w is updated.
    accumulator : array of shape (n,)
        Updated.
    settings : array of shape (3,), float64
        learning_rate, epsilon, weight_decay.
    """
    learning_rate, epsilon, weight_decay = settings
    weights, gradient = _decayed(w, learning_rate, weight_decay), g.astype(np.float64)
    accumulator[...] = total = accumulator.astype(np.float64) + gradient**2
    w[...] = weights - learning_rate * gradient / np.sqrt(total + epsilon)


def adam(w, g, m, v, vhat, settings):
    """Adam in the form of Kingma and Ba, end of section 2: epsilon is outside the root and not bias-corrected.

    m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v);
    w -= learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon).

    Parameters
    ----------
    w, g : arrays of shape (n,)
        w is updated.
    m, v : arrays of shape (n,)
        Updated.
    vhat : array of shape (n,), or None
        Updated: max(vhat, v), which then takes v's place in the step (amsgrad). None: not wanted.
    settings : array of shape (7,), float64
        learning_rate, beta1, beta2, epsilon, beta1^t, beta2^t, weight_decay; t is this step's number, from 1.
    """
    learning_rate, beta1, beta2, epsilon, beta1_power, beta2_power, weight_decay = settings
    weights, gradient = _decayed(w, learning_rate, weight_decay), g.astype(np.float64)
    alpha = learning_rate * np.sqrt(1.0 - beta2_power) / (1.0 - beta1_power)
    m[...] = mean = m + (1.0 - beta1) * (gradient - m)
    v[...] = variance = v + (1.0 - beta2) * (gradient**2 - v)
    if vhat is not None:
        vhat[...] = variance = np.maximum(vhat, variance)
    w[...] = weights - alpha * mean / (np.sqrt(variance) + epsilon)


def squared_norm(g, out):
    """out[0] = sum of g^2.

    Parameters
    ----------
    g : array of shape (n,), float32 or float64
    out : array of shape (1,), float64
        Set.
    """
    out[0] = np.sum(g.astype(np.float64) ** 2)


def scale_by_norm(g, squared, limit):
    """g *= limit / max(norm, limit): a gradient longer than ``limit`` is shortened to it.

    A norm that is not finite makes all of g NaN, as Keras' ``global_clipnorm`` does.

    Parameters
    ----------
    g : array of shape (n,), float32 or float64
        Updated.
    squared : array of shape (1,), float64
        The square of the norm, by ``squared_norm``; of g, or of all gradients of which g is a part.
    limit : float
        Positive.
    """
    norm = np.sqrt(squared[0])
    g[...] = g.astype(np.float64) * (limit / max(norm, limit) if np.isfinite(norm) else np.nan)


def add_ridge(w, g, strength, squared):
    """The gradient of a penalty ``strength / 2 * sum of w^2``: g += strength w; and squared[0] = sum of w^2.

    Parameters
    ----------
    w : array of shape (n,), float32 or float64
    g : array like w
        Updated.
    strength : array of shape (1,), float64
    squared : array of shape (1,), float64
        Set.
    """
    squared[0] = np.sum(w.astype(np.float64) ** 2)
    g[...] = g + strength[0] * w.astype(np.float64)


def clip(g, limit):
    """g = min(max(g, -limit), limit); a NaN stays one.

    Parameters
    ----------
    g : array of shape (n,), float32 or float64
        Updated.
    limit : float
        Positive.
    """
    g[...] = np.clip(g, -limit, limit)


def _decayed(w, learning_rate, weight_decay):
    return w.astype(np.float64) * (1.0 - weight_decay * learning_rate)
