"""Pooling on the GPU; the contract is ``fastml.kernels.reference.pool``."""

import numpy as np

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._operation import as_function, checked, launch, real_type
from fastml.kernels.cuda._pool_kernel import (
    average_gradient_kernel,
    average_kernel,
    max_gradient_kernel,
    max_kernel,
)

__all__ = ["average_forward", "average_gradient", "max_forward", "max_gradient"]


@as_function
def max_forward(X, out, argmax, window, strides, padding):
    kind, sizes = real_type(X, "X"), _sizes(X.shape, out.shape, window, strides, padding)
    checked(X, kind, "X", X.shape)
    checked(out, kind, "out", out.shape)
    if argmax is not None:
        checked(argmax, np.int32, "argmax", out.shape)
    indices = _device.empty((0, 0), np.int32) if argmax is None else by_image(argmax)
    return over_images(max_kernel, by_image(out), by_image(X), sizes, by_image(out), indices)


@as_function
def max_gradient(dout, argmax, dX, window, strides, padding):
    kind, sizes = real_type(dout, "dout"), _sizes(dX.shape, dout.shape, window, strides, padding)
    checked(dout, kind, "dout", dout.shape)
    checked(argmax, np.int32, "argmax", dout.shape)
    checked(dX, kind, "dX", dX.shape)
    arrays = by_image(dout), by_image(argmax), sizes, by_image(dX)
    return over_images(max_gradient_kernel, by_image(dX), *arrays)


@as_function
def average_forward(X, out, window, strides, padding):
    kind, sizes = real_type(X, "X"), _sizes(X.shape, out.shape, window, strides, padding)
    checked(X, kind, "X", X.shape)
    checked(out, kind, "out", out.shape)
    return over_images(average_kernel, by_image(out), by_image(X), sizes, by_image(out))


@as_function
def average_gradient(dout, dX, window, strides, padding):
    kind, sizes = real_type(dout, "dout"), _sizes(dX.shape, dout.shape, window, strides, padding)
    checked(dout, kind, "dout", dout.shape)
    checked(dX, kind, "dX", dX.shape)
    return over_images(average_gradient_kernel, by_image(dX), by_image(dout), sizes, by_image(dX))


def by_image(images):
    """A row for each image."""
    n, h, w, c = images.shape
    return images.reshape(n, h * w * c)


def over_images(kernel, target, *arguments):
    """The call of a kernel that has a thread for each element of an image of ``target``; no call for none."""
    n, size = target.shape
    if n == 0 or size == 0:
        return []
    blocks, threads = _device.elements(size)
    return [launch(kernel, (blocks, _device.grid(n)), threads, *arguments)]


def as_int32(sizes):
    """As a kernel takes sizes: a tuple of 32-bit numbers."""
    return tuple(np.int32(size) for size in sizes)


def _sizes(image, pooled, window, strides, padding):
    """What kernels are told of the geometry; checked: every window has an element of the image."""
    if len(image) != 4 or len(pooled) != 4 or (image[0], image[3]) != (pooled[0], pooled[3]):
        raise ValueError(f"Images of shape {image} can't be pooled to shape {pooled}.")
    for axis in range(2):
        if window[axis] < 1 or strides[axis] < 1 or not 0 <= padding[axis] < window[axis]:
            raise ValueError(
                f"window {window}, strides {strides}: must be positive; padding {padding}: smaller than the "
                "window."
            )
        size, n_windows = image[1 + axis], pooled[1 + axis]
        if size < 1 or n_windows < 1 or (n_windows - 1) * strides[axis] - padding[axis] >= size:
            raise ValueError(
                f"Images of shape {image} don't have the windows of shape {pooled}: window {window}, strides "
                f"{strides}, padding {padding}."
            )
    if max(image[1] * image[2], pooled[1] * pooled[2]) * image[3] >= 2**31:
        raise ValueError(f"An image of shape {image[1:]} has more elements than an int32 can count.")
    return as_int32((*image[1:], *pooled[1:3], *window, *strides, *padding))
