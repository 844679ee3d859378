"""Random rows, labels and weights for the kernels of linear machines."""

import numpy as np
from hypothesis import strategies as st

from fastml._csr import CSR

AROUND_VECTORS = (1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 130)


def backends_but(left_out):
    """The devices whose backend keeps the contract: all but those that the reference leaves out, with the reason."""
    assert all(reason.strip() for reason in left_out.values())
    return [device for device in ("cpu", "cuda") if device not in left_out]


def draw_X(draw, rng, n_rows, n_features):
    """Dense or CSR, of either precision, with empty rows, zeros and duplicates among them; read-only, as X may be."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    X = rng.standard_normal((n_rows, n_features)).astype(dtype) / np.float32(n_features**0.5)
    X[rng.random(X.shape) < draw(st.sampled_from([0.0, 0.5]))] = 0.0
    if draw(st.booleans()):
        X[rng.integers(n_rows)] = 0.0
    index = draw(st.sampled_from([None, np.int32, np.int64]))
    if index is None:
        X.flags.writeable = False
        return X
    present = [np.flatnonzero(row) for row in X]
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in present])]).astype(index)
    values = np.concatenate([row[columns] for row, columns in zip(X, present)])
    return CSR(values, np.concatenate(present).astype(index), indptr, X.shape)


def labels(rng, n_rows, n_classes):
    return rng.integers(0, n_classes, n_rows).astype(np.int32)


def weights(draw, rng, n_rows):
    """None, or weights of which some are zero, though not all."""
    if draw(st.booleans()):
        return None
    weight = rng.uniform(0.2, 2.0, n_rows) * (rng.random(n_rows) < 0.8)
    weight[0] = 1.0
    return weight
