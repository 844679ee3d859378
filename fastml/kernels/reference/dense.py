"""Dense layers: out = activation(X W + bias), and its gradients.

All arrays of a call are C-contiguous and of one dtype, float32 or float64. n is the batch, d and m are the sizes of the
layer's input and output; each may be 0. ``None`` for a bias, or for the place of its gradient: the layer has none.
"""

import numpy as np


def forward(X, W, bias, out, activation="linear"):
    """out = activation(X W + bias).

    Parameters
    ----------
    X : array of shape (n, d)
    W : array of shape (d, m)
    bias : array of shape (m,) or None
    out : array of shape (n, m)
        Set.
    activation : {"linear", "relu"}
    """
    values = X.astype(np.float64) @ W
    if bias is not None:
        values += bias
    out[...] = _activated(values, activation)


def gradient_input(dout, W, dX):
    """dX = dout W^T.

    Parameters
    ----------
    dout : array of shape (n, m)
        The gradient with respect to X W + bias.
    W : array of shape (d, m)
    dX : array of shape (n, d)
        Set.
    """
    dX[...] = dout.astype(np.float64) @ W.T


def gradient_weights(X, dout, dW, dbias):
    """dW = X^T dout; dbias = the sum of dout's rows.

    Parameters
    ----------
    X : array of shape (n, d)
    dout : array of shape (n, m)
        The gradient with respect to X W + bias.
    dW : array of shape (d, m)
        Set.
    dbias : array of shape (m,) or None
        Set.
    """
    dW[...] = X.T.astype(np.float64) @ dout
    if dbias is not None:
        dbias[...] = dout.sum(axis=0, dtype=np.float64)


def _activated(values, activation):
    """What `forward` and convolutions apply to their sums."""
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    return np.maximum(values, 0.0) if activation == "relu" else values
