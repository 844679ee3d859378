"""Stochastic gradient descent on the GPU: many models, one X.

A thread block trains one model. It walks the rows in order, as the algorithm demands; its threads share the
features of a row. What a GPU can do at once is therefore the models: outputs of a one-vs-rest problem, or
settings of a search.

Per row and block the critical path is: multiply the row with the weights, add across a warp (five shuffles),
across the warps (one barrier), the scalar step (done by every thread, so that nothing need be broadcast), and
the update of the weights by their owners. That is a chain of latencies, some 0.5 to 1 microseconds a row by
an estimate from the instructions' latencies, not yet measured, and it hardly grows with the number of blocks:
all blocks that fit on the card at once cost what one does. The next row is loaded while the current one is
added up. Bytes are not the limit: blocks run nearly abreast, so that X is read once from memory and otherwise from L2.

Hence a single model is faster on a CPU core, which takes 50 to 100 ns a row of 100 features; the GPU pays
from some dozens of models on, and most where there are as many as the card holds blocks (hundreds).

Where the weights are kept (``_sgd_rows``): dense rows of up to 2048 features have theirs in registers, wider
ones and sparse rows in global memory. A block has a thread for every four values of a row, from one warp to
eight. The scalar step is float64: made for cards that run it at half rate, not at a 64th.

To be measured on a GPU: the microseconds above; shared memory for the weights of short sparse rows; fewer,
busier warps against more; one warp alone computing the scalar step.
"""

import numpy as np

from fastml._csr import CSR
from fastml.kernels.cpu.sgd import shuffle
from fastml.kernels.cuda import _device, arrays
from fastml.kernels.cuda._sgd_kernel import Specialisation, epoch_kernel, fold_kernel
from fastml.kernels.cuda._sgd_rows import MAX_PER_LANE, RESIDENT, SPARSE, STREAMED
from fastml.kernels.cuda._warp import LANES, MAX_THREADS

__all__ = ["epoch", "epochs", "fold", "rows_per_call", "shuffle"]

# A block takes about a microsecond per row, however many other blocks there are.
_ROWS_PER_CALL = 100_000

_FEATURES_PER_THREAD = 4


def epoch(X, target, sample_weight, order, state, rule):
    """Waits for the launch before and queues its own, so that no more than one runs ahead of an interrupt."""
    if len(order) == 0 or len(state.active) == 0:
        return
    if isinstance(X, CSR):
        data, indices, indptr = X.data, X.indices, X.indptr
        width = len(data) // max(1, X.shape[0])
    else:
        data, width = X.reshape(-1), X.shape[1]
        indices = indptr = _device.empty(0, np.int32)
    kernel = epoch_kernel(_specialise(rule, isinstance(X, CSR), target.dtype, width, state.coef.dtype))
    nothing = _device.empty((len(state.coef), 0), state.coef.dtype)
    order = arrays.send(order)
    _device.synchronize()
    kernel[len(state.active), _threads(width), _device.stream()](
        data,
        indices,
        indptr,
        target,
        _device.empty(0, np.float64) if sample_weight is None else sample_weight,
        order,
        state.coef,
        nothing if state.average_coef is None else state.average_coef,
        nothing if state.applied_l1 is None else state.applied_l1,
        _device.flat_records(state.models, np.float64),
        _device.flat_records(state.models, np.int64),
        _device.flat_records(state.progress, np.float64),
        state.active,
        float(rule.average),
        float(rule.intercept_decay),
        bool(rule.fit_intercept),
        bool(rule.one_class),
    )


def epochs(X, target, sample_weight, order, state, rule, n_epochs, seed, watch):
    """One at a time: what is to be decided upon lies on the card, as do the sums to be set to zero."""
    if seed is not None:
        shuffle(order, seed)
    epoch(X, target, sample_weight, order, state, rule)
    return 1


def rows_per_call(X, n_models, rule):
    return _ROWS_PER_CALL


def fold(state):
    n_models, n_features = state.coef.shape
    if n_models == 0:
        return
    averaged = state.average_coef is not None
    fold_kernel(averaged)[n_models, _threads(n_features), _device.stream()](
        state.coef,
        state.average_coef if averaged else _device.empty((n_models, 0), state.coef.dtype),
        _device.flat_records(state.progress, np.float64),
    )


def _threads(width):
    """Threads for rows of ``width`` values: a power of two of warps."""
    threads = LANES
    while threads < MAX_THREADS and threads * _FEATURES_PER_THREAD < width:
        threads *= 2
    return threads


def _specialise(rule, sparse, target_dtype, width, dtype):
    per_lane = _FEATURES_PER_THREAD
    while per_lane * _threads(width) < width:
        per_lane *= 2
    if sparse:
        layout = SPARSE
    else:
        layout = RESIDENT if per_lane <= MAX_PER_LANE else STREAMED
    return Specialisation(
        loss=rule.loss,
        penalty="l1" if rule.penalty == "elasticnet" else rule.penalty,
        schedule=rule.schedule,
        averaged=rule.average > 0,
        record=rule.record,
        labels=target_dtype == np.int32,
        layout=layout,
        per_lane=per_lane if layout == RESIDENT else 0,
        dtype=np.dtype(dtype),
    )
