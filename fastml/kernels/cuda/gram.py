"""Blocks of a kernel matrix on the GPU; the contract is ``fastml.kernels.reference.gram``.

Products are cuBLAS' (in the elements' own precision: CuPy leaves TensorFloat-32 off), by pieces of a bounded size;
one kernel of ours makes values of them (``_gram_values``). Sparse rows are made dense where that takes no more than
``DENSE_BYTES``; wider ones are multiplied as they are (``_gram_sparse``).

B stays on the device. For the rbf kernel its mean is subtracted from both sides where that makes the norms much
smaller, and so the digits that a distance loses: a second copy of B.

To be measured on a GPU: the share of the values' kernel beside cuBLAS; from which density on dense rows are faster.
"""

from itertools import pairwise

import numpy as np
from numba.core.errors import NumbaError

from fastml._csr import CSR
from fastml.kernels.cpu.gram import pair_values, pair_votes
from fastml.kernels.cuda import _device, arrays
from fastml.kernels.cuda._gram_custom import custom_kernel
from fastml.kernels.cuda._gram_sparse import product_kernel, scatter_kernel, squares_kernel, take_kernel
from fastml.kernels.cuda._gram_values import DENSE, SPARSE, values_kernel
from fastml.kernels.cuda._warp import LANES, MAX_WARPS

__all__ = ["expansions", "gram", "pair_values", "pair_votes", "prepare", "take_rows"]

# For B made dense, and for one piece of products.
DENSE_BYTES = 2**31
PIECE_BYTES = 2**28

# B's mean is subtracted where the squared norms shrink to this part.
_WORTH_A_SHIFT = 0.25


class Prepared:
    """B on the device, the squared norms of its rows, and a shift.

    Attributes
    ----------
    rows : array or CSR
        B: dense unless it is too large for that.
    moved : array or CSR
        What products are taken with: ``rows``, less the shift.
    squares : array of float64, of shape (n_B,)
        Of ``moved``.
    shift : array of shape (n_features,), or None
    """

    def __init__(self, B, kernel):
        self.shape, self.dtype = B.shape, np.dtype(B.dtype)
        self.rows, self.shift = B, None
        self.nbytes = 0
        if isinstance(B, CSR) and self.dtype.itemsize * B.shape[0] * B.shape[1] <= DENSE_BYTES:
            self.rows = _to_dense(B, 0, B.shape[0])
        self.moved, self.squares = self.rows, _squares(self.rows)
        if kernel.name == "rbf" and not isinstance(self.rows, CSR):
            self._choose_shift()
        self.nbytes += int(self.squares.nbytes)

    def _choose_shift(self):
        n_rows, n_features = self.shape
        if n_rows == 0 or n_features == 0:
            return
        xp = _device.array_module()
        with np.errstate(all="ignore"):
            mean = self.rows.mean(axis=0, dtype=np.float64).astype(self.dtype)
            moved_mean = float(arrays.fetch(self.squares.mean() - xp.square(mean.astype(np.float64)).sum()))
            pays = moved_mean <= _WORTH_A_SHIFT * float(arrays.fetch(self.squares.mean()))
        if pays:
            self.shift = mean
            self.moved = self.rows - mean
            self.squares = _squares(self.moved)
            self.nbytes += int(self.moved.nbytes)


def prepare(B, kernel):
    return Prepared(arrays.send(B), kernel)


def take_rows(X, rows):
    X, rows = arrays.send(X), arrays.send(np.asarray(rows, np.int32))
    if not isinstance(X, CSR):
        return X[rows]
    xp = _device.array_module()
    lengths = (X.indptr[1:] - X.indptr[:-1])[rows]
    indptr = _device.empty(len(rows) + 1, X.indptr.dtype)
    indptr[:1] = 0
    indptr[1:] = xp.cumsum(lengths)
    n = int(arrays.fetch(indptr[-1:])[0])
    data, indices = _device.empty(n, X.dtype), _device.empty(n, X.indices.dtype)
    if n:
        take_kernel[_device.grid(len(rows)), LANES, _device.stream()](
            X.data, X.indices, X.indptr, rows, data, indices, indptr
        )
    return CSR(data, indices, indptr, (len(rows), X.shape[1]))


def gram(A, prepared, kernel, out, n_threads=None):
    if 0 in out.shape:
        return
    A = arrays.send(A)
    n_features = prepared.shape[1]
    # Of A made dense, and of the products.
    row_bytes = 8 * prepared.shape[0] + A.dtype.itemsize * n_features
    is_sparse, is_custom = isinstance(prepared.rows, CSR), kernel.name == "custom"
    n_at_once = LANES if is_sparse else max(1, PIECE_BYTES // row_bytes)
    for first in range(0, A.shape[0], n_at_once):
        end = min(first + n_at_once, A.shape[0])
        if is_sparse and not is_custom:
            _sparse_values(_between(A, first, end), prepared, kernel, out[first:end])
            continue
        values = _custom if is_custom else _dense_values
        rows = _to_dense(A, first, end) if isinstance(A, CSR) else A[first:end]
        values(rows, prepared, kernel, out[first:end])


def expansions(A, prepared, kernel, coef, starts, out, n_threads=None):
    """By pieces of kernel values, each multiplied by cuBLAS."""
    n_rows, n_columns = A.shape[0], prepared.shape[0]
    A, coef, starts = arrays.send(A), arrays.send(coef), arrays.fetch(starts).tolist()
    n_at_once = max(1, min(n_rows, PIECE_BYTES // max(1, n_columns * prepared.dtype.itemsize)))
    block = _device.empty((n_at_once, n_columns), prepared.dtype)
    for first in range(0, n_rows, n_at_once):
        end = min(first + n_at_once, n_rows)
        rows = _between(A, first, end) if isinstance(A, CSR) else A[first:end]
        values = block[: end - first]
        gram(rows, prepared, kernel, values)
        for segment, (start, stop) in enumerate(pairwise(starts)):
            with np.errstate(all="ignore"):  # NumPy's, in the simulator
                out[first:end, segment] = values[:, start:stop] @ coef[:, start:stop].T


def _dense_values(A, prepared, kernel, out):
    moved = A if prepared.shift is None else A - prepared.shift
    squares = _squares(moved) if kernel.name == "rbf" else prepared.squares
    with np.errstate(all="ignore"):  # NumPy's, in the simulator
        products = moved @ prepared.moved.T
    nothing = _device.empty(0, np.int32)
    _values(
        products, (A, nothing, nothing), squares, (prepared.rows, nothing, nothing), prepared, kernel, out
    )


def _sparse_values(A, prepared, kernel, out):
    """Up to 32 rows of A; both sides are sparse."""
    B = prepared.rows
    by_feature = _zeros((A.shape[1], LANES), A.dtype)
    _scatter(A, 0, by_feature.T[: A.shape[0]])
    products = _device.empty((A.shape[0], B.shape[0]), np.float64)
    n_blocks = _device.grid(-(-B.shape[0] // MAX_WARPS), 2**20)
    threads = _device.threads(LANES * B.shape[0])
    product_kernel[n_blocks, threads, _device.stream()](by_feature, B.data, B.indices, B.indptr, products)
    _values(products, A[:3], _squares(A), B[:3], prepared, kernel, out)


def _values(products, rows_a, squares_a, rows_b, prepared, kernel, out):
    n_a, n_b = out.shape
    n_features, eps = prepared.shape[1], float(np.finfo(prepared.dtype).eps)
    threads = _device.threads(n_b)
    grid = _device.grid(-(-n_b // threads)), _device.grid(n_a)
    storage = SPARSE if isinstance(prepared.rows, CSR) else DENSE
    if storage == SPARSE:
        eps = float(np.finfo(np.float64).eps)  # as the products are
    values_kernel(kernel.name, prepared.dtype, storage)[grid, threads, _device.stream()](
        products, *rows_a, squares_a, *rows_b, prepared.squares,
        float(kernel.gamma), float(kernel.coef0), int(kernel.degree),
        # What rounding of a product can be at most, and what it mostly is, relative to the norms.
        (0.5 * n_features + 8.0) * eps,
        (n_features**0.5 + 4.0) * eps,
        _device.strided(out),
    )  # fmt: skip


def _custom(A, prepared, kernel, out):
    """Rows of B that are sparse yet are made dense by pieces."""
    B = prepared.rows
    n_at_once = prepared.shape[0]
    if isinstance(B, CSR):
        n_at_once = max(1, PIECE_BYTES // (prepared.dtype.itemsize * max(1, prepared.shape[1])))
    for first in range(0, prepared.shape[0], n_at_once):
        end = min(first + n_at_once, prepared.shape[0])
        rows = _to_dense(B, first, end) if isinstance(B, CSR) else B
        threads = _device.threads(end - first)
        grid = _device.grid(-(-(end - first) // threads)), _device.grid(A.shape[0])
        launch = custom_kernel(kernel.function, prepared.dtype.name)[grid, threads, _device.stream()]
        try:  # compiled at its first launch
            launch(A, rows, _device.strided(out[:, first:end]))
        except NumbaError as error:
            raise kernel.function.does_not_compile(prepared.dtype.name, error) from error


def _between(A, first, end):
    """A CSR's rows; its values are not copied."""
    return A._replace(indptr=A.indptr[first : end + 1], shape=(end - first, A.shape[1]))


def _squares(rows):
    """Squared norms of rows, in float64."""
    if isinstance(rows, CSR):
        squares = _device.empty(rows.shape[0], np.float64)
        threads = _device.threads(rows.shape[0])
        squares_kernel[_device.grid(-(-rows.shape[0] // threads)), threads, _device.stream()](
            rows.data, rows.indptr, squares
        )
        return squares
    squares = _device.empty(rows.shape[0], np.float64)
    n_at_once = max(1, PIECE_BYTES // (8 * max(1, rows.shape[1])))
    with np.errstate(all="ignore"):
        for first in range(0, rows.shape[0], n_at_once):
            part = rows[first : first + n_at_once].astype(np.float64)
            squares[first : first + n_at_once] = (part * part).sum(axis=1)
    return squares


def _to_dense(rows, first, end):
    """Some rows of a CSR as a matrix."""
    dense = _zeros((end - first, rows.shape[1]), rows.dtype)
    _scatter(rows, first, dense)
    return dense


def _scatter(rows, first, out):
    if out.shape[0] and len(rows.data):
        scatter_kernel[_device.grid(out.shape[0], 2**20), LANES, _device.stream()](
            rows.data, rows.indices, rows.indptr, first, _device.strided(out)
        )


def _zeros(shape, dtype):
    zeros = _device.empty(shape, dtype)
    zeros[...] = 0
    return zeros
