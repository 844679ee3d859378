"""Batch normalisation, over the rows of each column, and layer normalisation, over the columns of each row.

Images (n, h, w, c) are normalised by channel as arrays of n * h * w rows. The variance is that of a population, the
moving average's too, as in Keras.

References
----------
S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
ICML 2015.
J. Ba, J. Kiros, G. Hinton, "Layer Normalization", 2016.
"""

import numpy as np

__all__ = [
    "batch_gradient",
    "batch_infer",
    "batch_train",
    "layer_forward",
    "layer_gradient",
]


def batch_train(X, gamma, beta, out, mean, inverse_std, moving_mean, moving_variance, momentum, epsilon):
    """out = gamma (X - mean) inverse_std + beta, with this batch's mean and inverse_std = 1 / sqrt(variance + epsilon).

    Parameters
    ----------
    X : array of shape (n, c), float32 or float64, n > 0
    gamma, beta : array of shape (c,), or None
        None stands for ones, and for zeros.
    out : array like X
        Set; may be X itself if no gradient is wanted.
    mean, inverse_std : array of shape (c,)
        Set.
    moving_mean, moving_variance : array of shape (c,)
        Each becomes momentum times itself plus (1 - momentum) times the batch's.
    momentum, epsilon : float
    """
    x = X.astype(np.float64)
    means, variances = x.mean(axis=0), x.var(axis=0)
    mean[...], inverse_std[...] = means, 1.0 / np.sqrt(variances + epsilon)
    moving_mean[...] = momentum * moving_mean.astype(np.float64) + (1.0 - momentum) * means
    moving_variance[...] = momentum * moving_variance.astype(np.float64) + (1.0 - momentum) * variances
    out[...] = (x - means) / np.sqrt(variances + epsilon) * _or(gamma, 1.0) + _or(beta, 0.0)


def batch_infer(X, gamma, beta, moving_mean, moving_variance, epsilon, out):
    """out = gamma (X - moving_mean) / sqrt(moving_variance + epsilon) + beta.

    Parameters
    ----------
    X : array of shape (n, c), float32 or float64
    gamma, beta : array of shape (c,), or None
    moving_mean, moving_variance : array of shape (c,)
    epsilon : float
    out : array like X
        Set; may be X itself.
    """
    scale = _or(gamma, 1.0) / np.sqrt(moving_variance.astype(np.float64) + epsilon)
    out[...] = (X.astype(np.float64) - moving_mean) * scale + _or(beta, 0.0)


def batch_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    """The gradients of ``batch_train`` (Ioffe and Szegedy, section 3).

    With x = (X - mean) inverse_std: dbeta = sum(dout), dgamma = sum(dout x),
    dX = gamma inverse_std (dout - dbeta / n - x dgamma / n).

    Parameters
    ----------
    X, gamma, mean, inverse_std
        As ``batch_train`` took and left them.
    dout : array of shape (n, c)
    dX : array of shape (n, c), or None
        Set; may be dout itself. None: not wanted.
    dgamma, dbeta : array of shape (c,), or None
        Set. None: not wanted.
    """
    d = dout.astype(np.float64)
    x = (X.astype(np.float64) - mean) * inverse_std
    sum_d, sum_dx = d.sum(axis=0), (d * x).sum(axis=0)
    if dX is not None:
        dX[...] = _or(gamma, 1.0) * inverse_std * (d - sum_d / len(d) - x * (sum_dx / len(d)))
    if dgamma is not None:
        dgamma[...] = sum_dx
    if dbeta is not None:
        dbeta[...] = sum_d


def layer_forward(X, gamma, beta, out, mean, inverse_std, epsilon):
    """out = gamma (X - mean) inverse_std + beta, with each row's mean and inverse_std = 1 / sqrt(variance + epsilon).

    Parameters
    ----------
    X : array of shape (n, c), float32 or float64, c > 0
    gamma, beta : array of shape (c,), or None
        None stands for ones, and for zeros.
    out : array like X
        Set; may be X itself if no gradient is wanted.
    mean, inverse_std : array of shape (n,)
        Set.
    epsilon : float
    """
    x = X.astype(np.float64)
    means, deviations = x.mean(axis=1), np.sqrt(x.var(axis=1) + epsilon)
    mean[...], inverse_std[...] = means, 1.0 / deviations
    out[...] = (x - means[:, None]) / deviations[:, None] * _or(gamma, 1.0) + _or(beta, 0.0)


def layer_gradient(X, dout, gamma, mean, inverse_std, dX, dgamma, dbeta):
    """The gradients of ``layer_forward``.

    With x = (X - mean) inverse_std and e = gamma dout: dX = inverse_std (e - mean(e) - x mean(e x)), means over a row;
    dbeta = sum(dout) and dgamma = sum(dout x) over the rows.

    Parameters
    ----------
    X, gamma, mean, inverse_std
        As ``layer_forward`` took and left them.
    dout : array of shape (n, c)
    dX : array of shape (n, c), or None
        Set; may be dout itself. None: not wanted.
    dgamma, dbeta : array of shape (c,), or None
        Set. None: not wanted.
    """
    d = dout.astype(np.float64)
    x = (X.astype(np.float64) - mean[:, None]) * inverse_std[:, None]
    e = _or(gamma, 1.0) * d
    if dX is not None:
        centred = e - e.mean(axis=1, keepdims=True) - x * (e * x).mean(axis=1, keepdims=True)
        dX[...] = inverse_std[:, None] * centred
    if dgamma is not None:
        dgamma[...] = (d * x).sum(axis=0)
    if dbeta is not None:
        dbeta[...] = d.sum(axis=0)


def _or(vector, default):
    return default if vector is None else vector.astype(np.float64)
