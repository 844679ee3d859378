"""Where kernel values come from, and the rows of them that are kept."""

import numpy as np

from fastml._csr import CSR

# Multiply-adds in one call of the kernel: some tenths of a second at most, for Ctrl-C to be heard in between.
WORK_PER_CALL = 4e9


class KernelValues:
    """Kernel values between rows of X, or entries of a matrix that was given.

    Parameters
    ----------
    gram : module
        The kernel family ``gram`` of a backend.
    X : array of shape (n_samples, n_features), or CSR, or None
    kernel : fastml._kernel.KernelFunction
    precomputed : ndarray of float64, shape (n_samples, n_samples), or None
    dtype : dtype
        Of the values.
    """

    def __init__(self, gram, X, kernel, precomputed, dtype):
        self.gram, self.X, self.kernel, self.precomputed, self.dtype = (
            gram,
            X,
            kernel,
            precomputed,
            np.dtype(dtype),
        )
        self.n_samples = (X if precomputed is None else precomputed).shape[0]

    def columns(self, rows):
        """The kernel values of any rows with these."""
        return Columns(self, rows)

    def take(self, rows):
        """Rows of X, of the dtype of the values; X itself where it is all of them."""
        whole = len(rows) == self.n_samples and rows[0] == 0 and rows[-1] == len(rows) - 1
        if whole and np.array_equal(rows, np.arange(len(rows))):
            taken = self.X
        else:
            taken = self.gram.take_rows(self.X, rows)
        if taken.dtype == self.dtype:
            return taken
        if isinstance(taken, CSR):
            return taken._replace(data=taken.data.astype(self.dtype))
        return taken.astype(self.dtype)


class Columns:
    """Kernel values of rows of X, given by number, with a fixed set of rows.

    Attributes
    ----------
    rows : ndarray of int32
        The fixed rows: the columns of the values.
    """

    def __init__(self, values, rows):
        self.values, self.rows = values, rows
        if values.precomputed is None:
            self.prepared = values.gram.prepare(values.take(rows), values.kernel)
            X = values.X
            per_row = len(X.data) / max(1, X.shape[0]) if isinstance(X, CSR) else X.shape[1]
            self._rows_per_call = max(16, int(WORK_PER_CALL / (len(rows) * (per_row + 20))))

    def fill(self, rows, out):
        """Write the values of these rows into ``out``, a row each."""
        values = self.values
        if values.precomputed is not None:
            out[...] = values.precomputed[np.ix_(rows, self.rows)]
            return
        for first in range(0, len(rows), self._rows_per_call):
            part = rows[first : first + self._rows_per_call]
            values.gram.gram(values.take(part), self.prepared, values.kernel, out[first : first + len(part)])


class RowCache:
    """Rows of kernel values in one buffer; the least recently used ones make room.

    Parameters
    ----------
    columns : Columns
    n_bytes : float
        For all rows held; but one row is held in any case.

    Attributes
    ----------
    buffer : ndarray of shape (capacity, n_columns)
    n_computed : int
        Rows computed so far, for reports.
    """

    def __init__(self, columns, n_bytes):
        n_columns, dtype = len(columns.rows), columns.values.dtype
        fitting = max(1, int(n_bytes // (n_columns * dtype.itemsize)))
        self.columns, self.n_computed = columns, 0
        self.buffer = np.empty((min(n_columns, fitting), n_columns), dtype)
        self.slot_of = np.full(n_columns, -1, np.int32)
        self.row_in = np.full(len(self.buffer), -1, np.int32)
        self.last_used = np.zeros(len(self.buffer), np.int64)
        self.clock = 0

    @property
    def capacity(self):
        return len(self.buffer)

    def slots(self, rows):
        """The places in ``buffer`` of these rows, computed where they are not there.

        Parameters
        ----------
        rows : ndarray of int32
            Numbers among ``columns.rows``, ``capacity`` at most; none occurs twice.

        Returns
        -------
        ndarray of int32
            Valid until the next call.
        """
        self.clock += 1
        held = self.slot_of[rows]
        self.last_used[held[held >= 0]] = self.clock
        missing = rows[held < 0]
        if len(missing):
            self._compute(missing)
        return self.slot_of[rows]

    def _compute(self, rows):
        self.n_computed += len(rows)
        # The oldest first; those of this call, which are the newest, are not reached.
        places = np.argpartition(self.last_used, len(rows) - 1)[: len(rows)]
        places.sort()
        evicted = self.row_in[places]
        self.slot_of[evicted[evicted >= 0]] = -1
        self.slot_of[rows], self.row_in[places], self.last_used[places] = places, rows, self.clock
        starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
        for first, last in zip(starts, [*starts[1:], len(places)]):
            run = slice(places[first], places[first] + last - first)
            self.columns.fill(self.columns.rows[rows[first:last]], self.buffer[run])
