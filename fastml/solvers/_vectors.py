"""Products of weight vectors, on the calling thread alone.

NumPy hands these to its BLAS, which from some 10,000 elements on wakes threads of its own. They go on spinning for a
while after the product and take a core from the pass over X that follows.
"""

import numpy as np

# OpenBLAS computes up to 9,216 elements of a matrix-vector product, and 10,000 of a dot product, without threads.
SMALL = 9000


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Inner product of two vectors."""
    return float(a.dot(b) if a.size < SMALL else np.einsum("i,i->", a, b))


def rows_times(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """``rows @ vector``."""
    return rows.dot(vector) if rows.size < SMALL else np.einsum("ij,j->i", rows, vector)


def combination(factors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """``factors @ rows``: the rows' sum, each times its factor."""
    return factors.dot(rows) if rows.size < SMALL else np.einsum("i,ij->j", factors, rows)
