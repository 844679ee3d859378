"""The products of convolutions: images are laid out as a matrix of patches in shared memory only, tile by tile.

`product_function` makes outputs from images and filters: a row for each pixel of the result, a column for each of its
channels, sums over taps and channels. With filters transposed, the taps mirrored and the strides a zoom (zeros between
the image's pixels) that is the gradient by the images, too.

`filters_function` makes the gradient by filters: a row for each tap and channel, a column for each filter, sums over
pixels; a part of these for each block.

A thread loads one term of the sum for some rows, and another for some columns; what these need of divisions is done
once, before the loop. To be measured on a GPU: tiles, loads one tile ahead, tensor cores (TF32) for who allows them.
"""

from functools import lru_cache

from numba import cuda, float32, float64, int32, int64

from fastml.kernels.cuda._elements import divided
from fastml.kernels.cuda._warp import device_function

# A row that does not exist: no tap brings it into an image.
OUTSIDE = -(2**30)


def _reader(number, zoomed):
    """Device function: the image's pixel at a place, zero outside of it and between zoomed pixels."""
    zero = number(0.0)

    @device_function
    def pixel(image, base, y, x, h, w, c, zy, zx):
        if y < 0 or x < 0:
            return zero
        if zoomed:
            y, between = divided(y, zy)
            x, across = divided(x, zx)
            if between != 0 or across != 0:
                return zero
        if y >= h or x >= w:
            return zero
        return image[base + (y * w + x) * c]

    return pixel


def _multiplier(tile, number):
    """Device function: adds the products of a tile's rows and columns to a thread's own sums."""
    own_rows, own_columns, depth = tile.own_rows, tile.own_columns, tile.depth
    row_threads, column_threads = tile.row_threads, tile.column_threads
    row_pitch, column_pitch = tile.row_pitch, tile.column_pitch

    @device_function
    def multiply(shared, row, column, values, sums):
        for k in range(depth):
            for i in range(own_rows):
                values[i] = shared[k * row_pitch + row + row_threads * i]
            for j in range(own_columns):
                factor = shared[depth * row_pitch + k * column_pitch + column + column_threads * j]
                for i in range(own_rows):
                    sums[i * own_columns + j] += values[i] * factor

    return multiply


@lru_cache(maxsize=64)
def product_kernel(tile, dtype, transposed, zoomed, relu):
    return cuda.jit(product_function(tile, _number(dtype), transposed, zoomed, relu))


def product_function(tile, number, transposed, zoomed, relu):
    """The kernel's Python function.

    Sizes: image h, w, c; result's rows, columns and channels of a picture; filters' width; channels and columns of a
    group; taps times channels; groups; strides, padding, dilation, zoom.
    """
    pixel, multiply = _reader(number, zoomed), _multiplier(tile, number)
    depth, n_rows, n_columns = tile.depth, tile.rows, tile.columns
    row_pitch, column_pitch, column_threads = tile.row_pitch, tile.column_pitch, tile.column_threads
    row_threads, own_rows, own_columns = tile.row_threads, tile.own_rows, tile.own_columns
    n_sums, step = tile.own_rows * tile.own_columns, tile.threads // tile.depth
    row_loads, column_loads = n_rows // step, -(-n_columns // step)
    zero = number(0.0)

    def conv_product(image, filters, bias, sizes, out):
        h, w, c, ph, pw, m, kw, channels, columns, n_terms, groups, sy, sx, top, left, dy, dx, zy, zx = sizes
        t = cuda.threadIdx.x
        shared = cuda.shared.array(0, number)
        values, sums = cuda.local.array(own_rows, number), cuda.local.array(n_sums, number)
        down, across = cuda.local.array(row_loads, int32), cuda.local.array(row_loads, int32)
        base = cuda.local.array(row_loads, int64)
        n_pixels = out.size // m
        rest, column_tile = divided(cuda.blockIdx.x, -(-columns // n_columns))
        row_tile, group = divided(rest, groups)
        first_row, first_column = row_tile * n_rows, column_tile * n_columns

        # Neighbouring threads load neighbouring channels of the image: terms of one row's sum.
        slot, line = t % depth, t // depth
        for j in range(row_loads):
            p = first_row + line + step * j
            down[j], across[j], base[j] = OUTSIDE, OUTSIDE, 0
            if p < n_pixels:
                position, x = divided(p, pw)
                picture, y = divided(position, ph)
                down[j], across[j] = y * sy - top, x * sx - left
                base[j] = int64(picture) * (h * w) * c + group * channels
        # Of the filters likewise, whose neighbours are columns of a term, or transposed terms of a column.
        own_slot, own_line = (slot, line) if transposed else (t // step, t % step)
        for i in range(n_sums):
            sums[i] = zero

        for first in range(0, n_terms, depth):
            term = first + slot
            tap, channel = divided(term, channels)
            ky, kx = divided(tap, kw)
            for j in range(row_loads):
                value = zero
                if term < n_terms:
                    y, x = down[j] + ky * dy, across[j] + kx * dx
                    value = pixel(image, base[j] + channel, y, x, h, w, c, zy, zx)
                shared[slot * row_pitch + line + step * j] = value
            term = first + own_slot
            if transposed:
                tap, channel = divided(term, channels)
            for j in range(column_loads):
                place = own_line + step * j
                column = first_column + place
                value = zero
                if term < n_terms and column < columns:
                    if transposed:
                        value = filters[int64(tap * columns + column) * c + group * channels + channel]
                    else:
                        value = filters[int64(term) * m + group * columns + column]
                if place < n_columns:
                    shared[depth * row_pitch + own_slot * column_pitch + place] = value
            cuda.syncthreads()
            multiply(shared, t // column_threads, t % column_threads, values, sums)
            cuda.syncthreads()

        for i in range(own_rows):
            p = first_row + t // column_threads + row_threads * i
            for j in range(own_columns):
                column = first_column + t % column_threads + column_threads * j
                if p < n_pixels and column < columns:
                    value = sums[i * own_columns + j]
                    if bias.size:
                        value += bias[group * columns + column]
                    out[int64(p) * m + group * columns + column] = zero if relu and value < zero else value

    return conv_product


@lru_cache(maxsize=16)
def filters_kernel(tile, dtype):
    return cuda.jit(filters_function(tile, _number(dtype)))


def filters_function(tile, number):
    """The kernel's Python function.

    Sizes: image h, w, c; output's oh, ow, m; filters' width; channels and filters of a group; taps times channels;
    groups; strides, padding, dilation; pixels of a part. ``partial`` has a row for each part.
    """
    pixel, multiply = _reader(number, False), _multiplier(tile, number)
    depth, n_rows, n_columns = tile.depth, tile.rows, tile.columns
    row_pitch, column_pitch, column_threads = tile.row_pitch, tile.column_pitch, tile.column_threads
    row_threads, own_rows, own_columns = tile.row_threads, tile.own_rows, tile.own_columns
    n_sums, step = tile.own_rows * tile.own_columns, tile.threads // tile.depth
    row_loads, column_loads = -(-n_rows // step), -(-n_columns // step)
    zero = number(0.0)

    def conv_filters(image, dout, sizes, partial):
        h, w, c, oh, ow, m, kw, channels, columns, n_lines, groups, sy, sx, top, left, dy, dx, part_size = (
            sizes
        )
        t = cuda.threadIdx.x
        shared = cuda.shared.array(0, number)
        values, sums = cuda.local.array(own_rows, number), cuda.local.array(n_sums, number)
        down, across = cuda.local.array(row_loads, int32), cuda.local.array(row_loads, int32)
        own_channel = cuda.local.array(row_loads, int32)
        rest, column_tile = divided(cuda.blockIdx.x, -(-columns // n_columns))
        rest, row_tile = divided(rest, -(-n_lines // n_rows))
        part, group = divided(rest, groups)
        first_row, first_column = row_tile * n_rows, column_tile * n_columns
        first_pixel = part * part_size
        end_pixel = min(first_pixel + part_size, dout.size // m)

        # Neighbouring threads load neighbouring channels of one pixel, and neighbouring filters.
        slot, line = t // step, t % step
        for j in range(row_loads):
            row = first_row + line + step * j
            down[j], across[j], own_channel[j] = OUTSIDE, OUTSIDE, 0
            if row < n_lines:
                tap, channel = divided(row, channels)
                ky, kx = divided(tap, kw)
                down[j], across[j], own_channel[j] = ky * dy, kx * dx, group * channels + channel
        for i in range(n_sums):
            sums[i] = zero

        for first in range(first_pixel, end_pixel, depth):
            p = first + slot
            position, x = divided(p, ow)
            picture, y = divided(position, oh)
            y, x, base = y * sy - top, x * sx - left, int64(picture) * (h * w) * c
            for j in range(row_loads):
                place = line + step * j
                value = zero
                if p < end_pixel:
                    value = pixel(image, base + own_channel[j], y + down[j], x + across[j], h, w, c, 1, 1)
                if place < n_rows:
                    shared[slot * row_pitch + place] = value
            for j in range(column_loads):
                place = line + step * j
                column = first_column + place
                value = zero
                if p < end_pixel and column < columns:
                    value = dout[int64(p) * m + group * columns + column]
                if place < n_columns:
                    shared[depth * row_pitch + slot * column_pitch + place] = value
            cuda.syncthreads()
            multiply(shared, t // column_threads, t % column_threads, values, sums)
            cuda.syncthreads()

        for i in range(own_rows):
            row = first_row + t // column_threads + row_threads * i
            for j in range(own_columns):
                column = first_column + t % column_threads + column_threads * j
                if row < n_lines and column < columns:
                    partial[part, row * m + group * columns + column] = sums[i * own_columns + j]

    return conv_filters


def fold_function():
    """The kernel's Python function: the sum of all parts, in their order; a thread for each element."""

    def conv_fold(partial, out):
        for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
            total = 0.0
            for part in range(partial.shape[0]):
                total += float64(partial[part, i])
            out[i] = total

    return conv_fold


fold_kernel = cuda.jit(fold_function())


def _number(dtype):
    return float32 if dtype == "float32" else float64
