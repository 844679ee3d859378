"""Pooling: a thread for each element of what is made, which reads the others that belong to it; nothing is added to.

The gradients go by elements of the image: each sums over the windows that it lies in, in their order. ``sizes`` are
h, w, c, pooled h and w, window, strides, padding.
"""

from numba import cuda, float64

from fastml.kernels.cuda._elements import divided
from fastml.kernels.cuda._warp import device_function

N_SIZES = 11


@device_function
def _extent(position, window, stride, before, length):
    """The part of a window that lies in the image: its first row (column), and the one behind its last."""
    first = position * stride - before
    return max(0, first), min(length, first + window)


@device_function
def _covering(place, window, stride, before, n_windows):
    """The windows that a row (column) lies in: the first, and the one behind the last."""
    last, _ = divided(place + before, stride)
    first, beyond = 0, place + before - window
    if beyond >= 0:
        first, _ = divided(beyond, stride)
        first += 1
    return first, min(n_windows, last + 1)


@device_function
def _place(i, width, channels):
    """Row, column and channel of an element of an image."""
    pixel, channel = divided(i, channels)
    y, x = divided(pixel, width)
    return y, x, channel


def max_function():
    """The kernel's Python function; argmax is empty if it is not wanted."""

    def pool_max(X, sizes, out, argmax):
        h, w, c, _, ow, wh, ww, sy, sx, top, left = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, out.shape[0], cuda.gridDim.y):
            for i in range(start, out.shape[1], step):
                y, x, channel = _place(i, ow, c)
                y_first, y_end = _extent(y, wh, sy, top, h)
                x_first, x_end = _extent(x, ww, sx, left, w)
                place = (y_first * w + x_first) * c + channel
                best = X[image, place]
                for row in range(y_first, y_end):
                    for column in range(x_first, x_end):
                        here = (row * w + column) * c + channel
                        value = X[image, here]
                        # The first NaN counts as the largest.
                        if value > best or (value != value and best == best):
                            best, place = value, here
                out[image, i] = best
                if argmax.size:
                    argmax[image, i] = place

    return pool_max


def max_gradient_function():
    """The kernel's Python function."""

    def pool_max_gradient(dout, argmax, sizes, dX):
        _, w, c, oh, ow, wh, ww, sy, sx, top, left = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, dX.shape[0], cuda.gridDim.y):
            for i in range(start, dX.shape[1], step):
                y, x, channel = _place(i, w, c)
                y_first, y_end = _covering(y, wh, sy, top, oh)
                x_first, x_end = _covering(x, ww, sx, left, ow)
                total = 0.0
                for row in range(y_first, y_end):
                    for column in range(x_first, x_end):
                        here = (row * ow + column) * c + channel
                        if argmax[image, here] == i:
                            total += float64(dout[image, here])
                dX[image, i] = total

    return pool_max_gradient


def average_function():
    """The kernel's Python function."""

    def pool_average(X, sizes, out):
        h, w, c, _, ow, wh, ww, sy, sx, top, left = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, out.shape[0], cuda.gridDim.y):
            for i in range(start, out.shape[1], step):
                y, x, channel = _place(i, ow, c)
                y_first, y_end = _extent(y, wh, sy, top, h)
                x_first, x_end = _extent(x, ww, sx, left, w)
                total = 0.0
                for row in range(y_first, y_end):
                    for column in range(x_first, x_end):
                        total += float64(X[image, (row * w + column) * c + channel])
                out[image, i] = total / ((y_end - y_first) * (x_end - x_first))

    return pool_average


def average_gradient_function():
    """The kernel's Python function."""

    def pool_average_gradient(dout, sizes, dX):
        h, w, c, oh, ow, wh, ww, sy, sx, top, left = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, dX.shape[0], cuda.gridDim.y):
            for i in range(start, dX.shape[1], step):
                y, x, channel = _place(i, w, c)
                y_first, y_end = _covering(y, wh, sy, top, oh)
                x_first, x_end = _covering(x, ww, sx, left, ow)
                total = 0.0
                for row in range(y_first, y_end):
                    first, end = _extent(row, wh, sy, top, h)
                    height = end - first
                    for column in range(x_first, x_end):
                        first, end = _extent(column, ww, sx, left, w)
                        here = (row * ow + column) * c + channel
                        total += float64(dout[image, here]) / (height * (end - first))
                dX[image, i] = total

    return pool_average_gradient


def tiles_function():
    """The kernel's Python function: maxima of windows that lie side by side, and their positions in the windows."""

    def pool_tiles(X, sizes, out, argmax):
        _, w, c, _, ow, wh, ww, _, _, _, _ = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, out.shape[0], cuda.gridDim.y):
            for i in range(start, out.shape[1], step):
                y, x, channel = _place(i, ow, c)
                corner, position = (y * wh * w + x * ww) * c + channel, 0
                best = X[image, corner]
                for row in range(wh):
                    for column in range(ww):
                        value = X[image, corner + (row * w + column) * c]
                        if value > best or (value != value and best == best):
                            best, position = value, row * ww + column
                out[image, i] = best
                argmax[image, i] = position

    return pool_tiles


def tiles_gradient_function():
    """The kernel's Python function: where a window's maximum is positive, its gradient goes to its position."""

    def pool_tiles_gradient(dout, out, argmax, sizes, dX):
        _, w, c, _, ow, wh, ww, _, _, _, _ = sizes
        start, step = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.gridDim.x * cuda.blockDim.x
        for image in range(cuda.blockIdx.y, dX.shape[0], cuda.gridDim.y):
            for i in range(start, dX.shape[1], step):
                y, x, channel = _place(i, w, c)
                row, dy = divided(y, wh)
                column, dx = divided(x, ww)
                here = (row * ow + column) * c + channel
                chosen = out[image, here] > 0 and argmax[image, here] == dy * ww + dx
                dX[image, i] = dout[image, here] if chosen else 0

    return pool_tiles_gradient


max_kernel = cuda.jit(max_function())
max_gradient_kernel = cuda.jit(max_gradient_function())
average_kernel = cuda.jit(average_function())
average_gradient_kernel = cuda.jit(average_gradient_function())
tiles_kernel = cuda.jit(tiles_function())
tiles_gradient_kernel = cuda.jit(tiles_gradient_function())
