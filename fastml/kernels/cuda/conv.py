"""Convolutions on the GPU; the contract is ``fastml.kernels.reference.conv``.

Implicit matrix products of our own (``_conv_kernel``), with bias and relu as their last step. Pooling after it is a
pass of its own, over outputs that lie in memory which the plan keeps for that: written and read once, these cost a few
per cent of the products. The gradient by filters is summed in parts of the batch, and the parts in their order.
"""

from fastml.kernels.cuda import _device
from fastml.kernels.cuda._columns import sums
from fastml.kernels.cuda._conv_kernel import filters_kernel, fold_kernel, product_kernel
from fastml.kernels.cuda._conv_layout import filters_tile, layer_of, parts_of, product_tile
from fastml.kernels.cuda._operation import (
    as_function,
    checked,
    elementwise,
    flat,
    launch,
    optional,
    real_type,
)
from fastml.kernels.cuda._pool_kernel import tiles_gradient_kernel, tiles_kernel
from fastml.kernels.cuda.pool import as_int32, by_image, over_images

__all__ = [
    "forward",
    "forward_max_pooled",
    "gradient_filters",
    "gradient_filters_max_pooled",
    "gradient_input",
    "gradient_input_max_pooled",
]


@as_function
def forward(X, W, bias, out, geometry, activation="linear"):
    kind = real_type(X, "X")
    layer = layer_of(X.shape, W.shape, out.shape, geometry)
    if activation not in ("linear", "relu"):
        raise ValueError(f"activation must be 'linear' or 'relu'; got {activation!r}.")
    return _forward(layer, kind, X, W, bias, out, activation == "relu")


@as_function
def forward_max_pooled(X, W, bias, out, argmax, geometry, window):
    kind = real_type(X, "X")
    layer = layer_of(X.shape, W.shape, out.shape, geometry, window)
    checked(out, kind, "out", out.shape)
    checked(argmax, "uint8", "argmax", out.shape)
    unpooled = _device.empty(layer.outputs, kind)
    return [
        *_forward(layer, kind, X, W, bias, unpooled, relu=True),
        *over_images(
            tiles_kernel,
            by_image(out),
            *(by_image(unpooled), _tiles(layer, out.shape, window), by_image(out), by_image(argmax)),
        ),
    ]


@as_function
def gradient_input(dout, W, dX, geometry):
    kind = real_type(dout, "dout")
    return _gradient_input(layer_of(dX.shape, W.shape, dout.shape, geometry), kind, dout, W, dX)


@as_function
def gradient_input_max_pooled(dout, out, argmax, W, dX, geometry, window):
    kind = real_type(dout, "dout")
    layer = layer_of(dX.shape, W.shape, out.shape, geometry, window)
    unpooled, calls = _unpooled(layer, kind, dout, out, argmax, window)
    return [*calls, *_gradient_input(layer, kind, unpooled, W, dX)]


def _gradient_input(layer, kind, dout, W, dX):
    gradients, filters = flat(dout, kind, "dout", layer.outputs), flat(W, kind, "W", layer.filters)
    result = flat(dX, kind, "dX", layer.images)
    if dX.size == 0:
        return []
    kh, kw, columns, m = layer.filters
    channels = m // layer.groups
    (top, left), (dy, dx) = layer.padding, layer.dilation
    tile = product_tile(columns)
    sizes = as_int32(
        (layer.oh, layer.ow, m, layer.h, layer.w, layer.c, kw, channels, columns, kh * kw * channels)
        + (layer.groups, 1, 1, -top, -left, -dy, -dx, *layer.strides)
    )
    kernel = product_kernel(tile, kind.name, True, layer.strides != (1, 1), False)
    n_blocks = -(-layer.n * layer.h * layer.w // tile.rows) * layer.groups * -(-columns // tile.columns)
    none = _device.empty(0, kind)
    return [_launch(kernel, tile, kind, n_blocks, gradients, filters, none, sizes, result)]


@as_function
def gradient_filters(X, dout, dW, dbias, geometry):
    kind = real_type(X, "X")
    layer = layer_of(X.shape, dW.shape, dout.shape, geometry)
    return _gradient_filters(layer, kind, X, dout, dW, dbias)


@as_function
def gradient_filters_max_pooled(X, dout, out, argmax, dW, dbias, geometry, window):
    kind = real_type(X, "X")
    layer = layer_of(X.shape, dW.shape, out.shape, geometry, window)
    unpooled, calls = _unpooled(layer, kind, dout, out, argmax, window)
    return [*calls, *_gradient_filters(layer, kind, X, unpooled, dW, dbias)]


def _unpooled(layer, kind, dout, out, argmax, window):
    """The gradient to what is pooled, in memory that the plan keeps, and the calls that set it."""
    checked(dout, kind, "dout", out.shape)
    checked(out, kind, "out", out.shape)
    checked(argmax, "uint8", "argmax", out.shape)
    unpooled = _device.empty(layer.outputs, kind)
    pooled = (by_image(array) for array in (dout, out, argmax))
    sizes = _tiles(layer, out.shape, window)
    return unpooled, over_images(
        tiles_gradient_kernel, by_image(unpooled), *pooled, sizes, by_image(unpooled)
    )


def _forward(layer, kind, X, W, bias, out, relu):
    images, filters = flat(X, kind, "X", layer.images), flat(W, kind, "W", layer.filters)
    offsets = optional(bias, kind, "bias", (layer.m,))
    result = flat(out, kind, "out", layer.outputs)
    if out.size == 0:
        return []
    columns, channels = layer.m // layer.groups, layer.c // layer.groups
    tile = product_tile(columns)
    sizes = as_int32(
        (layer.h, layer.w, layer.c, layer.oh, layer.ow, layer.m, layer.kw, channels, columns)
        + (
            layer.kh * layer.kw * channels,
            layer.groups,
            *layer.strides,
            *layer.padding,
            *layer.dilation,
            1,
            1,
        )
    )
    kernel = product_kernel(tile, kind.name, False, False, relu)
    n_blocks = -(-layer.n * layer.oh * layer.ow // tile.rows) * layer.groups * -(-columns // tile.columns)
    return [_launch(kernel, tile, kind, n_blocks, images, filters, offsets, sizes, result)]


def _gradient_filters(layer, kind, X, dout, dW, dbias):
    images, gradients = flat(X, kind, "X", layer.images), flat(dout, kind, "dout", layer.outputs)
    result = flat(dW, kind, "dW", layer.filters)
    offsets = optional(dbias, kind, "dbias", (layer.m,))
    calls = sums("element", dout.reshape(-1, layer.m), offsets) if dbias is not None else []
    if dW.size == 0:
        return calls
    columns, channels = layer.m // layer.groups, layer.c // layer.groups
    n_lines, n_pixels = layer.kh * layer.kw * channels, layer.n * layer.oh * layer.ow
    tile = filters_tile(n_lines, columns)
    n_parts = parts_of(layer, tile)
    partial = _device.empty((n_parts, dW.size), kind)
    sizes = as_int32(
        (layer.h, layer.w, layer.c, layer.oh, layer.ow, layer.m, layer.kw, channels, columns, n_lines)
        + (layer.groups, *layer.strides, *layer.padding, *layer.dilation, -(-n_pixels // n_parts))
    )
    n_blocks = n_parts * layer.groups * -(-n_lines // tile.rows) * -(-columns // tile.columns)
    kernel = filters_kernel(tile, kind.name)
    return [
        *calls,
        _launch(kernel, tile, kind, n_blocks, images, gradients, sizes, partial),
        *elementwise(fold_kernel, dW.size, partial, result),
    ]


def _launch(kernel, tile, kind, n_blocks, *arguments):
    return launch(kernel, n_blocks, tile.threads, *arguments, shared_bytes=tile.shared_bytes(kind))


def _tiles(layer, pooled, window):
    return as_int32((layer.oh, layer.ow, layer.m, *pooled[1:3], *window, 0, 0, 0, 0))
