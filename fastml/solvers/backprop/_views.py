"""Nodes that move elements and compute nothing, by NumPy on views of the buffers."""

from functools import lru_cache

import numpy as np

from fastml.solvers.backprop._node import Node, Recorded, Recording, Shape


class Reshape(Node):
    """The same elements in another shape: no step at all."""

    def __init__(self, shape: Shape):
        self.shape = shape

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.shape

    def record(self, recording: Recording, x) -> Recorded:
        def backward(dout, wanted):
            return dout.reshape(x.shape) if wanted else None

        return Recorded(x.reshape(len(x), *self.shape), backward)


class Permute(Node):
    """Axes in another order: ``axes`` counts those of a sample from 0."""

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes

    def output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape[axis] for axis in self.axes)

    def record(self, recording: Recording, x) -> Recorded:
        axes = (0, *(axis + 1 for axis in self.axes))
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        recording(np.copyto, out, x.transpose(axes))

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(np.copyto, dx.transpose(axes), dout)
            return dx

        return Recorded(out, backward)


class ZeroPad(Node):
    """Zeros around images: ((top, bottom), (left, right))."""

    def __init__(self, padding: tuple[tuple[int, int], tuple[int, int]]):
        self.padding = padding

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = input_shape
        return height + sum(self.padding[0]), width + sum(self.padding[1]), channels

    def record(self, recording: Recording, x) -> Recorded:
        (top, _), (left, _) = self.padding
        inside = np.s_[:, top : top + x.shape[1], left : left + x.shape[2]]
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        recording(_set_part, out, inside, x)

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(np.copyto, dx, dout[inside])
            return dx

        return Recorded(out, backward)


class Crop(Node):
    """Images without their borders: ((top, bottom), (left, right))."""

    def __init__(self, cropping: tuple[tuple[int, int], tuple[int, int]]):
        self.cropping = cropping

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = input_shape
        return height - sum(self.cropping[0]), width - sum(self.cropping[1]), channels

    def record(self, recording: Recording, x) -> Recorded:
        (top, bottom), (left, right) = self.cropping
        inside = np.s_[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        recording(np.copyto, out, x[inside])

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(_set_part, dx, inside, dout)
            return dx

        return Recorded(out, backward)


def _set_part(whole, part, values):
    whole.fill(0)
    whole[part] = values


class Repeat(Node):
    """Every pixel ``factors`` times in height and width."""

    def __init__(self, factors: tuple[int, int]):
        self.factors = factors

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = input_shape
        return height * self.factors[0], width * self.factors[1], channels

    def record(self, recording: Recording, x) -> Recorded:
        n, height, width, channels = x.shape
        blocks = (n, height, self.factors[0], width, self.factors[1], channels)
        out = recording.array((n, *self.output_shape(x.shape[1:])))
        recording(np.copyto, out.reshape(blocks), x[:, :, None, :, None, :])

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(_sum_blocks, dout.reshape(blocks), dx)
            return dx

        return Recorded(out, backward)


def _sum_blocks(blocks, out):
    np.sum(blocks, axis=(2, 4), out=out)


class Interpolate(Repeat):
    """Images enlarged by ``factors``, each pixel a mean of its neighbours by distance (half-pixel centres)."""

    def record(self, recording: Recording, x) -> Recorded:
        rows, columns = (
            recording.kernels.arrays.send(_interpolation(length, factor).astype(recording.dtype))
            for length, factor in zip(x.shape[1:3], self.factors)
        )
        out = recording.array((len(x), *self.output_shape(x.shape[1:])))
        recording(_resample, x, rows, columns, out)

        def backward(dout, wanted):
            if not wanted:
                return None
            dx = recording.gradient(x.shape)
            recording(_resample, dout, rows.T, columns.T, dx)
            return dx

        return Recorded(out, backward)


@lru_cache(maxsize=32)
def _interpolation(length: int, factor: int) -> np.ndarray:
    """The matrix that makes ``factor * length`` points of ``length``."""
    position = np.clip((np.arange(length * factor) + 0.5) / factor - 0.5, 0, length - 1)
    left = np.minimum(position.astype(int), max(length - 2, 0))
    matrix = np.zeros((length * factor, length))
    points = np.arange(length * factor)
    matrix[points, left] = 1 - (position - left)
    if length > 1:
        matrix[points, left + 1] = position - left
    return matrix


def _resample(x, rows, columns, out):
    n, height, _, channels = x.shape
    _, new_height, new_width, _ = out.shape
    wide = (columns @ x).reshape(n, height, new_width * channels)
    out[...] = (rows @ wide).reshape(n, new_height, new_width, channels)
