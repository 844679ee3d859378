"""Sums and minima over a thread block, and all that a kernel cannot say alike on a GPU and in Numba's simulator.

A sum over a block takes two steps with one barrier of the caller's between them: each warp adds its lanes by
shuffles and deposits the result in its slot; after the barrier every thread collects all slots in the same
order, so that every thread holds the same bits and may branch on them. Slots are used in two turns, which
makes one barrier per sum enough: a slot is written again two barriers later, when every thread has read it.

A kernel declares the slots as ``cuda.shared.array(SLOTS, float64)``.

The least of values and where it lies (`deposit_least`, `collect_least`) works likewise, in ``LEAST_SLOTS`` values of
the kernel's dynamic shared memory, one after another; there the caller sees to it that a barrier lies between the
last collection of a row and the next deposit in it.

The simulator has no shuffles: there every thread deposits for itself, and who collects adds them all.
"""

import numpy as np
from numba import config, cuda

SIMULATOR = bool(config.ENABLE_CUDASIM)
LANES = 32
MAX_WARPS = 8
MAX_THREADS = LANES * MAX_WARPS
SLOTS = (2, 3, MAX_WARPS)  # turn, sum that shares the barrier, warp
LEAST_ROWS = 4  # minima in use at once
LEAST_SLOTS = LEAST_ROWS * 2 * MAX_WARPS  # value and index of each warp
NOWHERE = 2**31 - 1  # index of a thread that has no candidate: its value is inf

_FULL_MASK = 0xFFFFFFFF

if SIMULATOR:
    # Private, but the only way to the running block from a function of another module: the simulator
    # exchanges the name ``cuda`` in a function's module while a kernel runs, which races between modules.
    from numba.cuda.simulator.kernel import _get_kernel_context

    def device_function(function):
        """Mark a function as called from kernels; it must not use ``cuda`` itself."""
        return function

    def _deposits():
        """The running block and what its threads deposit.

        Not the slots that the kernel declared: the simulator's look-up of shared arrays is slow, and races.
        """
        block = _get_kernel_context()
        return block, vars(block).setdefault("deposits", np.empty((*SLOTS[:2], MAX_THREADS)))

    def deposit(value, slots, turn, which):
        """Put the warp's sum of ``value`` into its slot. Called by every thread of the block."""
        block, deposits = _deposits()
        deposits[turn, which, block.threadIdx.x] = value

    def collect(slots, turn, which):
        """The block's sum, once a barrier has passed since ``deposit``."""
        block, deposits = _deposits()
        return deposits[turn, which, : block.blockDim.x].sum()

    def _candidates():
        block = _get_kernel_context()
        return block, vars(block).setdefault("candidates", np.empty((LEAST_ROWS, 2, MAX_THREADS)))

    def deposit_least(value, index, slots, row):
        """Put the warp's least value into its slot, with its index: the least of these among equals."""
        block, candidates = _candidates()
        candidates[row, :, block.threadIdx.x] = value, index

    def collect_least(slots, row):
        """The block's least value and its index, once a barrier has passed since ``deposit_least``."""
        block, candidates = _candidates()
        values, indices = candidates[row, :, : block.blockDim.x]
        least = np.lexsort((indices, values))[0]
        return values[least], int(indices[least])

else:
    device_function = cuda.jit(device=True, forceinline=True)

    @device_function
    def _warp_sum(value):
        for offset in (16, 8, 4, 2, 1):
            value += cuda.shfl_xor_sync(_FULL_MASK, value, offset)
        return value

    @device_function
    def deposit(value, slots, turn, which):
        total = _warp_sum(value)
        if cuda.threadIdx.x % LANES == 0:
            slots[turn, which, cuda.threadIdx.x // LANES] = total

    @device_function
    def collect(slots, turn, which):
        total = slots[turn, which, 0]
        for warp in range(1, cuda.blockDim.x // LANES):
            total += slots[turn, which, warp]
        return total

    @device_function
    def deposit_least(value, index, slots, row):
        for offset in (16, 8, 4, 2, 1):
            other = cuda.shfl_xor_sync(_FULL_MASK, value, offset)
            other_index = cuda.shfl_xor_sync(_FULL_MASK, index, offset)
            if other < value or (other == value and other_index < index):
                value, index = other, other_index
        if cuda.threadIdx.x % LANES == 0:
            slot = 2 * row * MAX_WARPS + cuda.threadIdx.x // LANES
            slots[slot] = value
            slots[slot + MAX_WARPS] = index

    @device_function
    def collect_least(slots, row):
        first = 2 * row * MAX_WARPS
        value, index = slots[first], slots[first + MAX_WARPS]
        for warp in range(1, cuda.blockDim.x // LANES):
            other, other_index = slots[first + warp], slots[first + MAX_WARPS + warp]
            if other < value or (other == value and other_index < index):
                value, index = other, other_index
        return value, np.int32(index)
