"""Variables raised to their bounds one after another: where constrained sums begin."""

import numpy as np


def spend(totals, room, group, key=None):
    """Raise variables, each as far as it has room, until their group's total is spent.

    Parameters
    ----------
    totals : ndarray of float64, shape (n_groups,)
        None is negative.
    room : ndarray of float64, shape (n_variables,)
    group : ndarray of int, shape (n_variables,)
    key : ndarray of float64, shape (n_variables,), or None
        Those with the least come first in their group; None: in the order given.

    Returns
    -------
    ndarray of float64, shape (n_variables,)
    """
    order = np.argsort(group, kind="stable") if key is None else np.lexsort((key, group))
    room, group = room[order], group[order]
    sizes = np.bincount(group, minlength=len(totals))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    reached = np.concatenate([[0.0], np.cumsum(room)])
    # One sum runs over all groups, and its rounding with it: it only decides how many variables are filled.
    filled = reached[1:] - reached[starts[group]] <= totals[group]
    spent = np.where(filled, room, 0.0)
    next_one = starts[:-1] + np.bincount(group, filled, minlength=len(totals)).astype(np.intp)
    partly = np.flatnonzero(next_one < starts[1:])
    rest = totals - np.bincount(group, spent, minlength=len(totals))
    spent[next_one[partly]] = np.clip(rest[partly], 0.0, room[next_one[partly]])
    in_order = np.empty_like(spent)
    in_order[order] = spent
    return in_order
