"""A row of either storage, as the linear references compute with it."""

import numpy as np

from fastml._csr import CSR


def dense_row(X, i):
    """Row i of an array or CSR, as an array of float64, shape (n_features,)."""
    if not isinstance(X, CSR):
        return X[i].astype(np.float64)
    x = np.zeros(X.shape[1])
    entries = slice(X.indptr[i], X.indptr[i + 1])
    x[X.indices[entries]] = X.data[entries]
    return x
