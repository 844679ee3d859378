"""Blocks of a kernel (Gram) matrix: every row of A against every row of B.

B is laid out once, by ``prepare``, for many products with different A: the training rows of a fit, the support
vectors of a prediction. A is small: a working set, a block of rows to predict. All arrays are the device's, but for
the numbers of rows to take, which are the host's.

References
----------
C.-C. Chang, C.-J. Lin, "LIBSVM: A Library for Support Vector Machines", ACM TIST 2(3), 2011, for the kernels.
F. G. Van Zee, R. A. van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS 41(3),
2015, for the packed matrix product that the fast backends build on.
"""

from itertools import pairwise

import numpy as np

from fastml._csr import CSR

__all__ = ["expansions", "gram", "pair_values", "pair_votes", "prepare", "take_rows"]


class Prepared:
    """B, and what of it does not depend on A. Each backend has its own; these attributes are in all of them.

    Attributes
    ----------
    rows : array or CSR, of B's shape and dtype
        What products are taken with: B itself, or B made dense or sparse.
    shape : tuple of two int
    dtype : dtype
        float32 or float64: A's, and that of the blocks.
    nbytes : int
        Memory held besides ``rows``.
    """

    nbytes = 0

    def __init__(self, B):
        self.rows = _dense(B)
        self.shape, self.dtype = B.shape, B.dtype


def prepare(B, kernel):
    """Lay out B for ``gram`` with this kernel.

    Parameters
    ----------
    B : C-contiguous array of shape (n_B, n_features), float32 or float64, or CSR
    kernel : fastml._kernel.KernelFunction

    Returns
    -------
    Prepared
    """
    return Prepared(B)


def take_rows(X, rows):
    """The rows of X with these numbers, in that order: an array or a CSR, as X is.

    Parameters
    ----------
    X : array of shape (n, n_features), or CSR
    rows : array of int32, of shape (n_rows,)

    Returns
    -------
    array or CSR, of shape (n_rows, n_features)
    """
    if not isinstance(X, CSR):
        return X[rows]
    lengths = np.diff(X.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(X.indptr.dtype)
    values = np.concatenate([np.arange(0), *(np.arange(X.indptr[row], X.indptr[row + 1]) for row in rows)])
    return CSR(X.data[values], X.indices[values], indptr, (len(rows), X.shape[1]))


def gram(A, prepared, kernel, out, n_threads=None):
    """out[i, j] = kernel(A[i], B[j]).

    Parameters
    ----------
    A : C-contiguous array of shape (n_A, n_features), or CSR; dense or sparse as B was, of its dtype
    prepared : Prepared
    kernel : fastml._kernel.KernelFunction
        The one that B was prepared for.
    out : array of shape (n_A, n_B), of B's dtype
        Its rows are contiguous, at any distance from each other.
    n_threads : int or None
        At most so many; None is the configured number.

    Notes
    -----
    rbf values are at most 1, and exactly 1 for equal rows. For any data, a backend's rbf values are off by at most
    3e-5 in float32 and 1e-9 in float64, and by some rounding errors of gamma (|a|^2 + |b|^2) where that is less.
    """
    A, B = _dense(A).astype(np.float64), prepared.rows.astype(np.float64)
    out[...] = _values(A, B, kernel)


def expansions(A, prepared, kernel, coef, starts, out, n_threads=None):
    """out[i, g, s] = the sum of coef[s, j] kernel(A[i], B[j]) over the j of segment g.

    Parameters
    ----------
    A, prepared, kernel, n_threads
        See ``gram``.
    coef : C-contiguous array of shape (n_sums, n_B), of B's dtype
    starts : C-contiguous array of shape (n_segments + 1,), int64
        Segment g is of the rows of B from starts[g] to before starts[g + 1]; the first begins at 0, the last ends at
        n_B. Segments may be empty.
    out : C-contiguous array of shape (n_A, n_segments, n_sums), float64

    Notes
    -----
    A segment is a class, and a sum what its support vectors say of it and one of the other classes. Values are of
    B's dtype, and so are sums over some of them.
    """
    A, B = _dense(A).astype(np.float64), prepared.rows.astype(np.float64)
    values = _values(A, B, kernel)
    for segment, (first, last) in enumerate(pairwise(starts)):
        out[:, segment] = values[:, first:last] @ coef[:, first:last].astype(np.float64).T


def pair_values(sums, intercept, out):
    """The decision functions of every two classes, positive for the first: out[i, (a, b)], in the order (0, 1), (0, 2).

    All arrays are the host's, on any device: there are a few additions for each number.

    Parameters
    ----------
    sums : C-contiguous array of shape (n_rows, n_classes, n_classes - 1), float64
        What the support vectors of each class say of it and each of the others.
    intercept : array of shape (n_pairs,), float64
    out : C-contiguous array of shape (n_rows, n_pairs), float64
    """
    first, second = np.triu_indices(sums.shape[1], 1)
    out[...] = sums[:, first, second - 1] + sums[:, second, first] + intercept


def pair_votes(values, n_classes):
    """The class that wins most pairs, the first of several.

    Parameters
    ----------
    values : C-contiguous array of shape (n_rows, n_pairs), float64, the host's
        The first class of a pair wins where they are above zero.
    n_classes : int

    Returns
    -------
    ndarray of intp, shape (n_rows,)
    """
    first, second = np.triu_indices(n_classes, 1)
    votes = np.zeros((len(values), n_classes), np.intp)
    for pair, (a, b) in enumerate(zip(first, second)):
        votes[:, a] += values[:, pair] > 0
        votes[:, b] += ~(values[:, pair] > 0)
    return votes.argmax(axis=1)


def _values(A, B, kernel):
    match kernel.name:
        case "linear":
            return A @ B.T
        case "poly":
            return (kernel.gamma * (A @ B.T) + kernel.coef0) ** kernel.degree
        case "sigmoid":
            return np.tanh(kernel.gamma * (A @ B.T) + kernel.coef0)
        case "rbf":
            # From differences, not from |a|^2 - 2 a.b + |b|^2, which cancels.
            return np.exp([-kernel.gamma * np.square(B - a).sum(axis=1) for a in A]).reshape(len(A), len(B))
        case "custom":
            return np.array([[kernel.function.f.py_func(a, b) for b in B] for a in A]).reshape(len(A), len(B))


def _dense(rows):
    return rows.toarray() if isinstance(rows, CSR) else rows
