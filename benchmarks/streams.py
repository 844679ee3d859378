"""Timing of kernels that memory bounds: bytes per second beside a copy of as many."""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import fastml

ROUNDS = 9
MIN_SECONDS = 2e-3


def best_seconds(*contenders: Callable[[], Any]) -> list[float]:
    """The shortest time of one call of each, in rounds in which all take turns; the first only warms up."""
    counts = []
    for contender in contenders:
        contender()
        start = perf_counter()
        contender()
        counts.append(1 + int(MIN_SECONDS / max(perf_counter() - start, 1e-7)))
    seconds = [math.inf] * len(contenders)
    for _ in range(ROUNDS):
        for i, contender in enumerate(contenders):
            start = perf_counter()
            for _ in range(counts[i]):
                contender()
            seconds[i] = min(seconds[i], (perf_counter() - start) / counts[i])
    return seconds


def stream(benchmark: Any, title: str, function: Callable, *args: Any, n_bytes: float) -> None:
    """Print and record a kernel's time on one thread and on two, and its GB/s beside those of NumPy's copy.

    Parameters
    ----------
    function : callable
        Of a family of the CPU backend; its operation is built once, as in a plan.
    n_bytes : float
        That it reads and writes. The copy reads half as many, and writes them.
    """
    programs = []
    for n_threads in (1, 2):
        with fastml.config_context(n_threads=n_threads):
            programs.append(vars(function)["operation"](*args))
    source = np.ones(int(n_bytes) // 2, np.uint8)
    target = np.empty_like(source)
    calls = [
        lambda: programs[0].run(1),
        lambda: programs[1].run(2),
        lambda: np.copyto(target, source),
    ]
    if not benchmark.extra_info:
        benchmark.pedantic(calls[1], rounds=1)
    seconds = best_seconds(*calls)
    figures = {
        "us_1_thread": seconds[0] * 1e6,
        "us_2_threads": seconds[1] * 1e6,
        "gb_per_s_1_thread": n_bytes / seconds[0] / 1e9,
        "gb_per_s_2_threads": n_bytes / seconds[1] / 1e9,
        "gb_per_s_copy": n_bytes / seconds[2] / 1e9,
    }
    benchmark.extra_info[title] = figures
    print(f"\n{title}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
