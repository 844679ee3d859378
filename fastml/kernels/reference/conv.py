"""Convolutions of images, their gradients, and convolution fused with what mostly follows: bias, relu, max pooling.

Images are arrays (n, height, width, channels), filters (kernel height, kernel width, channels / groups, filters); a
``Geometry`` (``kernels/conv_geometry.py``) says how they meet:

    out[i, y, x, f] = bias[f] + sum over ky, kx, c of X[i, y sy - top + ky dy, x sx - left + kx dx, c] W[ky, kx, c, f]

with zeros outside of the image. As everywhere in machine learning it is a correlation: filters aren't mirrored. All
arrays of a call are C-contiguous and of one dtype, float32 or float64; n may be 0. Convolution in one dimension is that
of images of height 1, and a depthwise one has as many groups as channels.
"""

import numpy as np


def forward(X, W, bias, out, geometry, activation="linear"):
    """out = activation(X * W + bias).

    Parameters
    ----------
    X : array of shape (n, h, w, c)
    W : array of shape (kh, kw, c / groups, m)
    bias : array of shape (m,) or None
    out : array of shape (n, oh, ow, m)
        Set. Its size is the caller's choice: rows that would need more of the image than there is meet zeros.
    geometry : Geometry
    activation : {"linear", "relu"}
    """
    values = _convolved(X, W, out.shape[1:3], geometry)
    if bias is not None:
        values += bias
    out[...] = _activated(values, activation)


def gradient_input(dout, W, dX, geometry):
    """The gradient with respect to X.

    Parameters
    ----------
    dout : array of shape (n, oh, ow, m)
        The gradient with respect to X * W + bias.
    W : array of shape (kh, kw, c / groups, m)
    dX : array of shape (n, h, w, c)
        Set.
    geometry : Geometry
    """
    padded, taps = _padded_zeros(dX.shape, W.shape, dout.shape[1:3], geometry)
    dout, groups = _in_groups(dout, geometry.groups), geometry.groups
    for ky, kx, window in taps:
        filters = _in_groups(W, groups)[ky, kx]
        padded[window] += np.einsum("nyxgf,cgf->nyxgc", dout, filters).reshape(padded[window].shape)
    (top, left), (h, w) = geometry.padding, dX.shape[1:3]
    dX[...] = padded[:, top : top + h, left : left + w]


def gradient_filters(X, dout, dW, dbias, geometry):
    """The gradients with respect to W and the bias.

    Parameters
    ----------
    X : array of shape (n, h, w, c)
    dout : array of shape (n, oh, ow, m)
        The gradient with respect to X * W + bias.
    dW : array of shape (kh, kw, c / groups, m)
        Set.
    dbias : array of shape (m,) or None
        Set.
    geometry : Geometry
    """
    padded, taps = _padded(X, dW.shape, dout.shape[1:3], geometry)
    grouped = _in_groups(dout, geometry.groups)
    for ky, kx, window in taps:
        seen = _in_groups(padded[window], geometry.groups)
        dW[ky, kx] = np.einsum("nyxgc,nyxgf->cgf", seen, grouped).reshape(dW.shape[2:])
    if dbias is not None:
        dbias[...] = dout.sum(axis=(0, 1, 2), dtype=np.float64)


def forward_max_pooled(X, W, bias, out, argmax, geometry, window):
    """out = the maxima of relu(X * W + bias) over windows that lie side by side.

    Positions that no whole window covers are left out, so that only
    the sizes of the windows and of ``out`` say how many there are.

    Parameters
    ----------
    X : array of shape (n, h, w, c)
    W : array of shape (kh, kw, c / groups, m)
    bias : array of shape (m,) or None
    out : array of shape (n, ph, pw, m)
        Set.
    argmax : array of shape (n, ph, pw, m), uint8
        Set: the first position of the maximum in its window, row by row. Where out is 0, it may be any.
    geometry : Geometry
    window : tuple of int
        Height and width, 256 positions at most.
    """
    values = _convolved(X, W, _before_pooling(out, window), geometry)
    if bias is not None:
        values += bias
    windows = _windows(np.maximum(values, 0.0), window)
    argmax[...] = windows.argmax(axis=3)
    out[...] = windows.max(axis=3)


def gradient_input_max_pooled(dout, out, argmax, W, dX, geometry, window):
    """The gradient with respect to X of `forward_max_pooled`.

    Parameters
    ----------
    dout : array of shape (n, ph, pw, m)
        The gradient with respect to out.
    out, argmax : arrays of shape (n, ph, pw, m)
        As `forward_max_pooled` has set them. Where out is 0, there is no gradient.
    W : array of shape (kh, kw, c / groups, m)
    dX : array of shape (n, h, w, c)
        Set.
    geometry : Geometry
    window : tuple of int
    """
    gradient_input(_gradient_before_pooling(dout, out, argmax, window), W, dX, geometry)


def gradient_filters_max_pooled(X, dout, out, argmax, dW, dbias, geometry, window):
    """The gradients with respect to W and the bias of `forward_max_pooled`.

    Parameters
    ----------
    X : array of shape (n, h, w, c)
    dout : array of shape (n, ph, pw, m)
        The gradient with respect to out.
    out, argmax : arrays of shape (n, ph, pw, m)
        As `forward_max_pooled` has set them. Where out is 0, there is no gradient.
    dW : array of shape (kh, kw, c / groups, m)
        Set.
    dbias : array of shape (m,) or None
        Set.
    geometry : Geometry
    window : tuple of int
    """
    gradient_filters(X, _gradient_before_pooling(dout, out, argmax, window), dW, dbias, geometry)


def _activated(values, activation):
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    return np.maximum(values, 0.0) if activation == "relu" else values


def _convolved(X, W, size, geometry):
    """X * W, in float64."""
    padded, taps = _padded(X, W.shape, size, geometry)
    values = np.zeros((len(X), *size, W.shape[3]))
    for ky, kx, window in taps:
        seen = _in_groups(padded[window], geometry.groups)
        filters = _in_groups(W, geometry.groups)[ky, kx]
        values += np.einsum("nyxgc,cgf->nyxgf", seen, filters).reshape(values.shape)
    return values


def _padded(X, filters_shape, size, geometry):
    """X with the zeros around it, in float64, and the taps."""
    padded, taps = _padded_zeros(X.shape, filters_shape, size, geometry)
    (top, left), (h, w) = geometry.padding, X.shape[1:3]
    padded[:, top : top + h, left : left + w] = X
    return padded, taps


def _padded_zeros(shape, filters_shape, size, geometry):
    """Zeros in which an image and all that the filters see of its surroundings have room; (ky, kx, what of it the
    tap sees from all positions) of each tap."""
    n, h, w, c = shape
    (sy, sx), (top, left), (dy, dx), _ = geometry
    (kh, kw), (oh, ow) = filters_shape[:2], size
    padded = np.zeros(
        (
            n,
            max(top + h, (oh - 1) * sy + (kh - 1) * dy + 1),
            max(left + w, (ow - 1) * sx + (kw - 1) * dx + 1),
            c,
        )
    )
    taps = [
        (
            ky,
            kx,
            np.s_[
                :,
                ky * dy : ky * dy + sy * (oh - 1) + 1 : sy,
                kx * dx : kx * dx + sx * (ow - 1) + 1 : sx,
            ],
        )
        for ky in range(kh)
        for kx in range(kw)
    ]
    return padded, taps


def _in_groups(images, groups):
    return images.reshape(*images.shape[:3], groups, images.shape[3] // groups)


def _before_pooling(out, window):
    return out.shape[1] * window[0], out.shape[2] * window[1]


def _gradient_before_pooling(dout, out, argmax, window):
    """That to the maxima where they were, zeros elsewhere."""
    (n, ph, pw, m), (wh, ww) = out.shape, window
    windows = np.zeros((n, ph, pw, wh * ww, m))
    np.put_along_axis(
        windows, argmax[:, :, :, None].astype(np.int64), (dout * (out > 0))[:, :, :, None], axis=3
    )
    return windows.reshape(n, ph, pw, wh, ww, m).swapaxes(2, 3).reshape(n, ph * wh, pw * ww, m)


def _windows(values, window):
    """(n, ph, pw, positions in the window, m)."""
    n, h, w, m = values.shape
    wh, ww = window
    split = values.reshape(n, h // wh, wh, w // ww, ww, m).swapaxes(2, 3)
    return split.reshape(n, h // wh, w // ww, wh * ww, m)
