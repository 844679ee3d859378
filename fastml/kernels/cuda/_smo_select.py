"""The working set, by sorting on the device; the rows of candidates take turns on the host."""

import numpy as np

from fastml.kernels.cuda import _device, arrays


def select(decision, index, y, p, C, alpha, kept, size, nu):
    xp = _device.array_module()
    index, y, p, C, alpha = (arrays.send(value) for value in (index, y, p, C, alpha))
    gradient = (decision if index is None else decision[index]) + y * p
    above_zero, below_C = alpha > 0, alpha < C
    grows = xp.where(y > 0, below_C, above_zero)
    shrinks = xp.where(y > 0, above_zero, below_C)
    taken = xp.zeros(len(y), bool)
    if len(kept):
        taken[arrays.send(np.asarray(kept, np.int32))] = True
    rising, falling, violations = [], [], []
    wanted = max(0, size - len(kept))
    for group in (y > 0, y < 0) if nu else (xp.ones(len(y), bool),):
        up, down = group & grows, group & shrinks
        least = xp.where(up, gradient, np.inf).min()
        greatest = xp.where(down, gradient, -np.inf).max()
        violations.append(greatest - least)
        rising.append(_first(xp, gradient, up & (gradient < greatest) & ~taken, wanted))
        falling.append(_first(xp, -gradient, down & (gradient > least) & ~taken, wanted))
    rows = arrays.fetch(xp.stack(rising + falling))
    violation = max(-np.inf, *(float(value) for value in arrays.fetch(xp.stack(violations))))
    return _in_turn([int(variable) for variable in kept], rows, size), violation


def _first(xp, keys, candidates, wanted):
    """The candidates with the least keys, in this order, -1 after the last.

    As many as are wanted in all: what a row gives, and what it skips since another row gave it, is in the set.
    """
    keys = xp.where(candidates, keys, np.inf)
    order = xp.argsort(keys, kind="stable")[:wanted]
    return xp.where(candidates[order], order, -1)


def _in_turn(chosen, rows, size):
    """The kept ones, then the rows' best ones in turn, none twice."""
    held = set(chosen)
    rows = [[int(variable) for variable in row if variable >= 0][::-1] for row in rows]
    while len(chosen) < size and any(rows):
        for row in rows:
            while row and row[-1] in held:
                row.pop()
            if row and len(chosen) < size:
                held.add(row[-1])
                chosen.append(row.pop())
    return np.array(chosen, np.int32)
