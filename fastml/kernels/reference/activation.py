"""Activations: elementwise ones, those over a row, the softmax with its loss in one pass, and dropout.

References
----------
A. Martins, R. Astudillo, "From Softmax to Sparsemax", ICML 2016.
N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014.
J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox).
"""

import numpy as np

from fastml.kernels.activation_names import resolved
from fastml.kernels.philox import words
from fastml.kernels.reference._activation_formulas import FORMULAS

__all__ = [
    "dropout",
    "dropout_gradient",
    "forward",
    "gradient",
    "log_softmax",
    "log_softmax_gradient",
    "softmax",
    "softmax_cross_entropy",
    "softmax_gradient",
    "sparsemax",
    "sparsemax_gradient",
]


def forward(X, out, name, parameters=()):
    """An elementwise activation: out = f(X).

    Parameters
    ----------
    X : array of float32 or float64, of any shape
    out : array like X
        Set. It may be X itself if ``name`` is relu or linear.
    name : str
        Of ``fastml.kernels.activation_names``: Keras' names.
    parameters : tuple of float
        In the order of Keras' arguments; those left out have Keras' defaults.

    Raises
    ------
    ValueError
        For an unknown name or parameters that it does not take.
    """
    name, parameters = resolved(name, parameters)
    with np.errstate(all="ignore"):
        out[...] = FORMULAS[name][0](X.astype(np.float64), *parameters)


def gradient(X, out, dout, dX, name, parameters=()):
    """The gradient of an elementwise activation: dX = dout f'(X).

    Where f'(X) is 0 and dout is not finite, dX may be 0 or NaN.

    Parameters
    ----------
    X, out : arrays
        As ``forward`` left them; X may have been overwritten by out.
    dout : array like X
    dX : array like X
        Set. It may be dout itself.
    name, parameters
        As for ``forward``.
    """
    name, parameters = resolved(name, parameters)
    x = X.astype(np.float64)
    if name == "relu" and parameters[2] > 0.0:
        # X may be overwritten: what is above the threshold still is, the rest is now at most 0.
        x = np.where(out > 0.0, x, out.astype(np.float64))
    with np.errstate(all="ignore"):
        dX[...] = dout.astype(np.float64) * FORMULAS[name][1](x, *parameters)


def softmax(X, out):
    """out = exp(X) / sum(exp(X)), row by row.

    A row with a NaN or +inf becomes NaN.

    Parameters
    ----------
    X : array of shape (n, k), float32 or float64
    out : array like X
        Set; may be X itself.
    """
    out[...] = _probabilities(X.astype(np.float64))


def softmax_gradient(out, dout, dX):
    """dX = out (dout - sum(out dout)), row by row.

    Parameters
    ----------
    out : array of shape (n, k)
        What ``softmax`` gave.
    dout : array of shape (n, k)
    dX : array of shape (n, k)
        Set; may be dout itself.
    """
    p, d = out.astype(np.float64), dout.astype(np.float64)
    dX[...] = p * (d - np.sum(p * d, axis=1, keepdims=True))


def log_softmax(X, out):
    """out = X - log(sum(exp(X))), row by row; arguments as for ``softmax``.

    Parameters
    ----------
    X, out : arrays of shape (n, k)
    """
    with np.errstate(all="ignore"):
        shifted = X.astype(np.float64) - _largest(X)
        out[...] = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def log_softmax_gradient(out, dout, dX):
    """dX = dout - exp(out) sum(dout), row by row; arguments as for ``softmax_gradient``.

    Parameters
    ----------
    out, dout, dX : arrays of shape (n, k)
    """
    d = dout.astype(np.float64)
    dX[...] = d - np.exp(out.astype(np.float64)) * np.sum(d, axis=1, keepdims=True)


def sparsemax(X, out):
    """out = max(X - tau, 0), row by row, with the tau for which the row sums to 1 (Martins and Astudillo, algorithm 1).

    Parameters
    ----------
    X, out : arrays of shape (n, k)
        Finite; out may be X itself.
    """
    x = X.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)  # sums of which do not drown the 1
    ordered = -np.sort(-x, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1.0
    counts = np.arange(1, x.shape[1] + 1)
    in_support = ordered * counts > excess
    size = in_support.sum(axis=1, keepdims=True)
    tau = np.take_along_axis(excess, np.maximum(size, 1) - 1, axis=1) / size
    out[...] = np.maximum(x - tau, 0.0)


def sparsemax_gradient(out, dout, dX):
    """dX = dout less its mean over the support, the positive elements of out, and 0 elsewhere; row by row.

    Parameters
    ----------
    out : array of shape (n, k)
        What ``sparsemax`` gave.
    dout, dX : arrays of shape (n, k)
        dX is set; it may be dout itself.
    """
    support = out > 0.0
    d = np.where(support, dout.astype(np.float64), 0.0)
    dX[...] = np.where(support, d - d.sum(axis=1, keepdims=True) / support.sum(axis=1, keepdims=True), 0.0)


def softmax_cross_entropy(logits, labels, weights, probabilities, dlogits, losses):
    """Softmax, its cross-entropy and the gradient by the logits, row by row in one pass.

    Parameters
    ----------
    logits : array of shape (n, k), float32 or float64
    labels : array of shape (n,), int32
        A row whose label is not in 0 .. k - 1 has a loss of NaN, and a gradient of NaN.
    weights : array of shape (n,), or None
        None stands for all ones.
    probabilities : array like logits
        Set: softmax of the logits. It may be logits itself.
    dlogits : array like logits, or None
        Set: weights_i (probabilities_ij - [j = labels_i]) / n. None: not wanted.
    losses : array of shape (n,), float64
        Set: -log probabilities_i,labels_i, not weighted.
    """
    n, k = logits.shape
    x = logits.astype(np.float64)
    valid = (labels >= 0) & (labels < k)
    one_hot = np.where(valid[:, None], 0.0, np.nan) + (labels[:, None] == np.arange(k))
    p = _probabilities(x)
    with np.errstate(all="ignore"):
        shifted = x - _largest(x)
        log_sums = np.log(np.sum(np.exp(shifted), axis=1))
    for i in range(n):
        losses[i] = log_sums[i] - shifted[i, labels[i]] if valid[i] else np.nan
    probabilities[...] = p
    if dlogits is not None:
        weight = np.ones(n) if weights is None else weights.astype(np.float64)
        dlogits[...] = weight[:, None] * (p - one_hot) / n


def dropout(X, out, mask, rate, state):
    """Set elements to 0 at random with probability ``rate``, and divide the others by 1 - rate.

    Element i, counted through the whole array, is kept if word (i mod 64) div 16 of the Philox4x32-10 block numbered
    (i div 64) 16 + i mod 16 is at least rate 2^32: which are kept depends on nothing but the state.

    Parameters
    ----------
    X : array of float32 or float64, of any shape
    out : array like X
        Set; may be X itself.
    mask : array of the same shape, uint8
        Set: 1 where the element is kept.
    rate : float
        In [0, 1]; with 1 all is 0.
    state : array of shape (2,), uint64
        The key, and the number of this call, to which 1 is added: the low and the high half of Philox' counter are
        the block's number and the call's.
    """
    kept = words(int(state[0]), int(state[1]), X.size) >= np.uint64(int(rate * 2.0**32))
    mask[...] = kept.reshape(mask.shape)
    out[...] = np.where(mask, X.astype(np.float64) * _scale(rate), 0.0)
    state[1] += np.uint64(1)


def dropout_gradient(dout, mask, rate, dX):
    """dX = dout / (1 - rate) where the mask is 1, and 0 elsewhere.

    Parameters
    ----------
    dout : array of float32 or float64
    mask : array of the same shape, uint8
        What ``dropout`` set.
    rate : float
    dX : array like dout
        Set; may be dout itself.
    """
    dX[...] = np.where(mask, dout.astype(np.float64) * _scale(rate), 0.0)


def _scale(rate):
    return 1.0 / (1.0 - rate) if rate < 1.0 else 0.0


def _largest(x):
    return np.max(x, axis=1, keepdims=True).astype(np.float64)


def _probabilities(x):
    with np.errstate(all="ignore"):
        exponentials = np.exp(x - _largest(x))
        return exponentials / np.sum(exponentials, axis=1, keepdims=True)
