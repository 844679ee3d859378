"""GFLOP/s of network kernels beside the machine's peak: what bench_dense.py and bench_conv.py share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastml.kernels.cpu._runtime import Program
from timing import PEAK_WORK, best_seconds

from fastml.kernels.cpu import _dense, plan

N_THREADS = (1, 2)


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
