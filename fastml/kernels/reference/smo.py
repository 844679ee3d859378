"""Sequential minimal optimisation (SMO) of the duals of kernel machines.

The matrices of kernel values (a block's too) and ``decision`` are the device's. All other arrays that a function only
reads may be the device's or the host's; what it changes besides (a block's alpha and gradient), and the working set
that it returns, are the host's.

All problems have one form (Chang & Lin 2011, sections 2 and 4.1): minimise 1/2 a'Qa + p'a subject to y'a constant
and 0 <= a <= C, with Q_ij = y_i y_j k(x_i, x_j); in nu problems e'a is constant too, so that pairs are taken within
one sign of y. Throughout, "decision" is sum_j y_j alpha_j k(x_j, x_c) of every row x_c of a problem, and the
"gradient" of a variable on that row is decision_c + y_i p_i, which is y_i times the derivative by alpha_i.

A variable may grow (y_i alpha_i, that is) if y_i = 1 and alpha_i < C_i, or y_i = -1 and alpha_i > 0; it may shrink if
y_i = 1 and alpha_i > 0, or y_i = -1 and alpha_i < C_i. With m = -min gradient over what may grow, and
M = -max gradient over what may shrink, m - M is the violation, and alpha is optimal where it is not above zero.

References
----------
J. Platt, "Fast Training of Support Vector Machines using Sequential Minimal Optimization", 1998.
R.-E. Fan, P.-H. Chen, C.-J. Lin, "Working Set Selection Using Second Order Information for Training Support Vector
Machines", JMLR 6, 2005: the pair of a step (WSS 2), and the curvature TAU for kernels that are not definite.
C.-C. Chang, C.-J. Lin, "LIBSVM: A Library for Support Vector Machines", ACM TIST 2(3), 2011.
Z. Wen, J. Shi, Q. Li, B. He, J. Chen, "ThunderSVM: A Fast SVM Library on GPUs and CPUs", JMLR 19(21), 2018: the outer
working set, and blocks solved to the end before the gradient is updated.
"""

import numpy as np

from fastml.kernels.smo_block import Solved, Stop

__all__ = ["add_moves", "add_rows", "gather", "select", "solve_blocks", "updates_per_call", "value_bytes"]

# Curvature of a pair where the kernel gives none above zero.
TAU = 1e-12


def select(decision, index, y, p, C, alpha, kept, size, nu):
    """The working set of variables, by violation, and the problem's violation.

    Candidates that may grow stand in a row by gradient, the least first, those that may shrink likewise, the
    greatest first (in nu problems two rows for each sign); only those that violate with the best one of the other
    side are candidates. The rows take turns in giving their best one that is not in the set yet.

    Parameters
    ----------
    decision : array of float64, of shape (n_rows,)
    index : array of int32, of shape (n_variables,), or None
        The element of ``decision`` that each variable stands on; None: variable i stands on row i.
    y, p, C, alpha : arrays of float64, of shape (n_variables,)
    kept : array of int32
        Variables that are in the set anyway; none occurs twice.
    size : int
        Variables in the set, at most.
    nu : bool

    Returns
    -------
    working_set : array of int32
        The kept variables, then the chosen ones. May be shorter than ``size``.
    violation : float
        Of all variables: m - M, in nu problems the larger of the two signs'; -inf where no pair is feasible.
    """
    gradient = (decision if index is None else decision[index]) + y * p
    grows, shrinks = _directions(y, C, alpha)
    rising, falling, violation = [], [], -np.inf
    for group in _groups(y, nu):
        up, down = group & grows, group & shrinks
        least = gradient[up].min(initial=np.inf)
        greatest = gradient[down].max(initial=-np.inf)
        violation = max(violation, greatest - least)
        up, down = np.flatnonzero(up & (gradient < greatest)), np.flatnonzero(down & (gradient > least))
        rising.append(list(up[np.argsort(gradient[up], kind="stable")]))
        falling.append(list(down[np.argsort(-gradient[down], kind="stable")]))
    chosen = list(kept)
    while len(chosen) < size and any(rising + falling):
        for row in rising + falling:
            while row and row[0] in chosen:
                row.pop(0)
            if row and len(chosen) < size:
                chosen.append(row.pop(0))
    return np.array(chosen, np.int32), float(violation)


def solve_blocks(blocks, tol, max_updates, nu):
    """Solve each block by SMO, every one for itself.

    A step takes i, the variable that may grow with the least gradient, and j, that which may shrink, violates with i
    and promises the most, (gradient_j - gradient_i)^2 / curvature with the curvature K_ii + K_jj - 2 K_ij, or TAU
    where that is not positive (Fan, Chen, Lin 2005, WSS 2; in nu problems the better of the pairs of the two signs,
    Chang & Lin 2011, section 4.1.3). y_i alpha_i grows, and y_j alpha_j shrinks, by (gradient_j - gradient_i) /
    curvature or as far as the bounds let them. What j promises may be compared in single precision.

    Parameters
    ----------
    blocks : fastml.kernels.smo_block.Blocks
        ``alpha`` and ``gradient`` are changed in place.
    tol : float
        A block is solved when its violation is not above this.
    max_updates : int
        Pairs updated in each block, at most. Blocks that were ended by it may be passed again.
    nu : bool

    Returns
    -------
    fastml.kernels.smo_block.Solved
    """
    ended = [_solve_block(blocks, slice(*span), tol, max_updates, nu) for span in blocks.spans.tolist()]
    n_updates, violation, stop = zip(*ended) if ended else ((), (), ())
    return Solved(np.array(n_updates, np.int64), np.array(violation, np.float64), np.array(stop, np.int32))


def add_moves(blocks, moves):
    """Add to each block's gradient the kernel values of its variables, times how far these moved.

    gradient_i += sum_j moves_j k(x_i, x_j) over the block's variables, the sum in float64.

    Parameters
    ----------
    blocks : fastml.kernels.smo_block.Blocks
        ``gradient`` is changed in place.
    moves : array of float64, of shape (n_variables,)
        Of y times alpha.
    """
    for span in blocks.spans.tolist():
        own = slice(*span)
        moved = np.flatnonzero(moves[own])
        K = blocks.K[np.ix_(blocks.index[own][moved], blocks.index[own])]
        blocks.gradient[own] += moves[own][moved] @ K.astype(np.float64)


def add_rows(decision, K, slots, coefficients):
    """decision += sum_j coefficients[j] K[slots[j]].

    The sum is taken in float64, in an order that depends on the shapes alone.

    Parameters
    ----------
    decision : array of float64, of shape (n_rows,)
    K : array of shape (n_slots, n_rows), float32 or float64
        Its rows are contiguous, at any distance from each other.
    slots : array of int32, of shape (n,), or None
        None stands for 0, ..., n - 1.
    coefficients : array of float64, of shape (n,)
    """
    rows = K[: len(coefficients)] if slots is None else K[slots]
    decision += coefficients @ rows.astype(np.float64)


def gather(K, slots, columns, out):
    """out[i, j] = K[slots[i], columns[j]]: the part of a block's matrix that kept kernel rows have.

    Parameters
    ----------
    K : array of shape (n_slots, n_rows), float32 or float64
        Its rows are contiguous, at any distance from each other.
    slots, columns : arrays of int32
    out : array of shape (len(slots), len(columns)), of K's dtype
        Its rows are contiguous, at any distance from each other. Does not overlap with K.
    """
    out[...] = K[np.ix_(slots, columns)]


def updates_per_call(sizes):
    """``max_updates`` for a call of ``solve_blocks`` to last some tenths of a second at most.

    Between two calls the solver hears Ctrl-C and moves the progress bar.

    Parameters
    ----------
    sizes : sequence of int
        The number of variables of each block.

    Returns
    -------
    int
        At least 1.
    """
    return 1000


def value_bytes(cache_bytes):
    """How much memory the solver may hold kernel values in, on the device.

    Parameters
    ----------
    cache_bytes : float
        What it may hold in the host's memory.

    Returns
    -------
    float
        The same where that is the device's; at least as much elsewhere.
    """
    return cache_bytes


def _directions(y, C, alpha):
    """Which variables may grow, and which may shrink."""
    above_zero, below_C = alpha > 0, alpha < C
    return np.where(y > 0, below_C, above_zero), np.where(y > 0, above_zero, below_C)


def _groups(y, nu):
    """Masks of the variables that pairs are taken within."""
    return [y > 0, y < 0] if nu else [np.ones(len(y), bool)]


def _solve_block(blocks, own, tol, max_updates, nu):
    y, C, alpha, gradient = (array[own] for array in (blocks.y, blocks.C, blocks.alpha, blocks.gradient))
    rows = blocks.index[own]
    K = blocks.K[np.ix_(rows, rows)].astype(np.float64)
    for n_updates in range(max_updates + 1):
        i, j, violation = _best_pair(K, y, C, alpha, gradient, nu)
        if not violation > tol or j < 0:  # no score of values that are not finite compares
            return n_updates, violation, Stop.CONVERGED
        if n_updates == max_updates:
            break
        room_i = C[i] - alpha[i] if y[i] > 0 else alpha[i]
        room_j = alpha[j] if y[j] > 0 else C[j] - alpha[j]
        step = min((gradient[j] - gradient[i]) / _curvature(K, i, j), room_i, room_j)
        before = alpha[i], alpha[j]
        for variable, change, room in ((i, step, room_i), (j, -step, room_j)):
            bound = C[variable] if change * y[variable] > 0 else 0.0
            moved = np.clip(alpha[variable] + y[variable] * change, 0.0, C[variable])
            alpha[variable] = bound if step >= room else moved
        if before == (alpha[i], alpha[j]):
            return n_updates, violation, Stop.STALLED
        gradient += step * (K[i] - K[j])
    return max_updates, violation, Stop.MAX_UPDATES


def _curvature(K, i, j):
    curvature = K[i, i] + K[j, j] - 2.0 * K[i, j]
    return np.where(curvature > 0, curvature, TAU)


def _best_pair(K, y, C, alpha, gradient, nu):
    """i, j and the violation of all groups."""
    grows, shrinks = _directions(y, C, alpha)
    best, pair, violation = -1.0, (-1, -1), -np.inf
    for group in _groups(y, nu):
        up, down = np.flatnonzero(group & grows), np.flatnonzero(group & shrinks)
        if not len(up) or not len(down):
            continue
        i = up[np.argmin(gradient[up])]
        b = gradient[down] - gradient[i]
        violation = max(violation, b.max())
        scores = np.where(b > 0, b**2, 0.0) / _curvature(K, i, down)
        if scores.max() > best:
            best, pair = scores.max(), (i, down[np.argmax(scores)])
    return *pair, float(violation)
