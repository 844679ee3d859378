"""The SMO kernel: one thread block solves one block of variables; specialised to nu problems and where these lie.

Thread t owns variables t, t + lanes, ...: it alone writes their alpha and gradient. A step has three barriers:

1. every thread finds the least gradient of its own variables that may grow; barrier; all know i (in nu problems one
   of either sign);
2. every thread finds the best j among its own that may shrink, and the worst violation; barrier; all know both;
3. every thread computes the step for itself, so that nothing need be broadcast, and branches alike; barrier; the
   owners move alpha and the gradient.

So a value is only read by others between the second barrier and the third, and only written after the third. Rows i
and j of the matrix are read along their length, from L2 where the matrix fits in there.
"""

from functools import lru_cache

import numpy as np
from numba import cuda, float64

from fastml.kernels.cuda._warp import (
    LANES,
    LEAST_SLOTS,
    NOWHERE,
    collect_least,
    deposit_least,
    device_function,
)

TAU = 1e-12

# Rows of the state's matrix; DIAGONAL is the kernel's to fill.
Y, BOUND, ALPHA, GRADIENT, DIAGONAL = range(5)
N_STATE = 5

# Columns of the results' matrix, and why a block ended.
N_UPDATES, VIOLATION, STOP = range(3)
CONVERGED, MAX_UPDATES, STALLED = range(3)

# Minima that are collected at once: what may grow, by sign; what j promises; the violation.
GROWING, PROMISE, WORST = 0, 2, 3

# Without leave from the driver a block has 48 KiB; ``LEAST_SLOTS`` of it are the minima's.
SHARED_BYTES = 48 * 1024
MOST_IN_SHARED = (SHARED_BYTES // 8 - LEAST_SLOTS) // N_STATE


@device_function
def _may_grow(y, alpha, bound):
    return alpha < bound if y > 0.0 else alpha > 0.0


@device_function
def _may_shrink(y, alpha, bound):
    return alpha > 0.0 if y > 0.0 else alpha < bound


@device_function
def _curvature(k_ii, k_jj, k_ij):
    curvature = k_ii + k_jj - 2.0 * float64(k_ij)
    return curvature if curvature > 0.0 else TAU


@device_function
def _moved(y, alpha, bound, change, reaches_bound):
    """alpha, y alpha moved by ``change``: within its bounds, and exactly at the one ahead if it gets there."""
    if reaches_bound:
        return bound if change * y > 0.0 else 0.0
    moved = alpha + y * change
    return 0.0 if moved < 0.0 else (bound if moved > bound else moved)


@lru_cache(maxsize=8)
def solve_kernel(nu, in_shared):
    """The kernel of ``solve_blocks``."""
    return cuda.jit(solve_function(nu, in_shared))


def solve_function(nu, in_shared):
    """The kernel's Python function, not yet bound to a compiler."""
    n_groups = 2 if nu else 1

    def smo_solve(K, starts, matrix_starts, state, tol, max_updates, results):
        k, lane, lanes = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        first, end = starts[k], starts[k + 1]
        n = np.int32(end - first)
        matrix = K[matrix_starts[k] : matrix_starts[k + 1]]
        shared = cuda.shared.array(0, float64)
        slots = shared[:LEAST_SLOTS]
        if in_shared:
            own = shared[LEAST_SLOTS : LEAST_SLOTS + N_STATE * n]
            y, C = own[:n], own[n : 2 * n]
            alpha, gradient, diagonal = own[2 * n : 3 * n], own[3 * n : 4 * n], own[4 * n : 5 * n]
            for t in range(lane, n, lanes):
                y[t], C[t] = state[Y, first + t], state[BOUND, first + t]
                alpha[t], gradient[t] = state[ALPHA, first + t], state[GRADIENT, first + t]
        else:
            y, C = state[Y, first:end], state[BOUND, first:end]
            alpha, gradient = state[ALPHA, first:end], state[GRADIENT, first:end]
            diagonal = state[DIAGONAL, first:end]
        for t in range(lane, n, lanes):
            diagonal[t] = matrix[np.int64(t) * n + t]
        cuda.syncthreads()

        n_updates, violation, stop = 0, -np.inf, MAX_UPDATES
        while True:
            # i: may grow, and has the least gradient.
            for group in range(n_groups):
                least, at = np.inf, np.int32(NOWHERE)
                for t in range(lane, n, lanes):
                    if nu and (y[t] > 0.0) != (group == 0):
                        continue
                    if gradient[t] < least and _may_grow(y[t], alpha[t], C[t]):
                        least, at = gradient[t], np.int32(t)
                deposit_least(least, at, slots, GROWING + group)
            cuda.syncthreads()
            least, i = collect_least(slots, GROWING)
            least_negative, i_negative = least, i
            if nu:
                least_negative, i_negative = collect_least(slots, GROWING + 1)

            # j: may shrink, and promises the most with the i of its group.
            promise, worst, at = -1.0, -np.inf, np.int32(NOWHERE)
            for t in range(lane, n, lanes):
                other = nu and y[t] < 0.0
                partner = i_negative if other else i
                if partner == NOWHERE or not _may_shrink(y[t], alpha[t], C[t]):
                    continue
                difference = gradient[t] - (least_negative if other else least)
                if difference > worst:
                    worst = difference
                if difference > 0.0:
                    k_ij = matrix[np.int64(partner) * n + t]
                    score = difference * difference / _curvature(diagonal[partner], diagonal[t], k_ij)
                    if score > promise:
                        promise, at = score, np.int32(t)
            deposit_least(-promise, at, slots, PROMISE)
            deposit_least(-worst, np.int32(NOWHERE), slots, WORST)
            cuda.syncthreads()
            _, j = collect_least(slots, PROMISE)
            worst, _ = collect_least(slots, WORST)
            violation = -worst
            if not violation > tol or j == NOWHERE:  # no score of values that are not finite compares
                stop = CONVERGED
                break
            if n_updates == max_updates:
                break

            # The step, and what follows of it.
            if nu and y[j] < 0.0:
                i = i_negative
            row_i, row_j = np.int64(i) * n, np.int64(j) * n
            room_i = C[i] - alpha[i] if y[i] > 0.0 else alpha[i]
            room_j = alpha[j] if y[j] > 0.0 else C[j] - alpha[j]
            step = (gradient[j] - gradient[i]) / _curvature(diagonal[i], diagonal[j], matrix[row_i + j])
            step = min(step, min(room_i, room_j))
            alpha_i = _moved(y[i], alpha[i], C[i], step, step >= room_i)
            alpha_j = _moved(y[j], alpha[j], C[j], -step, step >= room_j)
            if alpha_i == alpha[i] and alpha_j == alpha[j]:
                stop = STALLED
                break
            cuda.syncthreads()
            if lane == i % lanes:
                alpha[i] = alpha_i
            if lane == j % lanes:
                alpha[j] = alpha_j
            for t in range(lane, n, lanes):
                gradient[t] += step * (float64(matrix[row_i + t]) - float64(matrix[row_j + t]))
            n_updates += 1

        if in_shared:
            for t in range(lane, n, lanes):
                state[ALPHA, first + t], state[GRADIENT, first + t] = alpha[t], gradient[t]
        if lane == 0:
            results[k, N_UPDATES], results[k, VIOLATION], results[k, STOP] = n_updates, violation, stop

    return smo_solve


def shared_bytes(n_variables, in_shared):
    """Dynamic shared memory of a launch whose largest block has ``n_variables``."""
    return 8 * (LEAST_SLOTS + (N_STATE * n_variables if in_shared else 0))


def solve_threads(n_variables):
    """Threads for blocks of up to ``n_variables``: a power of two of warps, four variables a thread."""
    count = LANES
    while count < 256 and 4 * count < n_variables:
        count *= 2
    return count
