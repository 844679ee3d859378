"""Sequential minimal optimisation on the GPU; the contract is ``fastml.kernels.reference.smo``.

A thread block solves a block of variables, and all blocks of a call are one launch: the problems of a one-vs-one
classifier advance together, one to a multiprocessor or several. A step of SMO is a chain of latencies (three barriers,
two reductions, the fetch of a matrix row from L2), some 2 microseconds by an estimate from the instructions'
latencies, not yet measured; it hardly grows with the number of blocks, up to what the card holds at once. A core of a
CPU took 0.8 microseconds for a thousand variables: the GPU pays where blocks are many, or where what surrounds them
(kernel rows, sums of these) is what costs.

Matrices are copied first, each into the order of its variables: then a step reads two rows along their length. It
costs one pass over memory for what takes hundreds of steps.

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
    add_moves_kernel,
    add_rows_kernel,
    gather_kernel,
    pack_kernel,
)
from fastml.kernels.cuda._smo_select import select
from fastml.kernels.cuda._warp import LANES
from fastml.kernels.smo_block import Solved

__all__ = ["add_moves", "add_rows", "gather", "select", "solve_blocks", "updates_per_call", "value_bytes"]

# Updates in some 0.2 s of blocks of up to a thousand variables that are on the card at once, and blocks that any card
# that these kernels are made for holds at once.
_UPDATES_PER_CALL = 100_000
_BLOCKS_AT_ONCE = 100


def solve_blocks(blocks, tol, max_updates, nu):
    n_blocks = len(blocks.spans)
    if not n_blocks:
        return Solved(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int32))
    variables, starts = _variables(blocks.spans)
    sizes = np.diff(starts)
    matrix_starts = _offsets(sizes**2)
    device_starts, device_matrix_starts = arrays.send(starts), arrays.send(matrix_starts)
    K = _packed(blocks, variables, sizes, device_starts, device_matrix_starts, int(matrix_starts[-1]))
    host_state = np.zeros((kernel.N_STATE, len(variables)))
    rows = (kernel.Y, "y"), (kernel.BOUND, "C"), (kernel.ALPHA, "alpha"), (kernel.GRADIENT, "gradient")
    for row, name in rows:
        host_state[row] = getattr(blocks, name)[variables]
    state, results = arrays.send(host_state), _device.empty((n_blocks, 3), np.float64)
    largest = int(sizes.max())
    in_shared = largest <= kernel.MOST_IN_SHARED
    configuration = (
        n_blocks,
        kernel.solve_threads(largest),
        _device.stream(),
        kernel.shared_bytes(largest, in_shared),
    )
    kernel.solve_kernel(bool(nu), in_shared)[configuration](
        K, device_starts, device_matrix_starts, state, float(tol), int(max_updates), results
    )
    blocks.alpha[variables], blocks.gradient[variables] = arrays.fetch(
        state[kernel.ALPHA : kernel.GRADIENT + 1]
    )
    n_updates, violation, stop = arrays.fetch(results).T
    return Solved(n_updates.astype(np.int64), violation.copy(), stop.astype(np.int32))


def add_moves(blocks, moves):
    variables, starts = _variables(blocks.spans)
    if not len(variables):
        return
    largest = int(np.diff(starts).max())
    gradient = arrays.send(blocks.gradient[variables])
    threads = _device.threads(largest)
    grid = len(blocks.spans), _device.grid(-(-largest // threads))
    add_moves_kernel[grid, threads, _device.stream()](
        _device.strided(blocks.K),
        arrays.send(blocks.index[variables]),
        arrays.send(starts),
        arrays.send(moves[variables]),
        gradient,
    )
    blocks.gradient[variables] = arrays.fetch(gradient)


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
    return max(1, int(_UPDATES_PER_CALL / (waves * (1 + np.max(sizes) / 1000))))


def value_bytes(cache_bytes):
    """Half of what is free, and the cache's bytes at least: these bound the host's memory, which holds no values."""
    free = _device.free_bytes()
    return cache_bytes if free is None else max(cache_bytes, free // 2)


def _offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes)])


def _variables(spans):
    """The blocks' variables, one block after another, and where each begins among them."""
    sizes = spans[:, 1] - spans[:, 0]
    starts = _offsets(sizes)
    return np.repeat(spans[:, 0] - starts[:-1], sizes) + np.arange(starts[-1]), starts


def _packed(blocks, variables, sizes, device_starts, device_matrix_starts, n_values):
    """All blocks' matrices, one after another."""
    packed = _device.empty(n_values, blocks.K.dtype)
    if n_values:
        largest = int(sizes.max())
        grid = len(sizes), _device.grid(largest)
        pack_kernel[grid, _device.threads(largest), _device.stream()](
            _device.strided(blocks.K),
            arrays.send(blocks.index[variables]),
            device_starts,
            device_matrix_starts,
            packed,
        )
    return packed
