"""Large weights of dense layers are updated as their gradients are made.

A step of training passes over such weights again and again: for the gradient to the input, to make their own, to add a
penalty's, to update them. Done for all rows of a matrix each, every pass brings megabytes from beyond the second-level
cache. Joined, they are done for some rows after the other: what one has written the next finds in the cache, and one
thread waits for memory while another multiplies. For 5408 x 128 weights, batches of 128 and Adam, on two cores with
AVX-512, both gradients and the update take 1.71 ms joined, 1.86 apart; for 784 x 128 0.29 and 0.30. (On one core there
is no difference.)

A step is moved only if no step that it overtakes touches what it writes. What it reads besides is not written by steps:
rates and strengths are set between runs.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastml.kernels.cpu import _dense, _layers, dense, optimizer
from fastml.kernels.cpu._runtime import Operation

Step = tuple[Any, tuple]  # a kernel function, or any other

LEAST = 1 << 16  # elements of weights; fewer stay in the cache by themselves
PART = 1 << 15  # elements of a part: those of six arrays are in the second-level cache at a time
PARTS = 12  # at least, for threads to share, if units of COLUMNS rows are that many
COLUMNS = 32  # of W, or a multiple: gradients to the input are made so many columns at a time

_UPDATES = (optimizer.adagrad, optimizer.adam, optimizer.rmsprop, optimizer.sgd)


class _Joint(NamedTuple):
    """Steps by their numbers, and the elements of the update's arrays that belong to the weights."""

    weights: int
    gradient_input: int | None
    ridge: int | None
    start: int
    stop: int


def joined(steps: Sequence[Step]) -> list[Step | Operation]:
    """The same steps, some of them replaced by operations that do the work of several.

    Parameters
    ----------
    steps : sequence of (function, args)
        As given to ``plan.compile``.
    """
    made: dict[int, list[Step | Operation]] = {}
    for number, (function, args) in enumerate(steps):
        if function not in _UPDATES:
            continue
        joints = [joint for i in range(number) if (joint := _joint(steps, i, number)) is not None]
        for joint in joints:
            made[joint.weights] = [_operation(steps, joint, number)]
            made.update((i, []) for i in (joint.gradient_input, joint.ridge) if i is not None)
        if joints:
            made[number] = _rest(function, args, joints)
    return [new for i, step in enumerate(steps) for new in made.get(i, [step])]


def _joint(steps: Sequence[Step], maker: int, update: int) -> _Joint | None:
    """What can be joined to step ``maker`` if that makes a gradient for step ``update``."""
    if steps[maker][0] is not dense.gradient_weights:
        return None
    X, dout, dW = steps[maker][1][:3]
    w, g, *states = (array for array in steps[update][1][:-1] if array is not None)
    if dW.size < LEAST or dW.dtype != g.dtype or not np.may_share_memory(dW, g):
        return None
    start = (dW.ctypes.data - g.ctypes.data) // g.itemsize
    stop = start + dW.size
    if start < 0 or stop > g.size:
        return None
    weights, gradient = w[start:stop], g[start:stop]
    written = [weights, gradient, *(state[start:stop] for state in states)]
    gradient_input = ridge = None
    for i in range(maker + 1, update):
        function, args = steps[i]
        if i == maker + 1 and function is dense.gradient_input and _is(args[1], weights):
            if _touches((X, dout, *written), args[2]):
                return None
            gradient_input = i
        elif function is optimizer.add_ridge and _is(args[0], weights) and _is(args[1], gradient):
            ridge = i
            written.append(args[3])
        elif not hasattr(function, "operation") or any(_touches(args, array) for array in written):
            return None
    return _Joint(maker, gradient_input, ridge, start, stop)


def _operation(steps: Sequence[Step], joint: _Joint, update: int) -> Operation:
    X, dout, dW, dbias = steps[joint.weights][1]
    n_rows, n_columns = dW.shape
    unit = max(COLUMNS, PART // n_columns // COLUMNS * COLUMNS)
    while unit > COLUMNS and -(-n_rows // unit) < PARTS:
        unit = max(COLUMNS, unit // 2 // COLUMNS * COLUMNS)
    operations = []
    if joint.gradient_input is not None:
        operations.append(_dense.gradient_input(*steps[joint.gradient_input][1], unit=unit))
    operations.append(_dense.gradient_weights(X, dout, dW, dbias, unit=unit))
    if joint.ridge is not None:
        operations.append(_layers.add_ridge(*steps[joint.ridge][1], part_size=unit * n_columns))
    function, args = steps[update]
    part = _part(args, joint.start, joint.stop)
    return Operation.joined([*operations, function.operation(*part, part_size=unit * n_columns)])


def _rest(function: Any, args: tuple, joints: Sequence[_Joint]) -> list[Step]:
    """The update of the elements that have not been updated yet."""
    ends = [
        0,
        *(end for joint in sorted(joints, key=lambda of: of.start) for end in (joint.start, joint.stop)),
    ]
    ends.append(args[0].size)
    return [(function, _part(args, a, b)) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]


def _part(args: tuple, start: int, stop: int) -> tuple:
    """An update's arguments, for some elements: all but the last are vectors or None."""
    return (*(None if array is None else array[start:stop] for array in args[:-1]), args[-1])


def _is(array: np.ndarray, other: np.ndarray) -> bool:
    return array.ctypes.data == other.ctypes.data and array.nbytes == other.nbytes


def _touches(args: Sequence[Any], array: np.ndarray) -> bool:
    return any(isinstance(arg, np.ndarray) and np.may_share_memory(arg, array) for arg in args)
