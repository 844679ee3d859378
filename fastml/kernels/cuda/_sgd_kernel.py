"""The SGD kernel: one thread block walks all rows for one model; specialised to a rule and a layout."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float64, from_dtype

from fastml.kernels.cuda import _warp
from fastml.kernels.cuda._sgd_rows import (
    RESIDENT,
    SPARSE,
    fold_weights,
    load,
    row_loops,
    share_of_row,
    store,
)
from fastml.kernels.cuda._sgd_scalars import (
    ALPHA,
    AVERAGE_A,
    CUMULATIVE_L1,
    ETA,
    FINITE,
    INTERCEPT,
    L1_NORM,
    L1_RATIO,
    N_MODEL,
    N_PROGRESS,
    POSITIVE_CLASS,
    SQ_NORM,
    WEIGHT_NEG,
    WEIGHT_POS,
    WSCALE,
    T,
    count_average,
    load_scalars,
    move_intercept,
    reset_scales,
    scalar_functions,
    store_scalars,
)
from fastml.kernels.cuda._warp import SLOTS
from fastml.kernels.sgd_state import WSCALE_FLOOR


class Specialisation(NamedTuple):
    """What is fixed while the kernel is compiled; anything else of a ``Rule`` is an argument."""

    loss: Any
    penalty: str  # an "elasticnet" compiles to what "l1" does
    schedule: str
    averaged: bool
    record: bool
    labels: bool  # target holds class labels, not values
    layout: str
    per_lane: int  # registers for weights, of a resident layout
    dtype: np.dtype


@lru_cache(maxsize=256)
def epoch_kernel(specialisation):
    """The kernel of ``epoch``, for one ``Specialisation``."""
    return cuda.jit(epoch_function(specialisation))


def epoch_function(specialisation):
    """The kernel's Python function, not yet bound to a compiler."""
    loss, penalty, schedule, averaged, record, labels, layout, per_lane, dtype = specialisation
    scalars = scalar_functions(loss, penalty, schedule)
    share = share_of_row(layout, per_lane)
    loops = row_loops(share, dtype.type(0))
    begin_row = _row_reader(layout, labels)
    number, floor = from_dtype(dtype), WSCALE_FLOOR[dtype]

    resident, sparse = layout == RESIDENT, layout == SPARSE
    truncated = penalty in ("l1", "elasticnet")
    passive_aggressive, skips_zero_rows = schedule in ("pa1", "pa2"), schedule == "pa1"
    needs_norms = record and penalty != "none" and not passive_aggressive
    # Registers per thread for weights, row, next row, average and applied penalty.
    n_row = per_lane if resident else 1
    n_average, n_applied = n_row if averaged else 1, n_row if truncated else 1

    def sgd_epoch(
        data, indices, indptr, target, sample_weight, order,
        coef, average_coef, applied_l1, models, labels_of_models, progress, active,
        average_from, intercept_decay, fit_intercept, one_class,
    ):  # fmt: skip
        lane, lanes = cuda.threadIdx.x, cuda.blockDim.x
        k = active[cuda.blockIdx.x]
        n_features = coef.shape[1]
        positive_class = labels_of_models[k, POSITIVE_CLASS]
        slots = cuda.shared.array(SLOTS, float64)
        m = cuda.local.array(N_MODEL, float64)
        s = cuda.local.array(N_PROGRESS, float64)
        load_scalars(m, s, models, progress, k, lane)

        if resident:
            w = cuda.local.array(n_row, number)
            x = cuda.local.array(n_row, number)
            ahead = cuda.local.array(n_row, number)
            a = cuda.local.array(n_average, number)
            q = cuda.local.array(n_applied, number)
            load(w, coef[k], 0, n_features, lane, lanes)
            if averaged:
                load(a, average_coef[k], 0, n_features, lane, lanes)
            if truncated:
                load(q, applied_l1[k], 0, n_features, lane, lanes)
            own_begin, own_end, own_stride = 0, n_row, 1
        else:
            w, x, a, q = coef[k], data, average_coef[k], applied_l1[k]
            own_begin, own_end, own_stride = lane, n_features, lanes

        # Loads run ahead of their use: a row's number by two steps, its target, extent and values by one.
        last = order.size - 1
        row_ahead = order[min(1, last)]
        start_ahead, end_ahead, y_ahead, weight_ahead = begin_row(
            order[0], indptr, n_features, target, sample_weight, positive_class, m
        )
        if resident:
            load(ahead, data, start_ahead, n_features, lane, lanes)

        for step in range(order.size):
            start, end, y, weight = start_ahead, end_ahead, y_ahead, weight_ahead
            if resident:
                for i in range(n_row):
                    x[i] = ahead[i]
            start_ahead, end_ahead, y_ahead, weight_ahead = begin_row(
                row_ahead, indptr, n_features, target, sample_weight, positive_class, m
            )
            if resident:
                load(ahead, data, start_ahead, n_features, lane, lanes)
            row_ahead = order[min(step + 2, last)]
            n, first = share.n_entries(start, end, lane, lanes), start + lane

            # Margin p; the only barrier of a dense row.
            turn = step % 2
            _warp.deposit(loops.dot(w, x, n, first, lane, lanes, indices), slots, turn, 0)
            any_value = 1
            if passive_aggressive:
                x_sq_share, any_share = loops.square(x, n, first, lanes)
                _warp.deposit(x_sq_share, slots, turn, 1)
                any_value = cuda.syncthreads_or(np.int32(any_share))
            else:
                if needs_norms:  # of the weights that this row meets
                    _warp.deposit(s[SQ_NORM], slots, turn, 1)
                    _warp.deposit(s[L1_NORM], slots, turn, 2)
                scalars.set_learning_rate(s, m)
                cuda.syncthreads()
            p = s[WSCALE] * _warp.collect(slots, turn, 0) + s[INTERCEPT]
            s[FINITE] += p - p
            x_sq = _warp.collect(slots, turn, 1) if passive_aggressive else 0.0

            if record:
                sq_norm = _warp.collect(slots, turn, 1) if needs_norms else 0.0
                l1_norm = _warp.collect(slots, turn, 2) if needs_norms else 0.0
                scalars.record(s, m, y, p, sq_norm, l1_norm, one_class)
            if skips_zero_rows and not any_value:
                continue
            update = weight * scalars.step_length(y, p, x_sq, s, m)

            # Weights.
            scalars.shrink(s, m)
            if s[WSCALE] < floor:
                fold_weights(w, a, averaged, s, own_begin, own_end, own_stride)
                reset_scales(s)
                if sparse:
                    cuda.syncthreads()
            length = update / s[WSCALE]
            if update != 0.0:
                s[SQ_NORM], s[L1_NORM] = loops.move(
                    w, x, number(length), s[WSCALE], n, first, lane, lanes, indices
                )
            if fit_intercept:
                move_intercept(s, m, update, intercept_decay, one_class)
            if averaged and average_from <= s[T]:
                loops.average(a, x, number(-s[AVERAGE_A] * length), n, first, lane, lanes, indices)
                count_average(s, s[T] - average_from + 1.0)
            if truncated:
                s[CUMULATIVE_L1] += m[L1_RATIO] * s[ETA] * m[ALPHA]
                loops.truncate(w, q, s[WSCALE], s[CUMULATIVE_L1], n, first, lane, lanes, indices)
            s[T] += 1.0
            if sparse:
                cuda.syncthreads()

        turn = order.size % 2
        _warp.deposit(s[SQ_NORM], slots, turn, 1)
        _warp.deposit(s[L1_NORM], slots, turn, 2)
        cuda.syncthreads()
        s[SQ_NORM], s[L1_NORM] = _warp.collect(slots, turn, 1), _warp.collect(slots, turn, 2)
        if lane == 0:
            store_scalars(progress, k, s)
        if resident:
            store(coef[k], w, n_features, lane, lanes)
            if averaged:
                store(average_coef[k], a, n_features, lane, lanes)
            if truncated:
                store(applied_l1[k], q, n_features, lane, lanes)

    return sgd_epoch


def _row_reader(layout, labels):
    """Device function ``(row, ...) -> (start, end, y, weight)``; the row is ``data[start:end]``."""
    sparse = layout == SPARSE

    @_warp.device_function
    def begin_row(row, indptr, n_features, target, sample_weight, positive_class, m):
        if sparse:
            start, end = indptr[row], indptr[row + 1]
        else:
            start = np.int64(row) * n_features
            end = start + n_features
        if labels:
            y = 1.0 if target[row] == positive_class else -1.0
        else:
            y = target[row]
        weight = m[WEIGHT_POS] if y > 0.0 else m[WEIGHT_NEG]
        if sample_weight.size:
            weight *= sample_weight[row]
        return start, end, y, weight

    return begin_row


@lru_cache(maxsize=2)
def fold_kernel(averaged):
    """The kernel of ``fold``: one thread block per model."""
    return cuda.jit(fold_function(averaged))


def fold_function(averaged):
    """The kernel's Python function, not yet bound to a compiler."""

    def sgd_fold(coef, average_coef, progress):
        k, lane, lanes = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        s = cuda.local.array(N_PROGRESS, float64)
        for i in range(N_PROGRESS):
            s[i] = progress[k, i]
        fold_weights(coef[k], average_coef[k], averaged, s, lane, coef.shape[1], lanes)
        cuda.syncthreads()  # every thread has read the scalars
        if lane == 0:
            reset_scales(s)
            store_scalars(progress, k, s)

    return sgd_fold
