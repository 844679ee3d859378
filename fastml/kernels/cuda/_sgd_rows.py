"""The vector half of one SGD step: the loops in which a thread visits its share of a row or of the weights.

Where weights and row lie depends on the layout:

``RESIDENT``
    Dense rows of up to ``MAX_PER_LANE`` features a thread. Thread i owns features i, i + lanes, ...; their
    weights, and the row's values, are in registers, and slot and entry are both just the position there. Past
    the last feature there are zeros, which change nothing.
``STREAMED``
    Wider dense rows. The same owners, but weights and row stay in global memory, close by in L1 and L2.
``SPARSE``
    CSR rows. Thread i takes entries i, i + lanes, ... of the row; weights are gathered from global memory. A
    column occurs once in a row, so no two threads meet in a weight and no atomics are
    needed; but a weight changes hands from row to row, so updates end with a barrier.
"""

from typing import NamedTuple

from numba import float64

from fastml.kernels.cuda._sgd_scalars import AVERAGE_A, AVERAGE_B, WSCALE
from fastml.kernels.cuda._warp import device_function

RESIDENT, STREAMED, SPARSE = "resident", "streamed", "sparse"
MAX_PER_LANE = 8


class Share(NamedTuple):
    """Device functions that say which part of a row is this thread's.

    ``n_entries(start, end, lane, lanes)``: how many; ``entry(i, first, lanes)``: where the i-th lies in the
    row's array, counted from the thread's ``first``; ``slot(i, first, lane, lanes, indices)``: where its
    weight lies.
    """

    n_entries: object
    entry: object
    slot: object


class Loops(NamedTuple):
    """Device functions over a thread's share of a row."""

    dot: object
    square: object
    move: object
    average: object
    truncate: object


def share_of_row(layout, per_lane):
    """``Share`` of a layout; ``per_lane`` is the number of features a thread holds, of a resident one."""
    resident, sparse = layout == RESIDENT, layout == SPARSE

    @device_function
    def n_entries(start, end, lane, lanes):
        return per_lane if resident else (end - start - lane + lanes - 1) // lanes

    @device_function
    def entry(i, first, lanes):
        return i if resident else first + i * lanes

    @device_function
    def slot(i, first, lane, lanes, indices):
        if resident:
            return i
        return indices[first + i * lanes] if sparse else lane + i * lanes

    return Share(n_entries, entry, slot)


def row_loops(share, zero):
    """``Loops`` over a layout. ``zero`` is the 0 of the weights' dtype: a thread's own products are summed in
    that dtype, everything else in float64.
    """
    entry, slot = share.entry, share.slot

    @device_function
    def dot(w, x, n, first, lane, lanes, indices):
        total = zero
        for i in range(n):
            total += w[slot(i, first, lane, lanes, indices)] * x[entry(i, first, lanes)]
        return float64(total)

    @device_function
    def square(x, n, first, lanes):
        """Sum of squares, and whether any value is not zero: the sum may underflow."""
        total, any_value = 0.0, False
        for i in range(n):
            value = float64(x[entry(i, first, lanes)])
            total += value * value
            any_value = any_value or value != 0.0
        return total, any_value

    @device_function
    def move(w, x, length, wscale, n, first, lane, lanes, indices):
        """Add ``length`` x to the weights. Returns what they now give to the two norms."""
        sq_norm, l1_norm = 0.0, 0.0
        for i in range(n):
            j = slot(i, first, lane, lanes, indices)
            w[j] += length * x[entry(i, first, lanes)]
            weight = wscale * float64(w[j])
            sq_norm += weight * weight
            l1_norm += abs(weight)
        return sq_norm, l1_norm

    @device_function
    def average(a, x, length, n, first, lane, lanes, indices):
        for i in range(n):
            a[slot(i, first, lane, lanes, indices)] += length * x[entry(i, first, lanes)]

    @device_function
    def truncate(w, q, wscale, cumulative_l1, n, first, lane, lanes, indices):
        for i in range(n):
            j = slot(i, first, lane, lanes, indices)
            before, applied = wscale * float64(w[j]), float64(q[j])
            after = before
            if before > 0.0:
                after = before - (cumulative_l1 + applied)
                after = after if after > 0.0 else 0.0
            elif before < 0.0:
                after = before + (cumulative_l1 - applied)
                after = after if after < 0.0 else 0.0
            w[j] = after / wscale
            q[j] = applied + (after - before)

    return Loops(dot, square, move, average, truncate)


@device_function
def fold_weights(w, a, averaged, s, begin, end, stride):
    """Fold the scalars into the weights begin, begin + stride, ...; the caller resets the scalars."""
    for j in range(begin, end, stride):
        if averaged:
            a[j] = (float64(a[j]) + s[AVERAGE_A] * float64(w[j])) / s[AVERAGE_B]
        w[j] = float64(w[j]) * s[WSCALE]


@device_function
def load(registers, array, offset, n_features, lane, lanes):
    """Fill the registers with this thread's features of the row at ``offset``, and zeros past the last."""
    for i in range(len(registers)):
        j = lane + i * lanes
        registers[i] = array[offset + j] if j < n_features else 0.0


@device_function
def store(array, registers, n_features, lane, lanes):
    for i in range(len(registers)):
        j = lane + i * lanes
        if j < n_features:
            array[j] = registers[i]
