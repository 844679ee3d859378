"""Layers that move elements."""

import math
from typing import Any

import numpy as np

from fastml.keras._serialization import public
from fastml.keras.layers._layer import InputSpec, Layer, channels_last, standard_tuple
from fastml.solvers import backprop

_layer = public("keras.layers")


@_layer
class Flatten(Layer):
    """Each sample as a vector."""

    arguments = ("data_format",)

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last("Flatten", data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def compute_output_shape(self, input_shape):
        sizes = input_shape[1:]
        return (input_shape[0], None if None in sizes else math.prod(sizes))

    def make_nodes(self, input_shape):
        return [backprop.Reshape((math.prod(input_shape),))]


@_layer
class Reshape(Layer):
    """Each sample in another shape; one -1 stands for what is left."""

    arguments = ("target_shape",)

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if any(size < -1 for size in self.target_shape):
            raise ValueError(
                "Each dimension in `target_shape` must be a non-negative integer, or `-1` for a single unknown "
                f"dimension. Received: target_shape={self.target_shape}."
            )
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                "There must be at most one unknown dimension (-1) in `target_shape`. Received: "
                f"target_shape={self.target_shape}."
            )
        self.built = True

    def compute_output_shape(self, input_shape):
        sizes, target = tuple(input_shape[1:]), self.target_shape
        if None in sizes:
            return (input_shape[0], *(None if size == -1 else size for size in target))
        total = math.prod(sizes)
        known = math.prod(size for size in target if size != -1)
        if -1 in target and known and total % known == 0:
            return (input_shape[0], *(total // known if size == -1 else size for size in target))
        if -1 in target or total != known:
            raise ValueError(
                f"Layer '{self.name}': the total size of the tensor must be unchanged. Received: input_shape={sizes}, "
                f"target_shape={target}"
            )
        return (input_shape[0], *target)

    def make_nodes(self, input_shape):
        return [backprop.Reshape(self.compute_output_shape((None, *input_shape))[1:])]


@_layer
class Permute(Layer):
    """The axes of each sample, counted from 1, in another order."""

    arguments = ("dims",)

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in `dims` must be "
                f"consecutive and start from 1. Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def make_nodes(self, input_shape):
        return [backprop.Permute(tuple(axis - 1 for axis in self.dims))]


def _borders(value: Any, name: str) -> Any:
    """((top, bottom), (left, right)) of an int, two, or two pairs."""
    if isinstance(value, int | np.integer):
        if value < 0:
            raise ValueError(f"`{name}` cannot be negative. Received: {name}={value}.")
        return (int(value),) * 2, (int(value),) * 2
    if not hasattr(value, "__len__"):
        raise ValueError(
            f"`{name}` should be either an int, a tuple of 2 ints (symmetric_height_crop, symmetric_width_crop), or a "
            f"tuple of 2 tuples of 2 ints ((top_crop, bottom_crop), (left_crop, right_crop)). Received: {name}={value}."
        )
    if len(value) != 2:
        raise ValueError(f"`{name}` should have two elements. Received: {name}={value}.")
    height, width = (
        standard_tuple(entry, 2, f"{which} entry of {name}", allow_zero=True)
        for entry, which in zip(value, ("1st", "2nd"))
    )
    return (height[0], height[1]), (width[0], width[1])


@_layer
class ZeroPadding2D(Layer):
    """Zeros around images."""

    arguments = ("padding", "data_format")

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last("ZeroPadding2D", data_format)
        self.padding = _borders(padding, "padding")
        self.input_spec = InputSpec(ndim=4)

    def compute_output_shape(self, input_shape):
        n, *sizes, channels = input_shape
        padded = (None if size is None else size + sum(zeros) for size, zeros in zip(sizes, self.padding))
        return (n, *padded, channels)

    def make_nodes(self, input_shape):
        return [backprop.ZeroPad(self.padding)]


@_layer
class Cropping2D(Layer):
    """Images without their borders."""

    arguments = ("cropping", "data_format")

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last("Cropping2D", data_format)
        self.cropping = _borders(cropping, "cropping")
        self.input_spec = InputSpec(ndim=4)

    def compute_output_shape(self, input_shape):
        n, *sizes, channels = input_shape
        if any(size is not None and sum(cut) >= size for size, cut in zip(sizes, self.cropping)):
            raise ValueError(
                "Values in `cropping` argument should be smaller than the corresponding spatial dimension of the "
                f"input. Received: input_shape={input_shape}, cropping={self.cropping}"
            )
        cropped = (None if size is None else size - sum(cut) for size, cut in zip(sizes, self.cropping))
        return (n, *cropped, channels)

    def make_nodes(self, input_shape):
        return [backprop.Crop(self.cropping)]


@_layer
class UpSampling2D(Layer):
    """Images enlarged by whole factors; ``interpolation`` is "nearest" or "bilinear"."""

    arguments = ("size", "data_format", "interpolation")

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self.data_format = channels_last("UpSampling2D", data_format)
        self.size = standard_tuple(size, 2, "size")
        self.interpolation = interpolation.lower()
        if self.interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                "UpSampling2D: `interpolation` must be 'nearest' or 'bilinear' in fastml.keras. Received: "
                f"interpolation={interpolation}"
            )
        self.input_spec = InputSpec(ndim=4)

    def compute_output_shape(self, input_shape):
        n, *sizes, channels = input_shape
        enlarged = (None if size is None else size * factor for size, factor in zip(sizes, self.size))
        return (n, *enlarged, channels)

    def make_nodes(self, input_shape):
        kind: Any = backprop.Repeat if self.interpolation == "nearest" else backprop.Interpolate
        return [kind(self.size)]
