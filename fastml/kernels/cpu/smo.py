"""Sequential minimal optimisation on the CPU; the contract is ``fastml.kernels.reference.smo``."""

import numpy as np

from fastml._config import effective_n_threads
from fastml.kernels.cpu import _smo
from fastml.kernels.cpu._smo import select
from fastml.kernels.smo_block import Solved

__all__ = ["add_moves", "add_rows", "gather", "select", "solve_blocks", "updates_per_call", "value_bytes"]

# Kernel values under which a second thread costs more than it saves (some 15 us).
MIN_VALUES_PER_THREAD = 100_000

# Block elements visited per call: some 100 ms, at 0.3 to 0.5 ns each.
ELEMENTS_PER_CALL = 200_000_000


def solve_blocks(blocks, tol, max_updates, nu):
    return Solved(*_smo.solve_blocks(blocks, tol, max_updates, nu, _threads_of(blocks)))


def add_moves(blocks, moves):
    _smo.add_moves(blocks, moves, _threads_of(blocks))


def _threads_of(blocks):
    """The smallest blocks are done before a second thread has started."""
    return effective_n_threads() if len(blocks.spans) > 1 and len(blocks.alpha) > 500 else 1


def add_rows(decision, K, slots, coefficients):
    many = len(decision) * len(coefficients) >= 2 * MIN_VALUES_PER_THREAD
    _smo.add_rows(decision, K, slots, coefficients, effective_n_threads() if many else 1)


def gather(K, slots, columns, out):
    many = len(slots) * len(columns) >= 2 * MIN_VALUES_PER_THREAD
    _smo.gather(K, slots, columns, out, effective_n_threads() if many else 1)


def updates_per_call(sizes):
    return 1 + ELEMENTS_PER_CALL // (1 + int(np.sum(sizes)) + 100 * len(sizes))


def value_bytes(cache_bytes):
    return cache_bytes
