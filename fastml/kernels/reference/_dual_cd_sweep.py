"""What every coordinate descent here does between its steps: order the coordinates, drop one, end a sweep."""

import numpy as np

SHORTEST_STEP = 1e-12


def shuffle(order, record, n=None):
    """Fisher-Yates over the first n coordinates (the active ones), by the high bits of a 32-bit xorshift."""
    state, n = int(record["seed"]), record["n_active"] if n is None else n
    for i in range(n - 1):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        j = i + ((state * (int(n) - i)) >> 32)
        order[i], order[j] = order[j], order[i]
    record["seed"] = state


def drop(order, record, s, n_active="n_active"):
    """Shrink the coordinate at s: the last active one takes its place."""
    record[n_active] -= 1
    last = record[n_active]
    order[s], order[last] = order[last], order[s]


def end_sweep_by_sum(record):
    """Stop when the violations' sum has come down to a share of the first sweep's."""
    if record["n_iter"] == 0:
        record["first"] = record["smallest"]
    record["n_iter"] += 1
    record["violation"] = record["smallest"] / record["first"] if record["first"] > 0.0 else 0.0
    record["bound_above"] = record["largest"]
    if record["smallest"] <= record["tol"] * record["first"]:
        record["done"] = record["n_active"] == record["n_coordinates"]
        record["n_active"] = record["n_coordinates"]
        record["bound_above"] = np.inf
    record["done"] |= record["n_iter"] >= record["max_iter"]
