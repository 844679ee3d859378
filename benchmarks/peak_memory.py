"""How far a fit raises the peak of resident memory, in a process that does nothing else.

    python benchmarks/peak_memory.py sgd-mnist fastml

Prints megabytes (10^6 bytes). Linux only: the peak is the kernel's, set back after the data is there and a fit on
100 rows has loaded and allocated what every fit needs.
"""

import sys
from pathlib import Path

from networks import NETWORKS, Network
from workloads import BY_NAME, N_THREADS, Workload

WARM_UP_ROWS = 100


def peak_rise(workload: Workload | Network, package: str) -> float:
    """Megabytes between the resident memory before a fit and its peak during the fit."""
    data = workload.load()
    workload.build(package).fit(data.X[:WARM_UP_ROWS], data.y[:WARM_UP_ROWS])
    estimator = workload.build(package)
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = resident_peak()
    estimator.fit(data.X, data.y)
    return (resident_peak() - before) / 1e6


def resident_peak() -> int:
    """The highest resident memory so far, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(kilobytes)


if __name__ == "__main__":
    import fastml

    fastml.set_config(n_threads=N_THREADS)
    _, name, package = sys.argv
    print(f"{peak_rise((BY_NAME | NETWORKS)[name], package):.1f}")
