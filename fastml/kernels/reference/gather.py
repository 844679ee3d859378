"""The rows of a mini-batch, taken out of the data set: converted and rescaled on the way."""

import numpy as np

__all__ = ["rows"]


def rows(X, rows, out, scale=1.0, offset=0.0):
    """out = X[rows] * scale + offset.

    With ``scale`` 1 and ``offset`` 0, elements of one dtype are copied exactly.

    Parameters
    ----------
    X : array of shape (N, ...), C order; uint8, float32 or float64
        Or any dtype that ``out`` has, too, without scale and offset: labels, for one.
    rows : array of shape (n,), int64
        In 0 .. N - 1, as the caller has checked.
    out : array of shape (n, ...), float32 or float64
        Set.
    scale, offset : float
    """
    taken = X[rows]
    if X.dtype != out.dtype or scale != 1.0 or offset != 0.0:
        taken = taken.astype(np.float64) * scale + offset
    out[...] = taken
