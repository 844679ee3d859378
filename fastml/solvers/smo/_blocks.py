"""Problems that are one block each: their kernel matrix at once, no outer loop."""

import numpy as np

from fastml.kernels.smo_block import Blocks, Stop
from fastml.solvers.smo._folds import start_of_folds
from fastml.solvers.smo._problem import EPSILON, joined, solutions_at


def solve_as_blocks(smo, values, problems, tol, limit, n_bytes, bar):
    """Solve small problems side by side, then their folds.

    Where one matrix of all their rows is no more work than one for each, they share it: in a one-vs-one classifier
    of K classes, each pair of rows stands in one problem (different classes) or in K - 1 (the same class).

    Parameters
    ----------
    smo : module
        The kernel family ``smo`` of a backend.
    values : KernelValues
    problems : Problems
    tol : float
    limit : int
        Pair updates per problem, at most.
    n_bytes : float
        For kernel values, at most; each problem's matrix fits in twice.
    bar : ProgressBar

    Returns
    -------
    Solutions
    """
    if _share_a_matrix(values, problems, n_bytes):
        groups = [np.arange(len(problems.starts) - 1)]
    else:
        groups = [np.array([k]) for k in range(len(problems.starts) - 1)]
    parts = []
    for numbers in groups:
        own = problems.some(numbers)
        parts.append(_Group(smo, values, own.rows, n_bytes, bar).solve(own, tol, limit))
    return joined(parts, groups)


def _share_a_matrix(values, problems, n_bytes):
    """Whether they do. A block's solution may copy its matrix."""
    copies = float((problems.sizes**2).sum())
    if len(problems.starts) == 2:
        return True
    used = np.zeros(values.n_samples, bool)
    used[problems.rows] = True
    shared = float(np.count_nonzero(used)) ** 2
    return shared <= copies and (shared + copies) * values.dtype.itemsize <= n_bytes


class _Group:
    """Problems on one kernel matrix, that of these rows."""

    def __init__(self, smo, values, rows, n_bytes, bar):
        if not (rows[1:] > rows[:-1]).all():
            used = np.zeros(values.n_samples, bool)
            used[rows] = True
            rows = np.flatnonzero(used).astype(np.int32)
        self.smo, self.arrays, self.bar = smo, values.arrays, bar
        self.K = _matrix(values, rows)
        self.place = np.empty(rows[-1] + 1, np.int32)
        self.place[rows] = np.arange(len(rows), dtype=np.int32)
        self.copied_values = n_bytes / values.dtype.itemsize - len(rows) ** 2

    def solve(self, problems, tol, limit):
        """The problems, then what folds they have, from where they ended."""
        blocks = self._blocks(problems, problems.alpha.copy())
        self._refresh(problems, blocks)
        solutions = self._solve(problems, blocks, tol, limit)
        if not problems.folds:
            return solutions
        self._refresh(problems, blocks)  # lest they start with the rounding of all updates so far
        n_values = float((problems.sizes**2).sum())
        n_at_once = max(1, int(self.copied_values // n_values))
        n_problems = len(problems.starts) - 1
        folds = []
        for first in range(0, len(problems.folds), n_at_once):
            some = problems.folds[first : first + n_at_once]
            together = _side_by_side(some)
            solved = self._solve(together, self._fold_blocks(together, blocks, len(some)), tol, limit)
            folds += [solved.some(np.arange(n_problems) + k * n_problems) for k in range(len(some))]
        return solutions._replace(folds=tuple(folds))

    def _blocks(self, problems, alpha):
        starts, gradient = problems.starts, np.empty(len(alpha))
        spans = np.column_stack([starts[:-1], starts[1:]])
        return Blocks(self.K, self.place[problems.rows], problems.y, problems.C, alpha, gradient, spans)

    def _refresh(self, problems, blocks):
        """The blocks' gradients anew, from alpha alone; those of all variables."""
        blocks.gradient[:] = problems.y * problems.p
        self._add(blocks, problems.y * blocks.alpha)

    def _fold_blocks(self, folds, wholes, n_folds):
        """The blocks of so many folds, from the whole problems' when these are solved."""
        whole_alpha = np.tile(wholes.alpha, n_folds)
        blocks = self._blocks(folds, np.minimum(whole_alpha, folds.C))
        blocks.gradient[:] = np.tile(wholes.gradient, n_folds)
        self._add(blocks, folds.y * (blocks.alpha - whole_alpha))
        start = start_of_folds(folds, blocks.alpha, blocks.gradient)
        self._add(blocks, folds.y * (start - blocks.alpha))
        blocks.alpha[:] = start
        return blocks

    def _add(self, blocks, moves):
        if moves.any():
            self.smo.add_moves(blocks, moves)

    def _solve(self, problems, blocks, tol, limit):
        sizes = problems.sizes
        n_updates, stop = np.zeros(len(sizes), np.int64), np.full(len(sizes), Stop.MAX_UPDATES, np.int32)
        # Updates move the gradient by C times the largest kernel value at most, and rounding by eps of that: where
        # it may add up to a hundredth of tol, the gradient is computed anew from alpha, once.
        largest = float(np.abs(self.arrays.fetch(self.K.diagonal())).max(initial=0.0))
        with np.errstate(over="ignore"):
            move = EPSILON * largest * np.maximum.reduceat(problems.C, problems.starts[:-1])
        fresh = np.zeros(len(sizes), bool)
        left = np.arange(len(sizes))
        while len(left):
            some = blocks._replace(spans=blocks.spans[left])
            spare = limit - int(n_updates[left].max())
            max_updates = min(spare, self.smo.updates_per_call(sizes[left]))
            solved = self.smo.solve_blocks(some, tol, max_updates, problems.nu)
            n_updates[left] += solved.n_updates
            stop[left] = solved.stop
            self.bar.update(int(solved.n_updates.sum()))
            self.bar.set_postfix_str(f"violation {solved.violation.max():.3g}")
            drifted = ~fresh & (stop == Stop.CONVERGED) & (n_updates * move > 0.01 * tol)
            if drifted.any():
                self._refresh_some(problems, blocks, np.flatnonzero(drifted))
                stop[drifted] = Stop.MAX_UPDATES
                fresh |= drifted
            left = np.flatnonzero((stop == Stop.MAX_UPDATES) & (n_updates < limit))
        return solutions_at(problems, blocks.alpha, blocks.gradient, n_updates, stop != Stop.MAX_UPDATES)

    def _refresh_some(self, problems, blocks, numbers):
        """``_refresh`` of some of the blocks."""
        some = blocks._replace(spans=blocks.spans[numbers], gradient=problems.y * problems.p)
        self._add(some, problems.y * blocks.alpha)
        for first, end in some.spans.tolist():
            blocks.gradient[first:end] = some.gradient[first:end]


def _side_by_side(folds):
    """Folds of the same problems as problems of their own, all of the first fold's before the second's."""
    if len(folds) == 1:
        return folds[0]
    sizes = np.tile(folds[0].sizes, len(folds))
    of_variables = {
        name: np.concatenate([getattr(fold, name) for fold in folds])
        for name in ("rows", "y", "p", "C", "alpha")
    }
    return folds[0]._replace(starts=np.concatenate([[0], np.cumsum(sizes)]), **of_variables)


def _matrix(values, rows):
    if values.precomputed is not None and len(rows) == values.n_samples:
        return values.precomputed
    K = values.arrays.empty((len(rows), len(rows)), values.dtype)
    values.columns(rows).fill(rows, K)
    return K
