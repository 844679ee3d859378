"""Where kernel values come from, and the rows of them that are kept."""

from collections import OrderedDict
from typing import Any

import numpy as np

from fastml._csr import CSR

# Multiply-adds in one call of the kernel: some tenths of a second at most, for Ctrl-C to be heard in between.
WORK_PER_CALL = 4e9

# Kernel rows that are computed before they are used: no fewer than fill a product's registers some times over (14
# rows with AVX-512, 6 with AVX2). Parts that stay in the caches gained nothing over those of hundreds of rows, and
# start threads ten times as often.
BYTES_AT_ONCE = 3e7
ROWS_AT_ONCE = 42

# Rows that are worth keeping laid out, the bytes up to which older ones are kept besides those that a problem uses,
# and runs of rows of which each may be laid out for itself.
ROWS_TO_KEEP = 1000
BYTES_TO_KEEP = 1e8
MOST_RUNS = 2

# Features (non-zeros, in sparse rows) from which on a kernel value costs more than fetching one from a kept row.
FEATURES_TO_GATHER = 400


class KernelValues:
    """Kernel values between rows of X, or entries of a matrix that was given.

    Parameters
    ----------
    backend : module
        Of the device, where X and ``precomputed`` lie.
    X : array of shape (n_samples, n_features), or CSR, or None
    kernel : fastml._kernel.KernelFunction
    precomputed : array of float64, shape (n_samples, n_samples), or None
    dtype : dtype
        Of the values.
    """

    def __init__(self, backend, X, kernel, precomputed, dtype):
        self.arrays, self.gram, self.gather = backend.arrays, backend.gram, backend.smo.gather
        self.X, self.kernel, self.precomputed, self.dtype = X, kernel, precomputed, np.dtype(dtype)
        self.n_samples = (X if precomputed is None else precomputed).shape[0]
        self.n_features = 0.0 if X is None else _features_per_row(X)
        self._laid_out: OrderedDict[bytes, Any] = OrderedDict()

    @property
    def gathering_pays(self):
        """Whether a value is better taken from a kernel row that is kept than computed again."""
        if self.precomputed is not None:
            return False
        return self.kernel.name == "custom" or self.n_features >= FEATURES_TO_GATHER

    def columns(self, rows):
        """The kernel values of any rows with these."""
        laid_out = None if self.precomputed is not None else self._lay_out(rows)
        return Columns(self, rows, [(slice(0, len(rows)), laid_out)])

    def columns_to_keep(self, rows):
        """The same, where other problems may have many of these rows: those of a class, in one-vs-one problems."""
        if self.precomputed is not None or len(rows) < ROWS_TO_KEEP:
            return self.columns(rows)
        return Columns(self, rows, [(run, self._kept(rows[run])) for run in _runs(rows)])

    def _lay_out(self, rows):
        """These rows as the kernel family ``gram`` wants them."""
        return self.gram.prepare(self.take(rows), self.kernel)

    def _kept(self, rows):
        key = rows.tobytes()
        if key not in self._laid_out:
            expected = 2 * len(rows) * _nbytes(self.X) // self.n_samples
            while self._laid_out and self._bytes_laid_out() + expected > BYTES_TO_KEEP:
                self._laid_out.popitem(last=False)
            self._laid_out[key] = self._lay_out(rows)
        self._laid_out.move_to_end(key)
        return self._laid_out[key]

    def _bytes_laid_out(self):
        return sum(
            prepared.nbytes + (0 if prepared.rows is self.X else _nbytes(prepared.rows))
            for prepared in self._laid_out.values()
        )

    def take(self, rows):
        """Rows of X, of the dtype of the values; X itself where it is all of them."""
        whole = len(rows) == self.n_samples and rows[0] == 0 and rows[-1] == len(rows) - 1
        if whole and np.array_equal(rows, np.arange(len(rows))):
            taken = self.X
        else:
            taken = self.gram.take_rows(self.X, rows)
        return taken.astype(self.dtype, copy=False)


def _features_per_row(X):
    return len(X.data) / max(1, X.shape[0]) if isinstance(X, CSR) else float(X.shape[1])


def _nbytes(X):
    return sum(part.nbytes for part in X[:3]) if isinstance(X, CSR) else X.nbytes


def _runs(rows):
    """Slices within which the rows increase: in a one-vs-one problem, those of its two classes."""
    ends = [*(np.flatnonzero(rows[1:] < rows[:-1]) + 1).tolist(), len(rows)]
    if len(ends) > MOST_RUNS:
        return [slice(0, len(rows))]
    return [slice(start, end) for start, end in zip([0, *ends], ends)]


class Columns:
    """Kernel values of rows of X, given by number, with a fixed set of rows.

    Parameters
    ----------
    values : KernelValues
    rows : ndarray of int32
        The fixed rows: the columns of the values.
    parts : list of (slice, Prepared)
        Runs of them, and each as the kernel family ``gram`` laid it out.
    """

    def __init__(self, values, rows, parts):
        self.values, self.rows, self.parts = values, rows, parts
        if values.precomputed is None:
            self._rows_per_call = max(16, int(WORK_PER_CALL / (len(rows) * (values.n_features + 20))))

    def fill(self, rows, out):
        """Write the values of these rows into ``out``, a row each."""
        values = self.values
        if values.precomputed is not None:
            values.gather(values.precomputed, rows, self.rows, out)
            return
        for first in range(0, len(rows), self._rows_per_call):
            taken = values.take(rows[first : first + self._rows_per_call])
            for columns, prepared in self.parts:
                values.gram.gram(taken, prepared, values.kernel, out[first : first + taken.shape[0], columns])


class Workspace:
    """Memory for kernel values that one problem after another uses: the system clears it only once.

    Parameters
    ----------
    arrays : module
        The kernel family ``arrays`` of a backend.
    n_bytes : float
    dtype : dtype
    """

    def __init__(self, arrays, n_bytes, dtype):
        self.arrays = arrays
        self.flat = arrays.empty(int(n_bytes // np.dtype(dtype).itemsize), dtype)
        self.used = 0

    def clear(self):
        self.used = 0

    def take(self, n_rows, n_columns):
        """A matrix of what is not in use; the few values that must be had however little is allowed, besides."""
        n = n_rows * n_columns
        if self.used + n > len(self.flat):
            return self.arrays.empty((n_rows, n_columns), self.flat.dtype)
        self.used += n
        return self.flat[self.used - n : self.used].reshape(n_rows, n_columns)


class RowCache:
    """Rows of kernel values in one bounded buffer, a ring: new rows take the place of the oldest.

    Least recently used rows would lie scattered in the buffer. A product that writes one row at a time took three
    times as long as one that writes dozens side by side, and one that writes elsewhere has its rows copied.

    Nor would they spare much. SVR on 20,000 rows, with room for 2,175, asks for 104,600: the ring computes 64,400,
    the least recently used rows' place 62,200, the least frequently used ones' 75,900; who knew the future, 38,700.
    On a9a (26,000 rows, room for 1,925) it is 12,300 of 17,700, and 10,600 are asked for at all.

    Parameters
    ----------
    columns : Columns
    n_bytes : float
        For all rows held; but one row is held in any case.
    workspace : Workspace
        Where they are held.

    Attributes
    ----------
    buffer : array of shape (capacity, n_columns)
    slot_of : ndarray of int32, shape (n_columns,)
        The place in ``buffer`` of each row; -1: not held.
    """

    def __init__(self, columns, n_bytes, workspace):
        n_columns, dtype = len(columns.rows), columns.values.dtype
        row_bytes = n_columns * dtype.itemsize
        capacity = max(1, min(n_columns, int(n_bytes // row_bytes)))
        self.columns = columns
        self.buffer = workspace.take(capacity, n_columns)
        self.slot_of = np.full(n_columns, -1, np.int32)
        self.row_in = np.full(capacity, -1, np.int32)
        self.next = 0
        self.rows_at_once = max(ROWS_AT_ONCE, int(BYTES_AT_ONCE // row_bytes))

    def parts(self, rows):
        """The kernel rows of these rows, in parts: those held, then others as they are computed.

        Parameters
        ----------
        rows : ndarray of int32
            Numbers among ``columns.rows``; none occurs twice.

        Yields
        ------
        slots : ndarray of int32
            Places in ``buffer``, valid until the next part.
        part : ndarray of int
            The positions in ``rows`` that these slots hold.
        """
        slots = self.slot_of[rows]
        held, missing = np.flatnonzero(slots >= 0), np.flatnonzero(slots < 0)
        if len(held):
            yield slots[held], held
        first = 0
        while first < len(missing):
            n = min(self.rows_at_once, len(self.buffer) - self.next, len(missing) - first)
            part = missing[first : first + n]
            yield self._compute(rows[part]), part
            first += n

    def _compute(self, rows):
        """Compute rows into the next places, which don't reach over the ring's end."""
        places = np.arange(self.next, self.next + len(rows), dtype=np.int32)
        evicted = self.row_in[places]
        self.slot_of[evicted[evicted >= 0]] = -1
        self.columns.fill(self.columns.rows[rows], self.buffer[places[0] : places[-1] + 1])
        self.slot_of[rows], self.row_in[places] = places, rows
        self.next = (int(places[-1]) + 1) % len(self.buffer)
        return places


class WholeMatrix:
    """In place of a `RowCache`, the kernel matrix that was given: all rows are held, and none is copied.

    Parameters
    ----------
    buffer : array of shape (n_samples, n_samples)
    """

    def __init__(self, buffer):
        self.buffer = buffer

    def parts(self, rows):
        """As `RowCache.parts`."""
        yield rows, np.arange(len(rows))
