"""Sequential minimal optimisation on the GPU; the contract is ``fastml.kernels.reference.smo``.

A thread block solves a block of variables, and all blocks of a call are one launch: the problems of a one-vs-one
classifier advance together, one to a multiprocessor or several. A step of SMO is a chain of latencies (three barriers,
two reductions, the fetch of a matrix row from L2), some 2 microseconds by an estimate from the instructions'
latencies, not yet measured; it hardly grows with the number of blocks, up to what the card holds at once. A core of a
CPU took 0.8 microseconds for a thousand variables: the GPU pays where blocks are many, or where what surrounds them
(kernel rows, sums of these) is what costs.

Matrices are copied first, each into the order of its variables: then a step reads two rows along their length, and
one launch takes blocks of any matrices. It costs one pass over memory for what takes hundreds of steps.

A block's alpha, gradient, bounds and signs lie in shared memory up to some 1,200 variables, else in global memory.

To be measured on a GPU: the microseconds above; 512 or 1024 threads a block; more shared memory, by leave of the
driver; the next i found while the gradient is moved.
"""

import numpy as np

from fastml.kernels.cuda import _device, arrays
from fastml.kernels.cuda import _smo_kernel as kernel
from fastml.kernels.cuda._smo_arrays import (
    SUM_SHARED_BYTES,
    SUM_THREADS,
    add_rows_kernel,
    gather_kernel,
    pack_kernel,
)
from fastml.kernels.cuda._smo_select import select
from fastml.kernels.cuda._warp import LANES
from fastml.kernels.smo_block import Solved, Stop

__all__ = ["add_rows", "gather", "select", "solve_blocks", "updates_per_call", "value_bytes"]

_STOPS = {
    kernel.CONVERGED: Stop.CONVERGED,
    kernel.MAX_UPDATES: Stop.MAX_UPDATES,
    kernel.STALLED: Stop.STALLED,
}

# Updates in some 0.2 s of blocks of up to a thousand variables that are on the card at once, and blocks that any card
# that these kernels are made for holds at once.
_UPDATES_PER_CALL = 100_000
_BLOCKS_AT_ONCE = 100


def solve_blocks(blocks, tol, max_updates, nu):
    if not blocks:
        return []
    sizes = np.array([len(block.y) for block in blocks])
    starts = _offsets(sizes)
    matrix_starts = _offsets(sizes**2)
    device_starts, device_matrix_starts = arrays.send(starts), arrays.send(matrix_starts)
    K = _packed(blocks, starts, device_starts, device_matrix_starts, int(matrix_starts[-1]))
    host_state = np.zeros((kernel.N_STATE, starts[-1]))
    rows = (kernel.Y, "y"), (kernel.BOUND, "C"), (kernel.ALPHA, "alpha"), (kernel.GRADIENT, "gradient")
    for row, name in rows:
        np.concatenate([getattr(block, name) for block in blocks], out=host_state[row])
    state, results = arrays.send(host_state), _device.empty((len(blocks), 3), np.float64)
    largest = int(sizes.max())
    in_shared = largest <= kernel.MOST_IN_SHARED
    configuration = (
        len(blocks),
        kernel.solve_threads(largest),
        _device.stream(),
        kernel.shared_bytes(largest, in_shared),
    )
    kernel.solve_kernel(bool(nu), in_shared)[configuration](
        K, device_starts, device_matrix_starts, state, float(tol), int(max_updates), results
    )
    changed = arrays.fetch(state[kernel.ALPHA : kernel.GRADIENT + 1])
    for block, first, end in zip(blocks, starts, starts[1:]):
        block.alpha[:], block.gradient[:] = changed[:, first:end]
    return [
        Solved(int(n_updates), float(violation), _STOPS[int(stop)])
        for n_updates, violation, stop in arrays.fetch(results)
    ]


def add_rows(decision, K, slots, coefficients):
    if len(coefficients) == 0 or len(decision) == 0:
        return
    if slots is None:
        slots = np.arange(len(coefficients), dtype=np.int32)
    n_blocks = -(-len(decision) // LANES)
    add_rows_kernel[n_blocks, SUM_THREADS, _device.stream(), SUM_SHARED_BYTES](
        decision, _device.strided(K), arrays.send(slots), arrays.send(coefficients)
    )


def gather(K, slots, columns, out):
    if len(slots) == 0 or len(columns) == 0:
        return
    threads = _device.threads(len(columns))
    grid = _device.grid(-(-len(columns) // threads)), _device.grid(len(slots))
    gather_kernel[grid, threads, _device.stream()](
        _device.strided(K), arrays.send(slots), arrays.send(columns), _device.strided(out)
    )


def updates_per_call(sizes):
    waves = 1 + len(sizes) // _BLOCKS_AT_ONCE
    return max(1, int(_UPDATES_PER_CALL / (waves * (1 + max(sizes) / 1000))))


def value_bytes(cache_bytes):
    """Half of what is free, and the cache's bytes at least: these bound the host's memory, which holds no values."""
    free = _device.free_bytes()
    return cache_bytes if free is None else max(cache_bytes, free // 2)


def _offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes)])


def _packed(blocks, starts, device_starts, device_matrix_starts, n_values):
    """All blocks' matrices, one after another; of one dtype, which changes no value."""
    dtype = np.result_type(*(block.K.dtype for block in blocks))
    packed = _device.empty(n_values, dtype)
    index = np.concatenate(
        [np.arange(len(b.y), dtype=np.int32) if b.index is None else b.index for b in blocks]
    )
    index = arrays.send(index)
    sharing = {}
    for k, block in enumerate(blocks):
        sharing.setdefault(id(block.K), []).append(k)
    for own in sharing.values():
        largest = int(max(starts[k + 1] - starts[k] for k in own))
        if largest == 0:
            continue
        grid = len(own), _device.grid(largest)
        pack_kernel[grid, _device.threads(largest), _device.stream()](
            _device.strided(blocks[own[0]].K),
            index,
            arrays.send(np.array(own, np.int32)),
            device_starts,
            device_matrix_starts,
            packed,
        )
    return packed
