"""The shortest times of calls that take turns, and the machine's multiply-adds: what benchmarks of kernels share."""

import math
from time import perf_counter
from typing import Any

import numpy as np
from fastml.kernels.cpu._runtime import Program

from fastml.kernels.cpu import _dense

ROUNDS = 30
PEAK_WORK = 25_000_000  # multiply-adds a thread: some 250 us


def peak_gflops(n_threads: int) -> float:
    """Of multiply-adds in registers, float32."""
    program = Program([_dense.multiply_adds(PEAK_WORK, np.empty(n_threads, "f4"))], n_threads)
    return 2e-9 * PEAK_WORK * n_threads / best_seconds(program.run)[0]


def best_seconds(*contenders: Any) -> list[float]:
    """The shortest time of each, of ROUNDS rounds in which all take turns, after one to warm up."""
    seconds = [math.inf] * len(contenders)
    for turn in range(ROUNDS + 1):
        for i, contender in enumerate(contenders):
            start = perf_counter()
            contender()
            if turn:
                seconds[i] = min(seconds[i], perf_counter() - start)
    return seconds
