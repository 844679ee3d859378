"""Compressed sparse rows, as the kernels take them on any device."""

from typing import Any, NamedTuple

from scipy import sparse


class CSR(NamedTuple):
    """A sparse matrix by rows, its indices already checked against its shape.

    Row ``i`` holds ``data[indptr[i]:indptr[i + 1]]`` at columns ``indices[indptr[i]:indptr[i + 1]]``; the
    columns of a row increase, so that none occurs twice.

    Attributes
    ----------
    data : array of shape (nnz,), float32 or float64
    indices, indptr : arrays of shape (nnz,) and (n_rows + 1,), both int32 or both int64
    shape : tuple of two int
    """

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, int]

    @property
    def dtype(self):
        return self.data.dtype

    def astype(self, dtype, copy=True):
        """The values converted; not even copied where they are of this type and ``copy`` is false."""
        return self._replace(data=self.data.astype(dtype, copy=copy))

    def toarray(self):
        """The matrix as an array; the host's alone."""
        return sparse.csr_array((self.data, self.indices, self.indptr), self.shape).toarray()

    def between(self, first, last):
        """The rows from ``first`` to before ``last``, or to the end; all but ``indptr`` is shared."""
        last = min(last, self.shape[0])
        start, end = self.indptr[first], self.indptr[last]
        indptr = self.indptr[first : last + 1] - start
        return CSR(self.data[start:end], self.indices[start:end], indptr, (last - first, self.shape[1]))
