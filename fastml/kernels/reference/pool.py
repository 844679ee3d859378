"""Pooling of images, channels last: the largest, or the mean, of each window's elements, channel by channel.

Window (i, j) of an image begins at row i strides[0] - padding[0] and column j strides[1] - padding[1]; what of it lies
outside of the image does not count. How many windows there are follows from the output's shape; each must touch the
image. A one-dimensional pooling is that of images of one row.
"""

import numpy as np

__all__ = ["average_forward", "average_gradient", "max_forward", "max_gradient"]


def max_forward(X, out, argmax, window, strides, padding):
    """The largest element of each window.

    A NaN counts as the largest. Of equal elements the first in row-major order is taken.

    Parameters
    ----------
    X : array of shape (n, h, w, c), float32 or float64
    out : array of shape (n, oh, ow, c)
        Set.
    argmax : array like out, int32, or None
        Set: where the element lies in its image, as an index into h * w * c. None: not wanted.
    window, strides : tuple of two int
        Rows, columns.
    padding : tuple of two int
        Rows above and columns to the left of the image; smaller than the window.
    """
    _, _, w, c = X.shape
    channels = np.arange(c)
    for i, j, rows, columns in _windows(X.shape, out.shape, window, strides, padding):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        elements = X[:, rows, columns].reshape(len(X), height * width, c)
        best = np.argmax(elements, axis=1)
        out[:, i, j] = np.take_along_axis(elements, best[:, None], axis=1)[:, 0]
        if argmax is not None:
            row, column = rows.start + best // width, columns.start + best % width
            argmax[:, i, j] = (row * w + column) * c + channels


def max_gradient(dout, argmax, dX, window, strides, padding):
    """Each element of dout goes to where its window's largest element was; dX is the sum of what comes.

    Parameters
    ----------
    dout : array of shape (n, oh, ow, c), float32 or float64
    argmax : array like dout, int32
        What ``max_forward`` set; an index that is not in its window and channel is ignored.
    dX : array of shape (n, h, w, c)
        Set.
    window, strides, padding
        As for ``max_forward``.
    """
    _, _, w, c = dX.shape
    total = np.zeros(dX.shape)
    channels = np.arange(c)
    for i, j, rows, columns in _windows(dX.shape, dout.shape, window, strides, padding):
        for row in range(rows.start, rows.stop):
            for column in range(columns.start, columns.stop):
                here = argmax[:, i, j] == (row * w + column) * c + channels
                total[:, row, column] += np.where(here, dout[:, i, j], 0.0)
    dX[...] = total


def average_forward(X, out, window, strides, padding):
    """The mean of each window's elements that lie in the image.

    Parameters
    ----------
    X : array of shape (n, h, w, c), float32 or float64
    out : array of shape (n, oh, ow, c)
        Set.
    window, strides, padding
        As for ``max_forward``.
    """
    for i, j, rows, columns in _windows(X.shape, out.shape, window, strides, padding):
        with np.errstate(invalid="ignore"):
            out[:, i, j] = X[:, rows, columns].mean(axis=(1, 2), dtype=np.float64)


def average_gradient(dout, dX, window, strides, padding):
    """The gradient of ``average_forward``.

    Parameters
    ----------
    dout : array of shape (n, oh, ow, c), float32 or float64
    dX : array of shape (n, h, w, c)
        Set.
    window, strides, padding
        As for ``max_forward``.
    """
    total = np.zeros(dX.shape)
    for i, j, rows, columns in _windows(dX.shape, dout.shape, window, strides, padding):
        count = (rows.stop - rows.start) * (columns.stop - columns.start)
        total[:, rows, columns] += dout[:, i, j].astype(np.float64)[:, None, None] / count
    dX[...] = total


def _windows(image, pooled, window, strides, padding):
    """Each window's position, and the rows and columns of the image that are in it."""
    for i in range(pooled[1]):
        for j in range(pooled[2]):
            top, left = i * strides[0] - padding[0], j * strides[1] - padding[1]
            rows = slice(max(0, top), min(image[1], top + window[0]))
            columns = slice(max(0, left), min(image[2], left + window[1]))
            yield i, j, rows, columns
