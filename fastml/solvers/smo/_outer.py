"""Large problems: a working set by violation, solved as a block, then the decision values of all rows.

Each turn of the loop takes the variables that violate most into a working set, solves them among themselves to a
tenth of the present violation, and adds the kernel rows of those that moved, times their moves, to the decision
values of all rows. Half of a working set, the newer one, stays for the next turn (Wen et al. 2018, section 3.3.1).
"""

from typing import Any

import numpy as np

from fastml.kernels.smo_block import Blocks, Stop
from fastml.solvers.smo._folds import fold_of_variables, start_of_folds
from fastml.solvers.smo._kernel_values import RowCache, WholeMatrix
from fastml.solvers.smo._problem import EPSILON, solutions_at

# Variables in a working set, for each variable on a row. On 26,000 rows of a9a (C = 1, gamma = 0.05), 512 take 94
# turns and compute 12,600 rows' worth of kernel values, 1024 take 37 and 12,900, 2048 take 20 and 14,100, most of
# what is more in the blocks' matrices. In regression, where rows have two variables and more of them end up free
# (20,000 rows, 8,100 free), 2048 take 82 turns for 1024's 211, and two thirds of the time. An eighth of the rows is
# enough: on 4,000 rows of MNIST, 512 take 20 to 30 % less time than 1024.
LARGEST_WORKING_SET = 1024

# Decision values are computed anew where rounding may have moved them by more than this part of tol.
DRIFT = 0.01

# Rows and columns that a block's buffers may have besides.
PADDING = 64

# A block is solved to this part of the problem's violation, and to tol at last.
BLOCK_TOLERANCE = 0.1


def solve_in_blocks(smo, values, problem, tol, limit, n_bytes, workspace, bar):
    """Solve one problem of any size, then its folds, which advance together and share kernel rows.

    Parameters
    ----------
    smo : module
        The kernel family ``smo`` of a backend.
    values : KernelValues
    problem : Problems
        One.
    tol : float
    limit : int
        Pair updates, at most, of the problem and of each fold.
    n_bytes : float
        For kernel values, at most.
    workspace : Workspace
        Of so many bytes; its contents are lost.
    bar : ProgressBar

    Returns
    -------
    Solutions
        One.
    """
    outer = _Outer(smo, values, problem, n_bytes, workspace, bar)
    whole = outer.whole()
    outer.solve([whole], tol, limit)
    folds = [outer.fold(whole, number) for number in range(len(problem.folds))]
    outer.solve(folds, tol, limit)
    return outer.solution(whole)._replace(folds=tuple(outer.solution(fold) for fold in folds))


class _State:
    """Where the solution of one problem stands.

    Attributes
    ----------
    problem : Problems
        One.
    alpha : ndarray of float64, shape (n_variables,)
    constant : list of arrays
        What does not change, as ``select`` takes it: index, y, p, C.
    sums : list of arrays of float64, shape (n_rows,), on the device
        The decision values are their sum: of all variables, or of each fold's held-out ones.
    sum_of : ndarray of int, shape (n_variables,), or None
        Which of the sums each variable counts in; None: there is one.
    """

    def __init__(self, problem, alpha, constant, sums, sum_of=None):
        self.problem, self.alpha, self.constant = problem, alpha, constant
        self.sums, self.sum_of = sums, sum_of
        self.working_set = np.empty(0, np.int32)
        self.violation = np.inf
        self.n_updates = 0
        self.drift = 0.0  # how far rounding may have moved the decision values
        self.stalled = self.converged = False

    @property
    def decision(self):
        return sum(self.sums[1:], start=self.sums[0])

    def parts(self, variables, moves):
        """Of each sum: the variables that count in it, and their moves."""
        if self.sum_of is None:
            return [(self.sums[0], variables, moves)]
        of_sum = [self.sum_of[variables] == k for k in range(len(self.sums))]
        return [(total, variables[own], moves[own]) for total, own in zip(self.sums, of_sum)]


class _Outer:
    """What one problem and its folds share: the rows, kernel values with these, and the size of working sets."""

    def __init__(self, smo, values, problem, n_bytes, workspace, bar):
        self.smo, self.problem, self.bar = smo, problem, bar
        self.rows = np.unique(problem.rows)
        self.index = None
        is_whole_matrix = values.precomputed is not None and len(self.rows) == values.n_samples
        if len(self.rows) == len(problem.rows) and not is_whole_matrix:
            self.rows = problem.rows
        else:
            self.index = np.searchsorted(self.rows, problem.rows).astype(np.int32)
        self.values = values
        n_values = n_bytes / values.dtype.itemsize
        self.working_set_size = _working_set_size(len(problem.rows), len(self.rows), n_values)
        self.block_values = None
        self.cache: Any  # a RowCache, or a WholeMatrix, which has no block values to be put together from it
        if is_whole_matrix:
            self.cache = WholeMatrix(values.precomputed)
        else:
            # A block's matrix, and its rows in the order of the block's variables.
            block_bytes = 2 * (self.working_set_size + PADDING) ** 2 * values.dtype.itemsize
            workspace.clear()
            # A stride that is no power of two: transposing half a block of 2048 took 12 ms, else.
            self.block_values = workspace.take(self.working_set_size, self.working_set_size + 16)
            self.cache = RowCache(values.columns_to_keep(self.rows), n_bytes - block_bytes, workspace)
        self.constant = [values.arrays.send(v) for v in (self.index, problem.y, problem.p, problem.C)]

    def whole(self):
        """The problem itself, from its start. Where it has folds, what each one's held-out variables contribute to
        the decision values is kept apart, since the folds start without it: no kernel row is needed for that."""
        problem = self.problem
        sum_of = fold_of_variables(problem) if problem.folds else None
        sums = [self._zeros() for _ in range(len(problem.folds) + 1)]
        state = _State(problem, problem.alpha.copy(), self.constant, sums, sum_of)
        self._add([(state, *_moving(state))])
        return state

    def fold(self, whole, number):
        """A fold, from the solution of the whole."""
        problem = self.problem.folds[number]
        constant = [*self.constant[:3], self.values.arrays.send(problem.C)]
        sums = [total for k, total in enumerate(whole.sums) if k != number]
        rest = sum(sums, start=self._zeros())
        state = _State(problem, np.minimum(whole.alpha, problem.C), constant, [rest])
        state.drift = max(whole.drift, 0.0)
        before = state.alpha
        state.alpha = start_of_folds(problem, before, self._gradient(state, slice(None)))
        moved = np.flatnonzero(state.alpha != before)
        self._add([(state, moved, problem.y[moved] * (state.alpha[moved] - before[moved]))])
        return state

    def solve(self, states, tol, limit):
        """Take the states, all on the same rows, to their solutions; each turn, a kernel row serves all of them."""
        while states:
            states = [state for state in states if self._choose(state, tol, limit)]
            self._add([(state, *self._improve(state, tol, limit)) for state in states])

    def solution(self, state):
        gradient = self._gradient(state, slice(None))
        n_updates, converged = np.array([state.n_updates]), np.array([state.converged])
        return solutions_at(state.problem, state.alpha, gradient, n_updates, converged)

    def _choose(self, state, tol, limit):
        """The next working set; false at the end."""
        while True:
            # The newer ones, of which there is room for as many new ones: else the worst pair might be left out.
            kept = state.working_set[max(0, len(state.working_set) - self.working_set_size // 2) :]
            state.working_set, state.violation = self.smo.select(
                state.decision, *state.constant, state.alpha, kept, self.working_set_size, state.problem.nu
            )
            self.bar.set_postfix_str(f"violation {state.violation:.3g}")
            state.converged = not state.violation > tol or state.stalled
            if not (state.converged and state.drift > DRIFT * tol):
                return not state.converged and state.n_updates < limit
            self._refresh(state)

    def _refresh(self, state):
        """The decision values anew, from alpha alone."""
        for total in state.sums:
            total[:] = 0.0
        self._add([(state, *_moving(state))])
        state.drift = -np.inf  # once is enough: what is left is alpha's own rounding
        state.stalled = False

    def _zeros(self):
        return self.values.arrays.send(np.zeros(len(self.rows)))

    def _gradient(self, state, variables):
        of_rows = self.values.arrays.fetch(state.decision)[
            variables if self.index is None else self.index[variables]
        ]
        return of_rows + state.problem.y[variables] * state.problem.p[variables]

    def _improve(self, state, tol, limit):
        """Solve the block of the working set; its variables, and how far y times their alpha moved."""
        problem = state.problem
        variables, K, index = self._matrix(state.working_set)
        before = state.alpha[variables]
        gradient = self._gradient(state, variables)
        block = Blocks.single(K, index, problem.y[variables], problem.C[variables], before.copy(), gradient)
        block_tol = max(tol, BLOCK_TOLERANCE * state.violation)
        max_updates = self.smo.updates_per_call([len(variables)])
        stop = Stop.MAX_UPDATES
        while stop == Stop.MAX_UPDATES and state.n_updates < limit:
            left = min(max_updates, limit - state.n_updates)
            solved = self.smo.solve_blocks(block, block_tol, left, problem.nu)
            n_updates, stop = int(solved.n_updates[0]), solved.stop[0]
            state.n_updates += n_updates
            self.bar.update(n_updates)
        moves = block.y * (block.alpha - before)
        state.drift += EPSILON * float(
            np.abs(moves).sum() * np.abs(self.values.arrays.fetch(K.diagonal())).max()
        )
        state.alpha[variables] = block.alpha
        state.stalled = not moves.any()
        return variables, moves

    def _matrix(self, working_set):
        """The working set's variables, kernel values between their rows, and the row of each variable in these.

        What kept kernel rows have of them is gathered if that pays, the rest is computed. Where no two variables
        share a row, the variables are put in the order of the rows (None for the last of the three), which spares
        the block's solution a copy of what it reads.
        """
        rows = working_set if self.index is None else self.index[working_set]
        if self.block_values is None:
            return working_set, self.cache.buffer, rows
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

    def _add(self, moved):
        """Add to decision values the kernel rows of variables, times how far these moved.

        Parameters
        ----------
        moved : list of (state, variables, moves)
        """
        sums, coefficients = [], []
        for state, variables, moves in moved:
            for total, own, its_moves in state.parts(variables, moves):
                if its_moves.any():
                    rows = own if self.index is None else self.index[own]
                    sums.append(total)
                    coefficients.append(np.bincount(rows, its_moves, len(self.rows)))
        if not sums:
            return
        moving = np.flatnonzero(np.any(coefficients, axis=0)).astype(np.int32)
        for slots, part in self.cache.parts(moving):
            for total, coefficient in zip(sums, coefficients):
                of_part = coefficient[moving[part]]
                own = np.flatnonzero(of_part)
                if len(own):
                    self.smo.add_rows(total, self.cache.buffer, slots[own], of_part[own])


def _moving(state):
    """The variables whose alpha is not zero, and y times it."""
    variables = np.flatnonzero(state.alpha)
    return variables, state.problem.y[variables] * state.alpha[variables]


def _working_set_size(n_variables, n_rows, n_values):
    """As many variables as leave three quarters of the kernel values for rows, and suit the problem.

    At least eight: half of them are new, and the first four of these are the most violating pair of either sign.
    """
    fitting = int(np.sqrt(n_values / 8)) // 2 * 2
    rows = min(LARGEST_WORKING_SET, max(256, n_rows // 8))
    return min(n_variables, max(8, min(-(-n_variables // n_rows) * rows, fitting)))
