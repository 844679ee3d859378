"""Large problems: a working set by violation, solved as a block, then the decision values of all rows.

Each turn of the loop takes the variables that violate most into a working set, solves them among themselves to a
tenth of the present violation, and adds the kernel rows of those that moved, times their moves, to the decision
values of all rows. Half of a working set, the newer one, stays for the next turn (Wen et al. 2018, section 3.3.1).
"""

import numpy as np

from fastml.kernels.smo_block import Block, Stop
from fastml.solvers.smo._kernel_values import RowCache
from fastml.solvers.smo._problem import solution

# Variables in a working set, for each variable on a row. On 26,000 rows of a9a (C = 1, gamma = 0.05), 512 take 94
# turns and compute 12,600 rows' worth of kernel values, 1024 take 37 and 12,900, 2048 take 20 and 14,100, most of
# what is more in the blocks' matrices. In regression, where rows have two variables and more of them end up free
# (20,000 rows, 8,100 free), 2048 take 82 turns for 1024's 211, and two thirds of the time. An eighth of the rows is
# enough: on 4,000 rows of MNIST, 512 take 20 to 30 % less time than 1024.
LARGEST_WORKING_SET = 1024

# Decision values are computed anew where rounding may have moved them by more than this part of tol.
DRIFT = 0.01
EPSILON = float(np.finfo(np.float64).eps)

# Rows and columns that a block's buffers may have besides.
PADDING = 64

# A block is solved to this part of the problem's violation, and to tol at last.
BLOCK_TOLERANCE = 0.1


def solve_in_blocks(smo, values, problem, tol, limit, n_bytes, workspace, bar):
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
    workspace : Workspace
        Of so many bytes; its contents are lost.
    bar : ProgressBar

    Returns
    -------
    Solution
    """
    return _Outer(smo, values, problem, n_bytes, workspace, bar).solve(tol, limit)


class _Outer:
    def __init__(self, smo, values, problem, n_bytes, workspace, bar):
        self.smo, self.problem, self.bar = smo, problem, bar
        self.rows = np.unique(problem.rows)
        self.index = None
        if len(self.rows) == len(problem.rows):
            self.rows = problem.rows
        else:
            self.index = np.searchsorted(self.rows, problem.rows).astype(np.int32)
        self.values = values
        self.columns = values.columns(self.rows)
        n_values = n_bytes / values.dtype.itemsize
        self.working_set_size = _working_set_size(len(problem.rows), len(self.rows), n_values)
        # A block's matrix, and its rows in the order of the block's variables.
        block_bytes = 2 * (self.working_set_size + PADDING) ** 2 * values.dtype.itemsize
        # A stride that is no power of two: transposing half a block of 2048 took 12 ms, else.
        workspace.clear()
        self.block_values = workspace.take(self.working_set_size, self.working_set_size + 16)
        self.cache = RowCache(self.columns, n_bytes - block_bytes, workspace)
        self.alpha = problem.alpha.copy()
        self.decision = values.arrays.send(np.zeros(len(self.rows)))
        # What does not change, as select takes it.
        self.constant = [values.arrays.send(v) for v in (self.index, problem.y, problem.p, problem.C)]
        self.n_updates = self.n_turns = 0
        self.drift = 0.0  # how far rounding may have moved the decision values

    def solve(self, tol, limit):
        problem = self.problem
        moving = np.flatnonzero(self.alpha)
        self._add(moving, problem.y[moving] * self.alpha[moving])
        working_set, stalled = np.empty(0, np.int32), False
        while True:
            # The newer ones, of which there is room for as many new ones: else the worst pair might be left out.
            kept = working_set[max(0, len(working_set) - self.working_set_size // 2) :]
            working_set, violation = self.smo.select(
                self.decision, *self.constant, self.alpha, kept, self.working_set_size, problem.nu
            )
            self.bar.set_postfix_str(f"violation {violation:.3g}")
            converged = not violation > tol or stalled
            if converged and self.drift > DRIFT * tol:
                self._refresh()
                stalled = False
                continue
            if converged or self.n_updates >= limit:
                break
            self.n_turns += 1
            stalled = self._improve(working_set, max(tol, BLOCK_TOLERANCE * violation), limit)
        gradient = self._gradient(slice(None))
        return solution(problem, self.alpha, gradient, self.n_updates, converged)

    def _refresh(self):
        """The decision values anew, from alpha alone."""
        self.decision[:] = 0.0
        moved = np.flatnonzero(self.alpha)
        self._add(moved, self.problem.y[moved] * self.alpha[moved])
        self.drift = -np.inf  # once is enough: what is left is alpha's own rounding

    def _gradient(self, variables):
        of_rows = self.values.arrays.fetch(self.decision)[
            variables if self.index is None else self.index[variables]
        ]
        return of_rows + self.problem.y[variables] * self.problem.p[variables]

    def _improve(self, working_set, tol, limit):
        """Solve the block of these variables, and bring all decision values up to date; whether nothing moved."""
        problem = self.problem
        variables, K, index = self._matrix(working_set)
        before = self.alpha[variables]
        gradient = self._gradient(variables)
        block = Block(K, index, problem.y[variables], problem.C[variables], before.copy(), gradient)
        max_updates = self.smo.updates_per_call([len(working_set)])
        stop = Stop.MAX_UPDATES
        while stop is Stop.MAX_UPDATES and self.n_updates < limit:
            left = min(max_updates, limit - self.n_updates)
            ((n_updates, _, stop),) = self.smo.solve_blocks([block], tol, left, problem.nu)
            self.n_updates += n_updates
            self.bar.update(n_updates)
        moves = block.y * (block.alpha - before)
        self.drift += EPSILON * float(
            np.abs(moves).sum() * np.abs(self.values.arrays.fetch(K.diagonal())).max()
        )
        self.alpha[variables] = block.alpha
        self._add(variables, moves)
        return not moves.any()

    def _matrix(self, working_set):
        """The working set's variables, kernel values between their rows, and the row of each variable in these.

        What kept kernel rows have of them is gathered if that pays, the rest is computed. Where no two variables
        share a row, the variables are put in the order of the rows (None for the last of the three), which spares
        the block's solution a copy of what it reads.
        """
        rows = working_set if self.index is None else self.index[working_set]
        distinct, index = (rows, None) if self.index is None else np.unique(rows, return_inverse=True)
        slots = np.full(len(distinct), -1, np.int32)
        if self.values.gathering_pays:
            slots = self.cache.slot_of[distinct]
        order = np.argsort(slots < 0, kind="stable")
        if len(distinct) == len(rows):
            # np.unique has sorted the rows: variables[i] is on distinct[i].
            variables = working_set if index is None else working_set[np.argsort(index)]
            variables, index = variables[order], None
        else:
            variables, index = working_set, np.argsort(order)[index].astype(np.int32)
        distinct, slots = distinct[order], slots[order]
        n, n_held = len(distinct), int(np.count_nonzero(slots >= 0))
        K = self.block_values[:n, :n]
        if n_held:
            self.smo.gather(self.cache.buffer, slots[:n_held], distinct, K[:n_held])
            K[n_held:, :n_held] = K[:n_held, n_held:].T
        if n_held < n:
            new = self.rows[distinct[n_held:]]
            self.values.columns(new).fill(new, K[n_held:, n_held:])
        return variables, K, index

    def _add(self, variables, moves):
        """decision += the kernel rows of these variables, times how far they moved."""
        rows = variables if self.index is None else self.index[variables]
        distinct, index = np.unique(rows, return_inverse=True)
        moves = np.bincount(index, moves, len(distinct))
        moving = np.flatnonzero(moves)
        distinct, moves = distinct[moving].astype(np.int32), moves[moving]
        for slots, part in self.cache.parts(distinct):
            self.smo.add_rows(self.decision, self.cache.buffer, slots, moves[part])


def _working_set_size(n_variables, n_rows, n_values):
    """As many variables as leave three quarters of the kernel values for rows, and suit the problem.

    At least eight: half of them are new, and the first four of these are the most violating pair of either sign.
    """
    fitting = int(np.sqrt(n_values / 8)) // 2 * 2
    rows = min(LARGEST_WORKING_SET, max(256, n_rows // 8))
    return min(n_variables, max(8, min(-(-n_variables // n_rows) * rows, fitting)))
