"""The instruction-set level in use, the fork-join that every kernel family shares, and programs of operations."""

cimport numpy as cnp
from libc.stdlib cimport free, realloc
from libc.string cimport memset

import os

import numpy as np

from fastml._config import effective_n_threads

cnp.import_array()


cdef extern from "dispatch.h":
    int FASTML_LEVEL_NONE
    int fastml_processor_level() nogil

cdef extern from "threads.h":
    int fastml_reserve(int wanted, int limit) nogil
    void fastml_release(int reserved) nogil
    void fastml_fork_join(fastml_share work, void *context, int n_shares, int n_threads) nogil


cdef int reserve(int wanted, int limit) noexcept nogil:
    return fastml_reserve(wanted, limit)


cdef void release(int reserved) noexcept nogil:
    fastml_release(reserved)


cdef void fork_join(fastml_share work, void *context, int n_shares, int n_threads) noexcept nogil:
    fastml_fork_join(work, context, n_shares, n_threads)


def _choose_level() -> int:
    processor = fastml_processor_level()
    if processor == FASTML_LEVEL_NONE:
        raise ImportError("fastml needs an x86-64 processor with SSE4.2 (x86-64-v2).")
    forced = os.environ.get("FASTML_CPU", "")
    if not forced:
        return processor
    levels = [f"v{level}" for level in range(2, processor + 1)]
    if forced not in levels:
        raise ImportError(
            f"FASTML_CPU={forced!r} is not a level of this processor; accepted here: {', '.join(levels) or 'none'}."
        )
    return int(forced[1:])


PROCESSOR_LEVEL = fastml_processor_level()
LEVEL = _choose_level()


def level_name(level: int = LEVEL) -> str:
    """Name of an instruction-set level, as FASTML_CPU spells it."""
    return f"v{level}" if level else "generic"


include "operation.pxi"
