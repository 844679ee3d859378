"""Sizes and tiles of convolutions: what is checked before a kernel trusts it, and how work is cut into blocks."""

from typing import NamedTuple

import numpy as np

from fastml.kernels.cuda._warp import SIMULATOR

# One padding element in sixteen or so of shared memory keeps a warp's stores in different banks.
BANK_PADDING = 4

# Thread blocks that a gradient by filters is to have at least; pixels of a part of the batch at least; elements of all
# parts' sums at most.
BLOCKS = 1024
LEAST_PIXELS = 16 if SIMULATOR else 256
MOST_PARTIAL = 2**24


class Tile(NamedTuple):
    """What a thread block computes of a product: rows x columns, ``depth`` terms of each sum at a time.

    A block's threads are a grid, too; each has every ``row_threads``-th row and every ``column_threads``-th column.
    """

    row_threads: int
    column_threads: int
    own_rows: int
    own_columns: int
    depth: int

    @property
    def threads(self):
        return self.row_threads * self.column_threads

    @property
    def rows(self):
        return self.row_threads * self.own_rows

    @property
    def columns(self):
        return self.column_threads * self.own_columns

    @property
    def row_pitch(self):
        return self.rows + BANK_PADDING

    @property
    def column_pitch(self):
        return self.columns + BANK_PADDING

    def shared_bytes(self, dtype):
        return self.depth * (self.row_pitch + self.column_pitch) * np.dtype(dtype).itemsize


# From many columns to few: the last is for filters that see but a few channels, depthwise ones above all.
TILES = (
    Tile(16, 16, 8, 4, 8),
    Tile(32, 8, 4, 4, 8),
    Tile(64, 4, 4, 4, 8),
    Tile(128, 2, 2, 2, 8),
)
# A gradient by filters with few rows: that of a first layer, whose filters see a single channel.
FLAT_TILE = Tile(8, 32, 2, 2, 8)
# The simulator starts a thread of Python for each of a block's.
SIMULATED_TILE = Tile(2, 2, 5, 3, 4)


def product_tile(columns):
    """The tile for outputs, or images, of so many channels in a group."""
    if SIMULATOR:
        return SIMULATED_TILE
    return next((tile for tile in reversed(TILES) if columns <= tile.columns), TILES[0])


def filters_tile(rows, columns):
    """The tile for a gradient by filters: taps times channels, and filters, of a group."""
    is_flat = rows <= FLAT_TILE.rows < columns
    return FLAT_TILE if is_flat and not SIMULATOR else product_tile(columns)


class Layer(NamedTuple):
    """A convolution's sizes: n images (h, w, c), filters (kh, kw, c / groups, m), outputs (oh, ow, m)."""

    n: int
    h: int
    w: int
    c: int
    kh: int
    kw: int
    oh: int
    ow: int
    m: int
    strides: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def images(self):
        return self.n, self.h, self.w, self.c

    @property
    def filters(self):
        return self.kh, self.kw, self.c // self.groups, self.m

    @property
    def outputs(self):
        return self.n, self.oh, self.ow, self.m


def layer_of(x, filters, out, geometry, window=(1, 1)):
    """The sizes from the arrays' shapes, checked; ``out`` is the shape after pooling by ``window``."""
    strides, padding, dilation, groups = geometry
    if len(x) != 4 or len(filters) != 4 or len(out) != 4:
        raise ValueError(f"Images and filters must have 4 dimensions; got shapes {x}, {filters}, {out}.")
    (n, h, w, c), (kh, kw), m = x, filters[:2], out[3]
    if kh < 1 or kw < 1:
        raise ValueError(f"Filters must have at least one tap; got shape {filters}.")
    if groups < 1 or c % groups or m % groups:
        raise ValueError(f"groups must divide the {c} channels and the {m} filters; got {groups}.")
    if tuple(filters[2:]) != (c // groups, m):
        raise ValueError(
            f"Filters must be of shape {(kh, kw, c // groups, m)} for images of shape {x} in {groups} groups and "
            f"an output of shape {out}; got {filters}."
        )
    wh, ww = _pair(window, "window", 1)
    if wh * ww > 256:
        raise ValueError(f"A window must have at most 256 positions; got {window}.")
    moves = _pair(strides, "strides", 1), _pair(padding, "padding", 0), _pair(dilation, "dilation", 1)
    layer = Layer(n, h, w, c, kh, kw, out[1] * wh, out[2] * ww, m, *moves, groups)
    _check_sizes(layer, x, out)
    return layer


def _pair(values, name, least):
    down, across = values
    if down < least or across < least:
        raise ValueError(f"{name} must be at least {least}; got {values}.")
    return down, across


def _check_sizes(layer, x, out):
    """That pixels and places fit in 32 bits, in which kernels count them."""
    (sy, sx), (top, left), (dy, dx) = layer.strides, layer.padding, layer.dilation
    largest = max(
        layer.n * layer.h * layer.w,
        layer.n * layer.oh * layer.ow,
        layer.kh * layer.kw * max(layer.c, layer.m),
        (layer.h + top) * sy,
        (layer.w + left) * sx,
        (layer.oh + layer.kh * dy) * sy,
        (layer.ow + layer.kw * dx) * sx,
    )
    if largest >= 2**30:
        raise ValueError(f"Images of shape {x} and outputs of shape {out} are too large.")


def parts_of(layer, tile):
    """Into how many parts of the batch's pixels a gradient by filters is cut: by the sizes alone."""
    kh, kw, depth, m = layer.filters
    tiles = layer.groups * -(-(kh * kw * depth) // tile.rows) * -(-(m // layer.groups) // tile.columns)
    n_pixels = layer.n * layer.oh * layer.ow
    wanted = -(-BLOCKS // max(1, tiles))
    return max(1, min(wanted, n_pixels // LEAST_PIXELS, MOST_PARTIAL // max(1, kh * kw * depth * m)))
