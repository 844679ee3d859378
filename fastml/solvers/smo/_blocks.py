"""Problems that are one block each: their kernel matrix at once, no outer loop."""

from typing import Any

import numpy as np

from fastml.kernels.smo_block import Block, Stop
from fastml.solvers.smo._folds import start_of_fold
from fastml.solvers.smo._problem import solution


def solve_as_blocks(smo, values, problems, tol, limit, n_bytes, bar):
    """Solve small problems side by side, then their folds.

    Where one matrix of all their rows is no more work than one for each, they share it: in a one-vs-one classifier
    of K classes, each pair of rows stands in one problem (different classes) or in K - 1 (the same class).

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
        group = _Group(smo, values, rows, n_bytes, bar)
        for k, solved in zip(members, group.solve([problems[k] for k in members], tol, limit)):
            solutions[k] = solved
    return solutions


def _sharing(values, problems, n_bytes):
    """The problems in groups, by their places in the list, each group with the rows of a matrix that serves it."""
    alone = [([k], _distinct(problem.rows)) for k, problem in enumerate(problems)]
    if len(alone) < 2:
        return alone
    used = np.zeros(values.n_samples, bool)
    for _, rows in alone:
        used[rows] = True
    shared = np.count_nonzero(used) ** 2
    # A block's solution may copy its matrix.
    copies = sum(len(problem.rows) ** 2 for problem in problems)
    if (
        shared > sum(len(rows) ** 2 for _, rows in alone)
        or (shared + copies) * values.dtype.itemsize > n_bytes
    ):
        return alone
    return [(list(range(len(problems))), np.flatnonzero(used).astype(np.int32))]


def _distinct(rows):
    """Each row once, in order; they mostly are."""
    return rows if (rows[1:] > rows[:-1]).all() else np.unique(rows)


class _Group:
    """Problems on one kernel matrix."""

    def __init__(self, smo, values, rows, n_bytes, bar):
        self.smo, self.arrays, self.rows, self.bar = smo, values.arrays, rows, bar
        self.K = _matrix(values, rows)
        self.place = np.empty(rows[-1] + 1, np.int32)
        self.place[rows] = np.arange(len(rows), dtype=np.int32)
        self.copied_values = n_bytes / values.dtype.itemsize - len(rows) ** 2

    def solve(self, problems, tol, limit):
        """The problems, then what folds they have, from where they ended."""
        blocks = [self._block(problem) for problem in problems]
        wholes = self._solve(problems, blocks, tol, limit)
        for problem, block in zip(problems, blocks):
            if problem.folds:  # lest they start with the rounding of all updates so far
                self._refresh(problem, block)
        folds = [
            (number, fold) for number, problem in enumerate(problems) for fold in range(len(problem.folds))
        ]
        of_problem: list[list[Any]] = [[] for _ in problems]
        for some in self._batches(folds, problems):
            pairs = [(problems[k].folds[fold], blocks[k]) for k, fold in some]
            solved = self._solve(
                [fold for fold, _ in pairs], [self._fold_block(*pair) for pair in pairs], tol, limit
            )
            for (k, _), one in zip(some, solved):
                of_problem[k].append(one)
        return [one._replace(folds=tuple(own)) for one, own in zip(wholes, of_problem)]

    def _batches(self, folds, problems):
        """Runs of folds of which all may be copied; one at least."""
        batch: list[tuple[int, int]] = []
        n_values = 0
        for k, fold in folds:
            size = len(problems[k].rows) ** 2
            if batch and n_values + size > self.copied_values:
                yield batch
                batch, n_values = [], 0
            batch.append((k, fold))
            n_values += size
        if batch:
            yield batch

    def _block(self, problem):
        index = None if self.rows is problem.rows else self.place[problem.rows]
        gradient = np.empty(len(problem.y))
        block = Block(self.K, index, problem.y, problem.C, problem.alpha.copy(), gradient)
        self._refresh(problem, block)
        return block

    def _refresh(self, problem, block):
        """The gradient anew, from alpha alone."""
        block.gradient[:] = problem.y * problem.p
        self._add(block.gradient, block.index, problem.y * block.alpha)

    def _fold_block(self, fold, whole):
        """A fold's block, from the whole problem's when that is solved."""
        alpha, gradient = np.minimum(whole.alpha, fold.C), whole.gradient.copy()
        self._add(gradient, whole.index, fold.y * (alpha - whole.alpha))
        start = start_of_fold(fold, alpha, gradient)
        self._add(gradient, whole.index, fold.y * (start - alpha))
        return Block(self.K, whole.index, fold.y, fold.C, start, gradient)

    def _add(self, gradient, index, moves):
        """gradient += the kernel rows of the variables that moved, times their moves."""
        moved = np.flatnonzero(moves)
        if not len(moved):
            return
        slots = moved.astype(np.int32) if index is None else index[moved]
        decision = self.arrays.send(np.zeros(len(self.K)))
        self.smo.add_rows(decision, self.K, slots, moves[moved])
        decision = self.arrays.fetch(decision)
        gradient += decision if index is None else decision[index]

    def _solve(self, problems, blocks, tol, limit):
        n_updates = np.zeros(len(blocks), np.int64)
        stops = [Stop.MAX_UPDATES] * len(blocks)
        # Updates move the gradient by C times the largest kernel value at most, and rounding by eps of that: where
        # it may add up to a hundredth of tol, the gradient is computed anew from alpha, once.
        most_exact = 0.01 * tol / np.finfo(np.float64).eps
        largest = float(np.abs(self.arrays.fetch(self.K.diagonal())).max(initial=0.0))
        fresh: set[int] = set()
        left = list(range(len(blocks)))
        while left:
            spare = limit - int(n_updates[left].max())
            max_updates = min(spare, self.smo.updates_per_call([len(blocks[k].alpha) for k in left]))
            solved = self.smo.solve_blocks([blocks[k] for k in left], tol, max_updates, problems[0].nu)
            for k, one in zip(left, solved):
                n_updates[k] += one.n_updates
                stops[k] = one.stop
            self.bar.update(sum(one.n_updates for one in solved))
            self.bar.set_postfix_str(f"violation {max(one.violation for one in solved):.3g}")
            for k in left:
                if (
                    stops[k] is Stop.CONVERGED
                    and int(n_updates[k]) * largest * float(blocks[k].C.max()) > most_exact
                    and k not in fresh
                ):
                    self._refresh(problems[k], blocks[k])
                    stops[k] = Stop.MAX_UPDATES
                    fresh.add(k)
            left = [k for k in left if stops[k] is Stop.MAX_UPDATES and n_updates[k] < limit]
        return [
            solution(problem, block.alpha, block.gradient, int(n), stop is not Stop.MAX_UPDATES)
            for problem, block, n, stop in zip(problems, blocks, n_updates, stops)
        ]


def _matrix(values, rows):
    if values.precomputed is not None and len(rows) == values.n_samples:
        return values.precomputed
    K = values.arrays.empty((len(rows), len(rows)), values.dtype)
    values.columns(rows).fill(rows, K)
    return K
