"""Problems that are one block each: their kernel matrix at once, no outer loop."""

from functools import partial
from typing import Any

import numpy as np

from fastml.kernels.smo_block import Block, Stop
from fastml.solvers.smo._problem import solution


def solve_as_blocks(smo, values, problems, tol, limit, n_bytes, bar):
    """Solve small problems side by side.

    Where one matrix of all their rows is no more work than one for each, they share it: in a one-vs-one classifier
    of K classes, each pair of rows stands in one problem (different classes) or in K - 1 (the same class). Else those
    of a family may: a problem and its five folds make one matrix instead of 4.2.

    Parameters
    ----------
    smo : module
        The kernel family ``smo`` of a backend.
    values : KernelValues
    problems : list of Problem
        Either all nu problems or none.
    tol : float
    limit : int
        Pair updates per problem, at most.
    n_bytes : float
        For kernel values, at most; each problem's matrix fits in twice.
    bar : ProgressBar

    Returns
    -------
    list of Solution
    """
    solutions: list[Any] = [None] * len(problems)
    for members, rows in _sharing(values, problems, n_bytes):
        K = _matrix(values, rows)
        group = [problems[k] for k in members]
        solved = _solve_together(smo, values.arrays, K, rows, group, tol, limit, bar)
        for k, one in zip(members, solved):
            solutions[k] = one
    return solutions


def _sharing(values, problems, n_bytes):
    """The problems in groups, by their places in the list, each group with the rows of a matrix that serves it."""
    families: dict[Any, list[tuple[list[int], np.ndarray]]] = {}
    for k, problem in enumerate(problems):
        family = ("alone", k) if problem.family is None else problem.family
        families.setdefault(family, []).append(([k], _distinct(problem.rows)))
    of_families = [
        group for family in families.values() for group in _joined(values, problems, family, n_bytes)
    ]
    return _joined(values, problems, of_families, n_bytes)


def _joined(values, problems, groups, n_bytes):
    """The groups as one, where one matrix is no more work than theirs and fits; else as they are."""
    if len(groups) < 2:
        return groups
    members = [k for of_group, _ in groups for k in of_group]
    used = np.zeros(values.n_samples, bool)
    for _, rows in groups:
        used[rows] = True
    shared = np.count_nonzero(used) ** 2
    copies = sum(len(problems[k].rows) ** 2 for k in members)
    if (
        shared > sum(len(rows) ** 2 for _, rows in groups)
        or (shared + copies) * values.dtype.itemsize > n_bytes
    ):
        return groups
    return [(members, np.flatnonzero(used).astype(np.int32))]


def _distinct(rows):
    """Each row once, in order; they mostly are."""
    return rows if (rows[1:] > rows[:-1]).all() else np.unique(rows)


def _matrix(values, rows):
    if values.precomputed is not None and len(rows) == values.n_samples:
        return values.precomputed
    K = values.arrays.empty((len(rows), len(rows)), values.dtype)
    values.columns(rows).fill(rows, K)
    return K


def _solve_together(smo, arrays, K, rows, problems, tol, limit, bar):
    nu = problems[0].nu
    place = np.empty(rows[-1] + 1, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    gradient = partial(_gradient, smo, arrays, K)
    blocks = [_block(K, rows, place, problem, gradient) for problem in problems]
    n_updates = np.zeros(len(blocks), np.int64)
    stops = [Stop.MAX_UPDATES] * len(blocks)
    # Updates move the gradient by C times the largest kernel value at most, and rounding by eps of that: where it may
    # add up to a hundredth of tol, the gradient is computed anew from alpha, once.
    most_exact = 0.01 * tol / np.finfo(np.float64).eps
    largest = float(np.abs(arrays.fetch(K.diagonal())).max(initial=0.0))
    fresh: set[int] = set()
    left = list(range(len(blocks)))
    while left:
        spare = limit - int(n_updates[left].max())
        max_updates = min(spare, smo.updates_per_call([len(blocks[k].alpha) for k in left]))
        solved = smo.solve_blocks([blocks[k] for k in left], tol, max_updates, nu)
        for k, one in zip(left, solved):
            n_updates[k] += one.n_updates
            stops[k] = one.stop
        bar.update(sum(one.n_updates for one in solved))
        bar.set_postfix_str(f"violation {max(one.violation for one in solved):.3g}")
        for k in left:
            if (
                stops[k] is Stop.CONVERGED
                and n_updates[k] * largest * blocks[k].C.max() > most_exact
                and k not in fresh
            ):
                blocks[k].gradient[:] = gradient(blocks[k].index, problems[k], blocks[k].alpha)
                stops[k] = Stop.MAX_UPDATES
                fresh.add(k)
        left = [k for k in left if stops[k] is Stop.MAX_UPDATES and n_updates[k] < limit]
    return [
        solution(problem, block.alpha, block.gradient, int(n), stop is not Stop.MAX_UPDATES)
        for problem, block, n, stop in zip(problems, blocks, n_updates, stops)
    ]


def _block(K, rows, place, problem, gradient):
    index = None if rows is problem.rows else place[problem.rows]
    alpha = problem.alpha.copy()
    return Block(K, index, problem.y, problem.C, alpha, gradient(index, problem, alpha))


def _gradient(smo, arrays, K, index, problem, alpha):
    gradient = problem.y * problem.p
    if alpha.any():
        every = np.arange(len(K)) if index is None else index
        decision = arrays.send(np.zeros(len(K)))
        smo.add_rows(decision, K, None, np.bincount(every, problem.y * alpha, len(K)))
        gradient += arrays.fetch(decision)[every]
    return gradient
