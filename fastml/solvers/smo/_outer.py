"""Large problems: a working set by violation, solved as a block, then the decision values of all rows.

Each turn of the loop takes the variables that violate most into a working set, solves them among themselves to a
tenth of the present violation, and adds the kernel rows of those that moved, times their moves, to the decision
values of all rows. Half of a working set, the newer one, stays for the next turn (Wen et al. 2018, section 3.3.1).
"""

import numpy as np

from fastml.kernels.smo_block import Block, Stop
from fastml.solvers.smo._kernel_values import RowCache
from fastml.solvers.smo._problem import solution

LARGEST_WORKING_SET = 1024

# A block is solved to this part of the problem's violation, and to tol at last.
BLOCK_TOLERANCE = 0.1


def solve_in_blocks(smo, values, problem, tol, limit, n_bytes, bar):
    """Solve one problem of any size.

    Parameters
    ----------
    smo : module
        The kernel family ``smo`` of a backend.
    values : KernelValues
    problem : Problem
    tol : float
    limit : int
        Pair updates, at most.
    n_bytes : float
        For kernel values, at most.
    bar : ProgressBar

    Returns
    -------
    Solution
    """
    return _Outer(smo, values, problem, n_bytes, bar).solve(tol, limit)


class _Outer:
    def __init__(self, smo, values, problem, n_bytes, bar):
        self.smo, self.problem, self.bar = smo, problem, bar
        self.rows = np.unique(problem.rows)
        self.index = None
        if not np.array_equal(self.rows, problem.rows):
            self.index = np.searchsorted(self.rows, problem.rows).astype(np.int32)
        self.values = values
        self.columns = values.columns(self.rows)
        self.working_set_size = _working_set_size(len(problem.rows), n_bytes / values.dtype.itemsize)
        # A block's matrix, and its rows in the order of the block's variables.
        block_bytes = 2 * self.working_set_size**2 * values.dtype.itemsize
        self.cache = RowCache(self.columns, n_bytes - block_bytes)
        self.alpha = problem.alpha.copy()
        self.decision = np.zeros(len(self.rows))
        self.n_updates = self.n_turns = 0

    def solve(self, tol, limit):
        problem = self.problem
        moving = np.flatnonzero(self.alpha)
        self._add(moving, problem.y[moving] * self.alpha[moving])
        working_set, stalled = np.empty(0, np.int32), False
        while True:
            kept = (
                working_set[len(working_set) // 2 :]
                if len(working_set) == self.working_set_size
                else working_set
            )
            working_set, violation = self.smo.select(
                self.decision, self.index, problem.y, problem.p, problem.C, self.alpha,
                kept, self.working_set_size, problem.nu,
            )  # fmt: skip
            self.bar.set_postfix_str(f"violation {violation:.3g}")
            converged = not violation > tol or stalled
            if converged or self.n_updates >= limit:
                break
            self.n_turns += 1
            stalled = self._improve(working_set, max(tol, BLOCK_TOLERANCE * violation), limit)
        gradient = self._gradient(slice(None))
        return solution(problem, self.alpha, gradient, self.n_updates, converged)

    def _gradient(self, variables):
        of_rows = self.decision[variables if self.index is None else self.index[variables]]
        return of_rows + self.problem.y[variables] * self.problem.p[variables]

    def _improve(self, working_set, tol, limit):
        """Solve the block of these variables, and bring all decision values up to date; whether nothing moved."""
        problem = self.problem
        rows = working_set if self.index is None else self.index[working_set]
        distinct, index = np.unique(rows, return_inverse=True)
        K = np.empty((len(distinct), len(distinct)), self.values.dtype)
        self.values.columns(self.rows[distinct]).fill(self.rows[distinct], K)
        before = self.alpha[working_set]
        block = Block(
            K, index.astype(np.int32), problem.y[working_set], problem.C[working_set], before.copy(),
            self._gradient(working_set),
        )  # fmt: skip
        max_updates = self.smo.updates_per_call([len(working_set)])
        stop = Stop.MAX_UPDATES
        while stop is Stop.MAX_UPDATES and self.n_updates < limit:
            left = min(max_updates, limit - self.n_updates)
            ((n_updates, _, stop),) = self.smo.solve_blocks([block], tol, left, problem.nu)
            self.n_updates += n_updates
            self.bar.update(n_updates)
        self.alpha[working_set] = block.alpha
        moves = block.y * (block.alpha - before)
        self._add(working_set, moves)
        return not moves.any()

    def _add(self, variables, moves):
        """decision += the kernel rows of these variables, times how far they moved."""
        rows = variables if self.index is None else self.index[variables]
        distinct, index = np.unique(rows, return_inverse=True)
        moves = np.bincount(index, moves, len(distinct))
        moving = np.flatnonzero(moves)
        distinct, moves = distinct[moving].astype(np.int32), moves[moving]
        for first in range(0, len(distinct), self.cache.capacity):
            part = slice(first, first + self.cache.capacity)
            slots = self.cache.slots(distinct[part])
            self.smo.add_rows(self.decision, self.cache.buffer, slots, moves[part])


def _working_set_size(n_variables, n_values):
    """As many variables as a block's matrix leaves three quarters of the kernel values for rows; 2 at least."""
    fitting = int(np.sqrt(n_values / 8))
    return min(n_variables, LARGEST_WORKING_SET, max(2, fitting) // 2 * 2)
