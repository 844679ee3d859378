"""GFLOP/s of network kernels beside the machine's peak: what bench_dense.py and bench_conv.py share."""

import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from fastml.kernels.cpu._runtime import Program

from fastml.kernels.cpu import _dense, plan

N_THREADS = (1, 2)
ROUNDS = 30
PEAK_WORK = 25_000_000  # multiply-adds a thread: some 250 us


def report_rates(benchmark: Any, title: str, steps: Sequence[tuple], gflop: float, dtype: str = "f4") -> None:
    """Time one run of steps that take so many GFLOP, on each number of threads.

    The plan and the peak, multiply-adds in registers on as many threads, take turns.
    """
    figures = {}
    for n_threads in N_THREADS:
        made = plan.compile(steps, n_threads)
        peak = Program([_dense.multiply_adds(PEAK_WORK, np.empty(n_threads, dtype))], n_threads)
        seconds, of_peak = best_seconds(lambda made=made: plan.run(made), peak.run)
        rate, limit = gflop / seconds, 2e-9 * PEAK_WORK * n_threads / of_peak
        figures[f"ms_{n_threads}"] = seconds * 1e3
        figures[f"gflops_{n_threads}"] = rate
        figures[f"percent_of_peak_{n_threads}"] = 100 * rate / limit
    benchmark.pedantic(plan.run, (made,), rounds=1)
    benchmark.extra_info.update(figures)
    print(f"\n{title}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))


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
