"""SMO on the GPU: 1, 45 and 1,000 blocks in one launch, and whole solutions, beside the CPU path.

A block is a two-class problem of 300 or 1,000 rows with an rbf kernel, float32; 45 of them are the one-vs-one
problems of ten classes. All are given the same number of pair updates, which is what the time is divided by. PyTorch
has no peer: an update is some dozen launches there.
"""

import time

import numpy as np

from fastml._kernel import KernelFunction
from fastml.kernels.smo_block import Blocks
from fastml.solvers.smo import Problems, solve

BLOCKS = ((1, 1_000), (45, 300), (45, 1_000), (1_000, 300))
UPDATES = 2_000
REPEATS = 3
N_FEATURES, N_CLASSES = 64, 10
ROWS = (2_000, 20_000)


def run():
    """Returns one dict per number and size of blocks, and one per size of a classifier's data."""
    results = []
    for n_blocks, n in BLOCKS:
        row = {"benchmark": f"smo, {n_blocks} blocks x {n} variables", "unit": "us/update of all blocks"}
        for name, device in (("ours", "cuda"), ("cpu", "cpu")):
            row[name] = round(_seconds(_blocks(device, n_blocks, n)) / UPDATES * 1e6, 3)
        results.append(row)
    for n_rows in ROWS:
        row = {"benchmark": f"smo, ten classes, {n_rows} rows x {N_FEATURES}", "unit": "s"}
        for name, device in (("ours", "cuda"), ("cpu", "cpu")):
            row[name] = round(_seconds(_classifier(device, n_rows)), 3)
        results.append(row)
    return results


def _seconds(call):
    call()  # compiles, warms up
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _blocks(device, n_blocks, n):
    """A function that gives each block its updates; labels at random, so that none is solved before."""
    if device == "cuda":
        from fastml.kernels.cuda import arrays, smo
    else:
        from fastml.kernels.cpu import arrays, smo
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 10))
    squares = np.square(X).sum(axis=1)
    K = np.exp(-0.05 * (squares[:, None] + squares - 2.0 * X @ X.T)).astype(np.float32)
    K = arrays.send(K)
    y, bounds = rng.choice([-1.0, 1.0], n * n_blocks), np.full(n * n_blocks, 1e4)
    index = np.tile(np.arange(n, dtype=np.int32), n_blocks)
    first = n * np.arange(n_blocks)
    spans = np.column_stack([first, first + n])

    def call():
        blocks = Blocks(K, index, y, bounds, np.zeros(len(y)), -y, spans)
        n_updates = smo.solve_blocks(blocks, 1e-9, UPDATES, False).n_updates
        ended = n_updates[n_updates < UPDATES]
        if len(ended):
            raise RuntimeError(f"{len(ended)} blocks ended before {UPDATES} updates: {ended[:5]}")

    return call


def _classifier(device, n_rows):
    """A function that solves all one-vs-one problems of ten overlapping classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, N_CLASSES, n_rows)
    centres = 0.3 * rng.standard_normal((N_CLASSES, N_FEATURES))
    X = (centres[labels] + rng.standard_normal((n_rows, N_FEATURES))).astype(np.float32)
    pairs = [(a, b) for a in range(N_CLASSES) for b in range(a + 1, N_CLASSES)]
    of_pairs = [np.flatnonzero((labels == a) | (labels == b)).astype(np.int32) for a, b in pairs]
    rows, starts = np.concatenate(of_pairs), np.cumsum([0, *map(len, of_pairs)])
    y = np.where(labels[rows] == np.repeat([a for a, _ in pairs], np.diff(starts)), 1.0, -1.0)
    ones = np.ones(len(y))
    problems = Problems(rows, y, -ones, ones, 0.0 * ones, starts)
    kernel = KernelFunction("rbf", 1.0 / N_FEATURES)
    return lambda: solve(X, problems, kernel, tol=1e-3, device=device)
