"""The kernels of neural networks, for the compile check that needs no GPU (``tools/compile_cuda.py``)."""

from itertools import product

from numba import types

from fastml.kernels.cuda import (
    _activation_kernel,
    _activation_rows,
    _columns,
    _conv_kernel,
    _normalization_kernel,
    _optimizer_kernel,
    _pool_kernel,
    dense,
    gather,
)
from fastml.kernels.cuda._activation_formulas import FORMULAS
from fastml.kernels.cuda._conv_layout import FLAT_TILE, TILES

REAL = (types.float32, types.float64)
DOUBLE = types.float64
N_PRODUCT_SIZES, N_FILTER_SIZES = 19, 18


def kernels_to_compile():
    """Yields (name, Python function, signature): every kernel in both precisions, convolutions in every tile.

    Elementwise activations, whose arithmetic is float64 in either, only once each.
    """
    for number in REAL:
        for families in (_elementwise, _rowwise, _sums, _normalization, _optimizers, _pools, _convolutions):
            for name, function, arguments in families(number):
                yield f"{name} {number}", function, types.void(*arguments)
    for bits in (types.uint8, types.uint16, types.uint32, types.uint64):
        arguments = _array(bits, 2), _array(types.int64), _array(bits, 2)
        yield f"gather_copy {bits}", gather.copy_function(), types.void(*arguments)
    for name in FORMULAS:
        vector, settings = _array(types.float32), (DOUBLE,) * 3
        forward, arguments = _activation_kernel.forward_function(name), (vector, *settings, vector)
        yield f"activation_forward {name}", forward, types.void(*arguments)
        gradient, arguments = _activation_kernel.gradient_function(name), (*(vector,) * 3, *settings, vector)
        yield f"activation_gradient {name}", gradient, types.void(*arguments)


def _array(element, ndim=1):
    return types.Array(element, ndim, "C")


def _sizes(count):
    return types.UniTuple(types.int32, count)


def _elementwise(number):
    vector = _array(number)
    mask, state = _array(types.uint8), _array(types.uint64)
    arguments = vector, state, types.int64, DOUBLE, mask, vector
    yield "activation_dropout", _activation_kernel.dropout_function(), arguments
    arguments = vector, mask, DOUBLE, vector
    yield "activation_dropout_gradient", _activation_kernel.dropout_gradient_function(), arguments
    for has_bias, relu in ((True, False), (True, True), (False, True)):
        yield f"dense_finish {has_bias} {relu}", dense.finish_function(has_bias, relu), (vector, vector)
    for source in (types.uint8, *REAL):
        arguments = _array(source, 2), _array(types.int64), DOUBLE, DOUBLE, _array(number, 2)
        yield f"gather_rescale {source}", gather.rescale_function(), arguments


def _rowwise(number):
    matrix = _array(number, 2)
    for logarithmic in (False, True):
        of = "log_softmax" if logarithmic else "softmax"
        yield f"activation_{of}", _activation_rows.softmax_function(logarithmic), (matrix,) * 2
        gradient = _activation_rows.softmax_gradient_function(logarithmic)
        yield f"activation_{of}_gradient", gradient, (matrix,) * 3
    yield "activation_sparsemax", _activation_rows.sparsemax_function(), (matrix,) * 2
    yield "activation_sparsemax_gradient", _activation_rows.sparsemax_gradient_function(), (matrix,) * 3
    arguments = matrix, _array(types.int32), _array(number), _array(DOUBLE), matrix, matrix
    yield "activation_cross_entropy", _activation_rows.cross_entropy_function(), arguments


def _sums(number):
    matrix, partial = _array(number, 2), _array(DOUBLE, 2)
    for term, by_row in product(_columns.TERMS, (False, True)):
        # Means of a batch are float64, those that were kept are of the batch's type.
        vector = _array(DOUBLE if term == "deviation square" else number)
        arguments = matrix, matrix, vector, vector, partial
        yield f"columns_lines {term} {by_row}", _columns.lines_function(term, by_row), arguments
    yield "columns_total", _columns.total_function(), (partial, DOUBLE, _array(number))


def _normalization(number):
    of, vector, matrix = _normalization_kernel, _array(number), _array(number, 2)
    statistics = _array(DOUBLE, 2)
    yield "normalization_train", of.train_statistics_function(), (statistics, DOUBLE, DOUBLE, *(vector,) * 4)
    yield "normalization_moving", of.moving_statistics_function(), (vector, vector, DOUBLE, statistics)
    yield "normalization_apply", of.apply_function(), (vector, statistics, vector, vector, vector)
    yield "normalization_batch_gradient", of.batch_gradient_function(), (*(vector,) * 5, statistics, vector)
    yield "normalization_layer", of.layer_function(), (matrix, vector, vector, DOUBLE, vector, vector, matrix)
    yield (
        "normalization_layer_gradient",
        of.layer_gradient_function(),
        (matrix, matrix, *(vector,) * 3, matrix),
    )


def _optimizers(number):
    of, vector, settings = _optimizer_kernel, _array(number), _array(DOUBLE)
    yield "optimizer_sgd", of.sgd_function(), (vector, settings, vector, vector)
    yield "optimizer_rmsprop", of.rmsprop_function(), (vector, settings, *(vector,) * 4)
    yield "optimizer_adagrad", of.adagrad_function(), (vector, settings, vector, vector)
    yield "optimizer_adam", of.adam_function(), (vector, settings, *(vector,) * 4)
    yield "optimizer_scale", of.scale_function(), (settings, DOUBLE, vector)
    yield "optimizer_ridge", of.ridge_function(), (vector, settings, vector)
    yield "optimizer_clip", of.clip_function(), (DOUBLE, vector)


def _pools(number):
    of, images, sizes = _pool_kernel, _array(number, 2), _sizes(_pool_kernel.N_SIZES)
    indices, positions = _array(types.int32, 2), _array(types.uint8, 2)
    yield "pool_max", of.max_function(), (images, sizes, images, indices)
    yield "pool_max_gradient", of.max_gradient_function(), (images, indices, sizes, images)
    yield "pool_average", of.average_function(), (images, sizes, images)
    yield "pool_average_gradient", of.average_gradient_function(), (images, sizes, images)
    yield "pool_tiles", of.tiles_function(), (images, sizes, images, positions)
    yield "pool_tiles_gradient", of.tiles_gradient_function(), (images, images, positions, sizes, images)


def _convolutions(number):
    vector, partial = _array(number), _array(number, 2)
    # Without relu there is a comparison less.
    kinds = {"relu": (False, False, True), "gradient": (True, False, False), "zoomed": (True, True, False)}
    for tile, (kind, flags) in product(TILES, kinds.items()):
        function = _conv_kernel.product_function(tile, number, *flags)
        arguments = *(vector,) * 3, _sizes(N_PRODUCT_SIZES), vector
        yield f"conv_product {tile.rows} x {tile.columns} {kind}", function, arguments
    for tile in (*TILES, FLAT_TILE):
        arguments = vector, vector, _sizes(N_FILTER_SIZES), partial
        yield (
            f"conv_filters {tile.rows} x {tile.columns}",
            _conv_kernel.filters_function(tile, number),
            arguments,
        )
    yield "conv_fold", _conv_kernel.fold_function(), (partial, vector)
